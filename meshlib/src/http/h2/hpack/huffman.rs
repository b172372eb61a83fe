//! Strings in Huffman code (RFC 7541, 5.2).
//!
//! There is only a decoder. We send strings as they are: coding would save a quarter of the bytes of new fields, which
//! are few, at the price of a look into a table for each byte.

use super::CompressionError;

/// How many bits each symbol's code has (RFC 7541, appendix B). The code is canonical (shorter codes come first, and
/// those of one length ascend with the symbol), so this is all there is to know about it. The end-of-string symbol,
/// which must not be sent, is the last of those with 30 bits and is left out.
#[rustfmt::skip]
pub(super) const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// The longest code.
const MAX_LENGTH: usize = 30;

/// Codes of up to this many bits, those of nearly all of a header, are found by one look.
const SHORT: usize = 8;

/// The codes of one length. Codes are compared as the upper bits of 32.
#[derive(Clone, Copy)]
struct Row {
    first: u32,
    /// The first code of the next length.
    end: u64,
    /// Where its symbols begin in `Code::symbols`.
    offset: usize,
}

struct Code {
    /// The symbol and length that the next bits stand for; length 0 is a longer one.
    short: [(u8, u8); 1 << SHORT],
    rows: [Row; MAX_LENGTH + 1],
    /// The symbols in the order of their codes.
    symbols: [u8; 256],
}

static CODE: Code = Code::new();

impl Code {
    #[allow(clippy::indexing_slicing, reason = "runs at compile time")]
    const fn new() -> Self {
        let mut code = Self {
            short: [(0, 0); 1 << SHORT],
            rows: [Row { first: 0, end: 0, offset: 0 }; MAX_LENGTH + 1],
            symbols: [0; 256],
        };
        let (mut next, mut count, mut length) = (0_u64, 0, 1);
        while length <= MAX_LENGTH {
            code.rows[length].first = next as u32;
            code.rows[length].offset = count;
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == length {
                    code.symbols[count] = symbol as u8;
                    count += 1;
                    code.fill(symbol as u8, length, next);
                    next += 1 << (32 - length);
                }
                symbol += 1;
            }
            code.rows[length].end = next;
            length += 1;
        }
        code
    }

    /// Notes a code in all the places of `short` that begin with it.
    #[allow(clippy::indexing_slicing, reason = "runs at compile time")]
    const fn fill(&mut self, symbol: u8, length: usize, code: u64) {
        if length > SHORT {
            return;
        }
        let first = (code >> (32 - SHORT)) as usize;
        let mut place = first;
        while place < first + (1 << (SHORT - length)) {
            self.short[place] = (symbol, length as u8);
            place += 1;
        }
    }

    /// The symbol that `bits` begin with, and its length; `None` is the end-of-string symbol.
    #[inline]
    fn symbol(&self, bits: u64) -> Option<(u8, u32)> {
        match self.short.get((bits >> (64 - SHORT)) as usize) {
            Some(&(symbol, length)) if length > 0 => Some((symbol, u32::from(length))),
            _ => self.long_symbol((bits >> 32) as u32),
        }
    }

    #[inline(never)]
    fn long_symbol(&self, code: u32) -> Option<(u8, u32)> {
        let mut rows = (0_u32..).zip(&self.rows).skip(SHORT + 1);
        let (length, row) = rows.find(|(_, row)| u64::from(code) < row.end)?;
        let symbol = row.offset + ((code - row.first) >> (32 - length)) as usize;
        Some((*self.symbols.get(symbol)?, length))
    }
}

/// Makes `out` the string that `coded` stands for.
pub(super) fn decode(mut coded: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    // No code is shorter than five bits. Filling the places of an iterator costs less than growing a `Vec`.
    out.clear();
    out.resize(coded.len() * 8 / 5, 0);
    let mut places = out.iter_mut();
    // The next bits, from the highest on. What lies below the `have` first of them is zero or what `coded` begins with.
    let (mut bits, mut have) = (0_u64, 0_u32);
    while !coded.is_empty() {
        refill(&mut coded, &mut bits, &mut have);
        while have as usize >= MAX_LENGTH {
            let (symbol, length) = CODE.symbol(bits).ok_or(CompressionError)?;
            *places.next().ok_or(CompressionError)? = symbol;
            bits <<= length;
            have -= length;
        }
    }
    loop {
        // Less than a byte of ones pads the last code (RFC 7541, 5.2).
        let padded = bits | u64::MAX >> have;
        if have < 8 && padded == u64::MAX {
            break;
        }
        let (symbol, length) = CODE.symbol(padded).ok_or(CompressionError)?;
        have = have.checked_sub(length).ok_or(CompressionError)?;
        *places.next().ok_or(CompressionError)? = symbol;
        bits <<= length;
    }
    let unused = places.len();
    out.truncate(out.len() - unused);
    Ok(())
}

/// Moves whole bytes from `coded` to `bits`, until there are at least 56 bits or no more bytes.
#[inline]
fn refill(coded: &mut &[u8], bits: &mut u64, have: &mut u32) {
    if let Some(next) = coded.first_chunk() {
        *bits |= u64::from_be_bytes(*next) >> *have;
        let taken = (63 - *have) / 8;
        *coded = coded.get(taken as usize..).unwrap_or_default();
        *have += 8 * taken;
        return;
    }
    while *have < 56
        && let Some((&byte, rest)) = coded.split_first()
    {
        *bits |= u64::from(byte) << (56 - *have);
        *have += 8;
        *coded = rest;
    }
}
