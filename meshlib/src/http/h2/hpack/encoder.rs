//! From fields to bytes.

use bytes::BytesMut;
use http::{HeaderName, HeaderValue};

use super::{
    DEFAULT_TABLE_SIZE, Pseudo,
    encoder_table::{EncoderTable, Field},
    hash::hash,
    integer, static_table,
};

/// Encodes the header blocks of one direction of a connection.
///
/// A field enters the dynamic table the second time it is sent. So request ids and the like stay outside without a list
/// of their names, and the first message of a connection costs neither entries nor allocations for them.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Made when the first field is remembered.
    table: Option<Box<EncoderTable>>,
    /// The size that the peer knows of.
    capacity: usize,
    resize: Option<Resize>,
}

/// A change of the table's size that the next block announces.
#[derive(Clone, Copy, Debug)]
struct Resize {
    /// The lowest size that there was since the last block.
    lowest: usize,
    last: usize,
}

/// The first byte of a field, and in how many bits of it the index begins (RFC 7541, 6).
#[derive(Clone, Copy)]
struct Form {
    pattern: u8,
    prefix: u32,
}

const INDEXED: Form = Form { pattern: 0x80, prefix: 7 };
const INCREMENTAL: Form = Form { pattern: 0x40, prefix: 6 };
const RESIZE: Form = Form { pattern: 0x20, prefix: 5 };
const NEVER_INDEXED: Form = Form { pattern: 0x10, prefix: 4 };
const NOT_INDEXED: Form = Form { pattern: 0, prefix: 4 };

/// Strings are sent as they are, without Huffman code.
const STRING: Form = Form { pattern: 0, prefix: 7 };

impl Encoder {
    pub(crate) fn new() -> Self {
        Self { table: None, capacity: DEFAULT_TABLE_SIZE, resize: None }
    }

    /// Takes the peer's SETTINGS_HEADER_TABLE_SIZE. More than the default is not used.
    pub(crate) fn resize(&mut self, size: u32) {
        let last = usize::try_from(size).unwrap_or(usize::MAX).min(DEFAULT_TABLE_SIZE);
        let lowest = self.resize.map_or(self.capacity, |resize| resize.lowest).min(last);
        self.resize = Some(Resize { lowest, last });
    }

    /// Begins a block. If the table's size has changed, the block says so first: if it went down and up again, with
    /// both sizes, for the peer's table lost entries in between (RFC 7541, 4.2).
    pub(crate) fn begin(&mut self, out: &mut BytesMut) {
        if let Some(Resize { lowest, last }) = self.resize.take() {
            self.announce(lowest, out);
            self.announce(last, out);
        }
    }

    fn announce(&mut self, capacity: usize, out: &mut BytesMut) {
        if capacity == self.capacity {
            return;
        }
        write(RESIZE, capacity, out);
        self.capacity = capacity;
        match &mut self.table {
            Some(table) if capacity > 0 => table.resize(capacity),
            table => *table = None,
        }
    }

    /// Adds a pseudo-header field to the block.
    pub(crate) fn pseudo(&mut self, name: Pseudo, value: &[u8], out: &mut BytesMut) {
        match static_table::pseudo_match(name, value) {
            Some(index) => write(INDEXED, index, out),
            None => {
                let text = name.as_str().as_bytes();
                let name_hash = hash(static_table::NAME_SEED, text);
                let field = Field { name: text, value, name_hash, hash: hash(name_hash, value) };
                self.remember(&field, static_table::pseudo_index(name), out);
            }
        }
    }

    /// Adds a field to the block.
    pub(crate) fn field(&mut self, name: &HeaderName, value: &HeaderValue, out: &mut BytesMut) {
        let name_hash = hash(static_table::NAME_SEED, name.as_str().as_bytes());
        let index = static_table::field_index(name.as_str(), name_hash);
        let (name, sensitive, value) = (name.as_str().as_bytes(), value.is_sensitive(), value.as_bytes());
        match index {
            _ if sensitive => literal(NEVER_INDEXED, index, name, value, out),
            Some(index) if static_table::field_matches(index, value) => write(INDEXED, index, out),
            // The clients of a proxy share its connections to the hosts. Could one of them bring about fields with
            // guesses of another's secret, the length of the block would tell it which is right (RFC 7541, 7.1).
            Some(
                static_table::AUTHORIZATION
                | static_table::COOKIE
                | static_table::PROXY_AUTHORIZATION
                | static_table::SET_COOKIE,
            ) => literal(NOT_INDEXED, index, name, value, out),
            _ => {
                let field = Field { name, value, name_hash, hash: hash(name_hash, value) };
                self.remember(&field, index, out);
            }
        }
    }

    /// Sends a field that may be in the dynamic table or enter it. `index` is that of its name in the static table.
    fn remember(&mut self, field: &Field<'_>, index: Option<usize>, out: &mut BytesMut) {
        // One large field would drive out too many others.
        if field.size() > self.capacity / 2 {
            return literal(NOT_INDEXED, index, field.name, field.value, out);
        }
        let capacity = self.capacity;
        let table = self.table.get_or_insert_with(|| Box::new(EncoderTable::new(capacity)));
        if let Some(index) = table.find(field) {
            return write(INDEXED, index, out);
        }
        let index = index.or_else(|| table.find_name(field));
        if table.sent_before(field) {
            literal(INCREMENTAL, index, field.name, field.value, out);
            table.insert(field);
        } else {
            literal(NOT_INDEXED, index, field.name, field.value, out);
        }
    }
}

/// A field as text, except that its name may be that of the entry `index`.
fn literal(form: Form, index: Option<usize>, name: &[u8], value: &[u8], out: &mut BytesMut) {
    write(form, index.unwrap_or(0), out);
    if index.is_none() {
        write(STRING, name.len(), out);
        out.extend_from_slice(name);
    }
    write(STRING, value.len(), out);
    out.extend_from_slice(value);
}

#[inline]
fn write(form: Form, number: usize, out: &mut BytesMut) {
    integer::write(form.pattern, form.prefix, number, out);
}
