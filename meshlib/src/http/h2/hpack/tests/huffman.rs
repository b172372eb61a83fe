//! The Huffman code, checked with a slow encoder.

use super::{
    super::{
        CompressionError,
        huffman::{LENGTHS, decode},
    },
    Numbers,
};

/// The codes as numbers: canonical, as in `huffman`, but counted one by one.
fn codes() -> Vec<u32> {
    let mut codes = vec![0; 256];
    let mut next = 0;
    for length in 5..=30 {
        next <<= 1;
        for (code, _) in codes.iter_mut().zip(LENGTHS).filter(|(_, of)| *of == length) {
            *code = next;
            next += 1;
        }
    }
    codes
}

/// The code of `text` as bits, without padding.
pub(super) fn bits(text: &[u8]) -> Vec<bool> {
    let codes = codes();
    let bits = |symbol: &u8| {
        let (code, length) = (codes[usize::from(*symbol)], LENGTHS[usize::from(*symbol)]);
        (0..length).rev().map(move |bit| code >> bit & 1 == 1)
    };
    text.iter().flat_map(bits).collect()
}

pub(super) fn pack(mut bits: Vec<bool>, padding: bool) -> Vec<u8> {
    bits.resize(bits.len().next_multiple_of(8), padding);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

fn decoded(coded: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    decode(coded, &mut out).map(|()| out)
}

#[test]
fn known_codes() {
    // RFC 7541, appendix B.
    let codes = codes();
    assert_eq!([codes[b'0' as usize], codes[b'a' as usize], codes[b'z' as usize]], [0, 3, 0x7b]);
    assert_eq!([codes[0], codes[22], codes[255], codes[b'\\' as usize]], [0x1ff8, 0x3fff_fffe, 0x03ff_ffee, 0x7fff0]);
}

#[test]
fn each_symbol_between_any_others() {
    for symbol in 0..=255 {
        for text in [vec![symbol], vec![symbol; 9], vec![b'a', symbol, 255, symbol, b'0'], vec![b'/', symbol]] {
            assert_eq!(decoded(&pack(bits(&text), true)).unwrap(), text);
        }
    }
}

#[test]
fn random_text() {
    let mut numbers = Numbers(1);
    for _ in 0..2_000 {
        let text: Vec<u8> = (0..numbers.next(40)).map(|_| numbers.next(256) as u8).collect();
        assert_eq!(decoded(&pack(bits(&text), true)).unwrap(), text);
        let text: Vec<u8> = (0..numbers.next(40)).map(|_| b'a' + numbers.next(26) as u8).collect();
        assert_eq!(decoded(&pack(bits(&text), true)).unwrap(), text);
    }
}

#[test]
fn padding_is_less_than_a_byte_of_ones() {
    assert_eq!(decoded(b"").unwrap(), b"");
    for text in [&b"a"[..], b"0123456789", b"ab", b"abc", b"://///////", b"&&&&&&&&"] {
        let bits = bits(text);
        let padded = pack(bits.clone(), true);
        assert_eq!(decoded(&padded).unwrap(), text);
        assert!(decoded(&[&padded[..], &[0xff]].concat()).is_err());
        assert!(decoded(&[&padded[..], &[0xff; 9]].concat()).is_err());
        if !bits.len().is_multiple_of(8) {
            assert_ne!(decoded(&pack(bits, false)), Ok(text.to_vec()));
        }
    }
    assert!(decoded(&[0xff]).is_err());
    // `a` and two zeros, which are not enough for `0`.
    assert!(decoded(&[0b0001_1000]).is_err());
}

#[test]
fn the_end_of_string_symbol_is_an_error() {
    assert!(decoded(&[0xff; 4]).is_err());
    assert!(decoded(&[0xff, 0xff, 0xff, 0xfc]).is_err());
    let text = [bits(b"abc"), vec![true; 30], bits(b"abcdefghijk")].concat();
    assert!(decoded(&pack(text, true)).is_err());
}
