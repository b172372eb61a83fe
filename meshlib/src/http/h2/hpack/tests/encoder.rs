//! What the encoder sends, and what it remembers.

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, header};

use super::{
    super::{Decoder, Encoder, Name, Pseudo, static_table},
    decode, encode, hex,
};

#[test]
fn full_static_matches_are_one_byte() {
    for index in 1..=static_table::LEN {
        let (name, value) = static_table::entry(index).unwrap();
        let name = match &name {
            Name::Pseudo(name) => name.as_str(),
            Name::Field(name) => name.as_str(),
            Name::Invalid => panic!(),
        };
        assert_eq!(encode(&mut Encoder::new(), &[(name, value.to_str().unwrap())]), [0x80 | index as u8]);
    }
}

#[test]
fn names_of_the_static_table_are_indices() {
    assert_eq!(encode(&mut Encoder::new(), &[("via", "a")]), hex("0f 2d 01 61"));
    assert_eq!(encode(&mut Encoder::new(), &[(":path", "/a")]), hex("04 02 2f61"));
    assert_eq!(encode(&mut Encoder::new(), &[(":protocol", "a")]), b"\0\x09:protocol\x01a");
    assert_eq!(encode(&mut Encoder::new(), &[("vib", "a")]), b"\0\x03vib\x01a");
}

#[test]
fn the_second_sighting_enters_the_table() {
    let mut encoder = Encoder::new();
    let fields = [(":authority", "a"), ("b", "c")];
    assert_eq!(encode(&mut encoder, &fields), hex("01 01 61  00 01 62 01 63"));
    assert_eq!(encode(&mut encoder, &fields), hex("41 01 61  40 01 62 01 63"));
    assert_eq!(encode(&mut encoder, &fields), hex("bf be"));
    // Another value, by a name of the dynamic table.
    assert_eq!(encode(&mut encoder, &[("b", "d")]), hex("0f 2f 01 64"));
    assert_eq!(encode(&mut encoder, &[("b", "d")]), hex("7e 01 64"));
    assert_eq!(encode(&mut encoder, &[("b", "d"), ("b", "c")]), hex("be bf"));
}

#[test]
fn secrets_stay_out_of_the_table() {
    let mut encoder = Encoder::new();
    for _ in 0..3 {
        assert_eq!(encode(&mut encoder, &[("cookie", "a")]), hex("0f 11 01 61"));
        assert_eq!(encode(&mut encoder, &[("set-cookie", "a")]), hex("0f 28 01 61"));
        assert_eq!(encode(&mut encoder, &[("authorization", "a")]), hex("0f 08 01 61"));
        assert_eq!(encode(&mut encoder, &[("proxy-authorization", "a")]), hex("0f 22 01 61"));
        let mut out = BytesMut::new();
        let mut value = HeaderValue::from_static("gzip, deflate");
        value.set_sensitive(true);
        encoder.field(&header::ACCEPT_ENCODING, &value, &mut out);
        assert_eq!(out, b"\x1f\x01\x0dgzip, deflate"[..]);
    }
}

#[test]
fn large_fields_stay_out_of_the_table() {
    let mut encoder = Encoder::new();
    let value = "v".repeat(2048);
    for _ in 0..3 {
        assert!(encode(&mut encoder, &[("a", &value)]).len() > 2048);
    }
}

#[test]
fn unique_values_do_not_drive_out_others() {
    let mut encoder = Encoder::new();
    let mut sent = Vec::new();
    for message in 0..1_000 {
        sent = encode(&mut encoder, &[("x-request-id", &format!("{message:036}")), ("x-team", "mesh")]);
    }
    assert_eq!(sent.len(), 1 + 13 + 37 + 1);
    assert_eq!(sent.last(), Some(&0xbe));
}

#[test]
fn a_change_of_size_is_announced_once() {
    let mut encoder = Encoder::new();
    encoder.resize(4096);
    encoder.resize(u32::MAX);
    assert_eq!(encode(&mut encoder, &[]), []);
    encoder.resize(30);
    assert_eq!(encode(&mut encoder, &[]), [0x20 | 30]);
    assert_eq!(encode(&mut encoder, &[]), []);
    encoder.resize(4096);
    assert_eq!(encode(&mut encoder, &[]), hex("3f e1 1f"));
    // Down and up again: the peer's table lost its entries.
    for _ in 0..2 {
        encode(&mut encoder, &[("a", "b")]);
    }
    encoder.resize(10);
    encoder.resize(5);
    encoder.resize(8192);
    assert_eq!(encode(&mut encoder, &[("a", "b")]), hex("25 3f e1 1f 00 01 61 01 62"));
}

#[test]
fn a_smaller_table_keeps_the_newest() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let fields = [("a", "b"), ("c", "d"), ("e", "f")];
    for _ in 0..2 {
        decode(&mut decoder, &encode(&mut encoder, &fields)).unwrap();
    }
    encoder.resize(100);
    let block = encode(&mut encoder, &[("e", "f"), ("c", "d"), ("a", "b")]);
    assert_eq!(block, hex("3f 45 be bf 00 01 61 01 62"));
    assert_eq!(decode(&mut decoder, &block).unwrap(), ["e: f", "c: d", "a: b"]);
}

#[test]
fn without_a_table_nothing_is_remembered() {
    let mut encoder = Encoder::new();
    encoder.resize(0);
    assert_eq!(encode(&mut encoder, &[("a", "b")]), hex("20 00 01 61 01 62"));
    for _ in 0..3 {
        assert_eq!(encode(&mut encoder, &[("a", "b"), (":method", "GET")]), hex("00 01 61 01 62 82"));
    }
}

#[test]
fn all_standard_names_are_found() {
    for index in 15..=static_table::LEN {
        let Some(Name::Field(name)) = static_table::name(index) else { panic!() };
        let hash = super::super::hash::hash(static_table::NAME_SEED, name.as_str().as_bytes());
        assert_eq!(static_table::field_index(name.as_str(), hash), Some(index));
    }
    let mut out = BytesMut::new();
    Encoder::new().pseudo(Pseudo::Status, b"201", &mut out);
    assert_eq!(out, b"\x08\x03201"[..]);
    Encoder::new().field(&HeaderName::from_static("x"), &HeaderValue::from_static(""), &mut out);
    assert_eq!(out, b"\x08\x03201\0\x01x\0"[..]);
}
