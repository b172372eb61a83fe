//! The decoder's edges.

use super::{
    super::{CompressionError, Decoder, Name, Pseudo, integer},
    decode, hex,
};

fn fresh(block: &str) -> Result<Vec<String>, CompressionError> {
    decode(&mut Decoder::new(4096), &hex(block))
}

#[test]
fn integers() {
    let read = |bytes: &[u8]| {
        let (first, mut rest) = bytes.split_first().unwrap();
        integer::read(*first, 5, &mut rest).map(|value| (value, rest.len()))
    };
    // RFC 7541, C.1.
    assert_eq!(read(&[0b1110_1010]), Ok((10, 0)));
    assert_eq!(read(&[0b0001_1111, 0b1001_1010, 0b0000_1010]), Ok((1337, 0)));
    assert_eq!(read(&[0x1e, 7]), Ok((30, 1)));
    assert_eq!(read(&[0x1f, 0, 7]), Ok((31, 1)));
    // The largest, the next, and one with padding.
    assert_eq!(read(&[0x1f, 0xe1, 0xff, 0xff, 0x7f]), Ok((1 << 28, 0)));
    assert!(read(&[0x1f, 0xe2, 0xff, 0xff, 0x7f]).is_err());
    assert_eq!(read(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0]), Ok((31, 0)));
    assert!(read(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0]).is_err());
    assert!(read(&[0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
    assert!(read(&[0x1f]).is_err());
    assert!(read(&[0x1f, 0x80]).is_err());
    for prefix in 4..8 {
        for value in (0..1000).chain([16_383, 16_384, 1 << 21, 1 << 28]) {
            let mut out = bytes::BytesMut::new();
            integer::write(0, prefix, value, &mut out);
            assert_eq!(integer::read(out[0], prefix, &mut &out[1..]), Ok(value));
        }
    }
}

#[test]
fn static_entries() {
    let names = |index: u8| fresh(&format!("{:02x}", 0x80 | index)).unwrap().concat();
    assert_eq!(names(1), ":authority: ");
    assert_eq!(names(14), ":status: 500");
    assert_eq!(names(15), "accept-charset: ");
    assert_eq!(names(16), "accept-encoding: gzip, deflate");
    assert_eq!(names(61), "www-authenticate: ");
    assert!(fresh("80").is_err());
    assert!(fresh("be").is_err());
    assert!(fresh("ff 00").is_err());
    assert!(fresh("7e 00").is_err(), "a name out of range");
}

#[test]
fn truncated_blocks() {
    let block = hex("82 40 03 612d62 01 63 0f 2f 01 64 40 81 1f 81 1f be");
    assert!(decode(&mut Decoder::new(4096), &block).is_ok());
    let whole = [0, 1, 8, 12, 17, 18];
    for end in 0..=block.len() {
        let result = decode(&mut Decoder::new(4096), &block[..end]);
        assert_eq!(result.is_ok(), whole.contains(&end), "{end}");
    }
}

#[test]
fn sizes_change_only_at_the_beginning_and_within_the_limit() {
    assert_eq!(fresh("20 3f e1 1f 82").unwrap(), [":method: GET"]);
    assert!(fresh("3f e2 1f").is_err(), "4097");
    assert!(fresh("82 20").is_err());
    // An entry is gone after the table was empty.
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &hex("40 01 61 01 62")).unwrap();
    assert_eq!(decode(&mut decoder, &hex("be")).unwrap(), ["a: b"]);
    assert!(decode(&mut decoder, &hex("20 3f e1 1f be")).is_err());
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::new(4096);
    // 34 bytes fit, and a second one of 35 only without the first.
    assert_eq!(decode(&mut decoder, &hex("3f 04 40 01 61 01 62 be")).unwrap(), ["a: b"; 2]);
    assert_eq!(decode(&mut decoder, &hex("40 01 61 02 62 63 be")).unwrap(), ["a: bc"; 2]);
    assert!(decode(&mut decoder, &hex("bf")).is_err());
    assert_eq!(decode(&mut decoder, &hex("40 01 61 03 62 63 64")).unwrap(), ["a: bcd"]);
    assert!(decode(&mut decoder, &hex("be")).is_err());
}

#[test]
fn what_is_not_allowed_keeps_the_block_in_sync() {
    for field in ["0141 0162", "0220 61 00", "00 00", "043a666f6f 00", "0161 010a", "0161 017f", "0161 0100"] {
        let block = format!("00 {field} 82 40 {field} be 7e 0163 bf");
        let mut decoder = Decoder::new(4096);
        let fields = decode(&mut decoder, &hex(&block)).unwrap();
        assert_eq!([&fields[0], &fields[1], &fields[2], &fields[3]], ["invalid", ":method: GET", "invalid", "invalid"]);
        // A name that was fine is so with another value.
        assert_eq!(fields[4], if field.starts_with("0161") { "a: c" } else { "invalid" });
        assert_eq!(fields[5], "invalid");
    }
}

#[test]
fn an_invalid_entry_has_its_real_size() {
    // The table holds 70 bytes: two entries of 35, "A: bc" and "d: ef"; a third drives out the first alone.
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &hex("3f 27 40 01 41 02 62 63 40 01 64 02 65 66")).unwrap();
    assert_eq!(decode(&mut decoder, &hex("bf be")).unwrap(), ["invalid", "d: ef"]);
    // By reference to the invalid name, whose length counts.
    assert_eq!(decode(&mut decoder, &hex("7f 00 02 62 63 bf")).unwrap(), ["invalid", "d: ef"]);
    assert!(decode(&mut decoder, &hex("c0")).is_err());
}

#[test]
fn literal_names_of_pseudo_header_fields() {
    let mut decoder = Decoder::new(4096);
    let mut names = Vec::new();
    let block = [&b"\0\x05:path\x01/"[..], b"\0\x09:protocol\x01w"].concat();
    decoder.decode(&block, |name, _| names.push(name)).unwrap();
    assert_eq!(names, [Name::Pseudo(Pseudo::Path), Name::Pseudo(Pseudo::Protocol)]);
}

#[test]
fn never_indexed_values_are_sensitive() {
    let mut sensitive = Vec::new();
    let block = hex("10 01 61 01 62  00 01 61 01 62  40 01 61 01 62");
    Decoder::new(4096).decode(&block, |_, value| sensitive.push(value.is_sensitive())).unwrap();
    assert_eq!(sensitive, [true, false, false]);
}

#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
}
