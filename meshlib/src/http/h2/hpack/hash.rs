//! The hash of names and values that the encoder finds its entries by.
//!
//! It has no secret seed: who makes fields collide makes the encoder forget one of them, so that it is sent in full.
//! Nothing takes longer, and what is found is always compared.

/// Odd, and its bits look random (the golden ratio).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes `bytes` on top of `seed`, which may be the hash of what came before them.
#[inline]
pub(super) const fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = seed ^ bytes.len() as u64;
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk() {
        hash = mix(hash, u64::from_le_bytes(*chunk));
        rest = tail;
    }
    mix(hash, tail(bytes, rest))
}

/// What the chunks of eight left over. Longer strings take their last eight bytes, so that there is no loop.
#[inline]
const fn tail(bytes: &[u8], rest: &[u8]) -> u64 {
    if let Some(last) = bytes.last_chunk() {
        return u64::from_le_bytes(*last);
    }
    if let (Some(first), Some(last)) = (rest.first_chunk(), rest.last_chunk()) {
        return (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64;
    }
    match rest {
        [one] => *one as u64,
        [one, two] => (*one as u64) << 8 | *two as u64,
        [one, two, three] => (*one as u64) << 16 | (*two as u64) << 8 | *three as u64,
        _ => 0,
    }
}

/// Both halves of a full product: each bit in changes about half of those out.
#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word) as u128 * MULTIPLIER as u128;
    product as u64 ^ (product >> 64) as u64
}
