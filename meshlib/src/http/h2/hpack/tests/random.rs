//! Long runs with random fields and random bytes.

use super::{
    super::{Decoder, Encoder},
    Numbers, decode, encode,
};

const FIELDS: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
const BLOCKS: usize = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };

const NAMES: [&str; 8] = [":path", ":authority", "cookie", "via", "x-a", "x-bb", "x-request-id", "content-type"];

/// Names and values some of which come often, some rarely, and some never again.
fn random_field(numbers: &mut Numbers) -> (&'static str, String) {
    let name = NAMES[numbers.next(NAMES.len())];
    let kinds = [5, 100, 1_000_000][numbers.next(3)];
    let value = numbers.next(kinds).to_string();
    (name, value.repeat(1 + numbers.next(2) * numbers.next(40)))
}

#[test]
fn both_tables_stay_in_sync() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let mut numbers = Numbers(7);
    let (mut sent, mut bytes, mut text) = (0, 0, 0);
    while sent < FIELDS {
        let fields: Vec<_> = (0..numbers.next(12)).map(|_| random_field(&mut numbers)).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if numbers.next(50) == 0 {
            encoder.resize(numbers.next(6000) as u32 * numbers.next(4) as u32);
        }
        let block = encode(&mut encoder, &fields);
        let expected: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(decode(&mut decoder, &block).unwrap(), expected);
        sent += fields.len();
        bytes += block.len();
        text += expected.concat().len();
    }
    assert!(bytes * 10 < text * 9, "{bytes} of {text}");
}

#[test]
fn random_and_mutated_blocks_do_not_panic() {
    let mut numbers = Numbers(3);
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(4096);
    let mut good = 0;
    for _ in 0..BLOCKS {
        let mut block: Vec<u8> = (0..numbers.next(24)).map(|_| numbers.next(256) as u8).collect();
        if numbers.next(2) == 0 {
            let (name, value) = random_field(&mut numbers);
            block = encode(&mut encoder, &[(name, &value), ("a", "b")]);
            let place = numbers.next(block.len());
            block[place] = numbers.next(256) as u8;
        }
        match decoder.decode(&block, |_, _| {}) {
            Ok(()) => good += 1,
            Err(_) => (encoder, decoder) = (Encoder::new(), Decoder::new(4096)),
        }
    }
    assert!(good > BLOCKS / 20, "{good} of {BLOCKS}");
}
