//! HPACK (RFC 7541): header fields as bytes, and back.
//!
//! Each direction of a connection has one dynamic table, which the [`Encoder`] on one side and the [`Decoder`] on the
//! other keep equal. Blocks must therefore be decoded all and in order, even those of messages nobody wants.
//!
//! Both are built for proxies with many connections: they hold no heap memory until a connection uses it, a field that
//! comes again is a reference count, and what differs each time never enters the table.

mod decoder;
mod decoder_table;
mod encoder;
mod encoder_table;
mod hash;
mod huffman;
mod integer;
mod static_table;
#[cfg(test)]
mod tests;

use http::HeaderName;

pub(super) use self::{decoder::Decoder, encoder::Encoder};

/// The table size of both directions until SETTINGS_HEADER_TABLE_SIZE says otherwise (RFC 9113, 6.5.2).
const DEFAULT_TABLE_SIZE: usize = 4096;

/// What an entry counts for besides the bytes of its name and value (RFC 7541, 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// The pseudo-header fields of RFC 9113, 8.3, and `:protocol` of RFC 8441.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    Protocol,
}

impl Pseudo {
    const ALL: [Self; 6] = [Self::Method, Self::Scheme, Self::Authority, Self::Path, Self::Status, Self::Protocol];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Method => ":method",
            Self::Scheme => ":scheme",
            Self::Authority => ":authority",
            Self::Path => ":path",
            Self::Status => ":status",
            Self::Protocol => ":protocol",
        }
    }
}

/// The name of a decoded field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Pseudo(Pseudo),
    Field(HeaderName),
    /// A name (uppercase, not a token, an unknown pseudo-header) or value (control characters) that is not allowed. The
    /// block stays in sync; only its message is malformed (RFC 9113, 8.1.1).
    Invalid,
}

/// A block that cannot be decoded: the tables are out of sync, so the connection ends with COMPRESSION_ERROR (RFC 9113,
/// 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompressionError;
