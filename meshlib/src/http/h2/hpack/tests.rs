//! Tests of both directions; tests against other implementations are elsewhere.

mod decoder;
mod encoder;
mod huffman;
mod random;
mod rfc;

use bytes::BytesMut;
use http::HeaderValue;

use super::{CompressionError, Decoder, Encoder, Name};

/// Decodes a block to text: "name: value" per field, "invalid" for what is not allowed.
fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, CompressionError> {
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| fields.push(text(&name, &value)))?;
    Ok(fields)
}

fn text(name: &Name, value: &HeaderValue) -> String {
    let name = match name {
        Name::Pseudo(name) => name.as_str(),
        Name::Field(name) => name.as_str(),
        Name::Invalid => return "invalid".to_owned(),
    };
    format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
}

/// Encodes a block of fields, which may be pseudo-header fields.
fn encode(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encoder.begin(&mut out);
    for (name, value) in fields {
        match super::Pseudo::ALL.into_iter().find(|pseudo| pseudo.as_str() == *name) {
            Some(name) => encoder.pseudo(name, value.as_bytes(), &mut out),
            None => encoder.field(&name.parse().unwrap(), &value.parse().unwrap(), &mut out),
        }
    }
    out.to_vec()
}

/// Bytes of text like "82 86 41", with or without spaces.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}
