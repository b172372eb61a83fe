//! From bytes to fields.

use http::{HeaderName, HeaderValue};

use super::{
    CompressionError, Name, Pseudo,
    decoder_table::{DecoderTable, SizedName},
    huffman, integer,
};

/// A longer buffer is given back after the block that needed it.
const MAX_IDLE_SCRATCH: usize = 4096;

/// Decodes the header blocks of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: DecoderTable,
    /// What the peer may make of the table's size.
    max_table_size: usize,
    /// Where strings in Huffman code are decoded, before they are copied to memory of their exact size.
    scratch: Vec<u8>,
}

/// Whether a literal field enters the table (RFC 7541, 6.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Incremental,
    Without,
    Never,
}

impl Decoder {
    /// `table_size` is our SETTINGS_HEADER_TABLE_SIZE.
    pub(crate) fn new(table_size: usize) -> Self {
        Self { table: DecoderTable::new(), max_table_size: table_size, scratch: Vec::new() }
    }

    /// Decodes one whole block and calls `field` for each of its fields, in order. Values from the table are clones,
    /// others are moved; a value of an [invalid](Name::Invalid) field is empty.
    pub(crate) fn decode(
        &mut self,
        mut block: &[u8],
        mut field: impl FnMut(Name, HeaderValue),
    ) -> Result<(), CompressionError> {
        self.resize(&mut block)?;
        while let Some((&first, rest)) = block.split_first() {
            block = rest;
            let (name, value) = match first {
                0x80.. => self.table.field(integer::read(first, 7, &mut block)?)?,
                0x40.. => self.literal(integer::read(first, 6, &mut block)?, Indexing::Incremental, &mut block)?,
                // Only a block's beginning may change the table's size (RFC 7541, 4.2).
                0x20.. => return Err(CompressionError),
                0x10.. => self.literal(integer::read(first, 4, &mut block)?, Indexing::Never, &mut block)?,
                _ => self.literal(integer::read(first, 4, &mut block)?, Indexing::Without, &mut block)?,
            };
            match value {
                Some(value) => field(name, value),
                None => field(Name::Invalid, HeaderValue::from_static("")),
            }
        }
        if self.scratch.capacity() > MAX_IDLE_SCRATCH {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    /// Takes the changes of the table's size from the beginning of a block (RFC 7541, 6.3).
    fn resize(&mut self, block: &mut &[u8]) -> Result<(), CompressionError> {
        while let Some((&first @ 0x20..=0x3f, rest)) = block.split_first() {
            *block = rest;
            let size = integer::read(first, 5, block)?;
            if size > self.max_table_size {
                return Err(CompressionError);
            }
            self.table.resize(size);
        }
        Ok(())
    }

    /// Reads the rest of a literal field, whose name is in the table if `index` is not 0.
    fn literal(
        &mut self,
        index: usize,
        indexing: Indexing,
        block: &mut &[u8],
    ) -> Result<(Name, Option<HeaderValue>), CompressionError> {
        let name = match index {
            0 => new_name(string(block, &mut self.scratch)?),
            _ => self.table.name(index)?,
        };
        let text = string(block, &mut self.scratch)?;
        let mut value = match name.name {
            Name::Invalid => None,
            _ => HeaderValue::from_bytes(text).ok(),
        };
        match indexing {
            Indexing::Incremental => {
                let field = (name.name.clone(), value.clone());
                let value_len = text.len();
                self.table.insert(name, value, value_len);
                return Ok(field);
            }
            // Who sends it on must not let it into a table either (RFC 7541, 6.2.3).
            Indexing::Never => value.iter_mut().for_each(|value| value.set_sensitive(true)),
            Indexing::Without => {}
        }
        Ok((name.name, value))
    }
}

fn new_name(text: &[u8]) -> SizedName {
    let name = match text {
        [b':', ..] => Pseudo::ALL.into_iter().find(|name| name.as_str().as_bytes() == text).map(Name::Pseudo),
        _ => HeaderName::from_lowercase(text).ok().map(Name::Field),
    };
    SizedName { name: name.unwrap_or(Name::Invalid), len: text.len() }
}

/// Takes a string from the block (RFC 7541, 5.2), decoded into `scratch` if it is in Huffman code.
fn string<'a: 's, 's>(block: &mut &'a [u8], scratch: &'s mut Vec<u8>) -> Result<&'s [u8], CompressionError> {
    let (&first, rest) = block.split_first().ok_or(CompressionError)?;
    *block = rest;
    let len = integer::read(first, 7, block)?;
    let (text, rest) = block.split_at_checked(len).ok_or(CompressionError)?;
    *block = rest;
    if first < 0x80 {
        return Ok(text);
    }
    huffman::decode(text, scratch)?;
    Ok(scratch)
}
