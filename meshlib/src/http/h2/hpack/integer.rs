//! Integers (RFC 7541, 5.1): what fits into the prefix of the first byte, the rest in groups of seven bits.

use bytes::{BufMut, BytesMut};

use super::CompressionError;

/// Larger than any header block that a connection lets in.
const MAX: u64 = 1 << 28;

/// Four groups reach `MAX`; one more may be padding.
const MAX_GROUPS: u32 = 5;

/// Reads an integer that begins in the lower `prefix` bits of `first`, which is already taken from `block`.
#[inline]
pub(super) fn read(first: u8, prefix: u32, block: &mut &[u8]) -> Result<usize, CompressionError> {
    let mask = (1 << prefix) - 1;
    match first & mask {
        value if value < mask => Ok(usize::from(value)),
        _ => read_groups(mask, block),
    }
}

fn read_groups(mask: u8, block: &mut &[u8]) -> Result<usize, CompressionError> {
    let mut value = u64::from(mask);
    for group in 0..MAX_GROUPS {
        let (&byte, rest) = block.split_first().ok_or(CompressionError)?;
        *block = rest;
        value += u64::from(byte & 0x7f) << (7 * group);
        if byte < 0x80 {
            let value = Some(value).filter(|value| *value <= MAX).ok_or(CompressionError)?;
            return usize::try_from(value).map_err(|_| CompressionError);
        }
    }
    Err(CompressionError)
}

/// Writes `value` with the lower `prefix` bits of its first byte; the upper ones are those of `pattern`.
#[inline]
pub(super) fn write(pattern: u8, prefix: u32, value: usize, out: &mut BytesMut) {
    let mask = (1 << prefix) - 1;
    match u8::try_from(value) {
        Ok(small) if small < mask => out.put_u8(pattern | small),
        _ => write_groups(pattern | mask, value - usize::from(mask), out),
    }
}

fn write_groups(first: u8, mut rest: usize, out: &mut BytesMut) {
    out.put_u8(first);
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}
