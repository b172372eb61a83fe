//! `DataSource`: a file's name, or the bytes themselves.

use std::path::PathBuf;

use crate::{
    envoy::reader::{FromConfig, FromValue, Read, Reader, Unsupported, Value},
    proxy::config::DataSource,
};

impl FromConfig for DataSource {
    const MESSAGE: &'static str = "data_source";
    const UNSUPPORTED: &'static [Unsupported] = &[("a value from the environment", &["environment_variable"])];
    const HARMLESS: &'static [crate::envoy::reader::Harmless] =
        &[("watched_directory", "files are watched through every link, unasked")];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let filename = reader.optional::<String>("filename");
        let string = reader.optional::<String>("inline_string");
        let bytes = reader.optional::<Base64>("inline_bytes");
        if !reader.is_set("environment_variable") {
            reader.exactly_one_of(&["filename", "inline_string", "inline_bytes"])?;
        }
        Ok(match (filename?, string?, bytes?) {
            (Some(filename), ..) => Self::File(PathBuf::from(filename)),
            (_, Some(string), _) => Self::Inline(string.into_bytes().into()),
            (.., bytes) => Self::Inline(bytes.unwrap_or_default().0.into()),
        })
    }
}

/// Bytes as protobuf's JSON writes them: base64 of either alphabet, padded or not.
#[derive(Debug, Default)]
struct Base64(Vec<u8>);

impl FromValue for Base64 {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let text = value.read::<String>()?;
        decode(&text).map(Self).ok_or_else(|| value.invalid("base64"))
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    // A single digit is less than a byte; left-over bits of the last digit must be zero.
    let rest = bits & ((1 << count) - 1);
    (count < 6 && rest == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn base64() {
        assert_eq!(decode("aGVsbG8=").unwrap(), b"hello");
        assert_eq!(decode("aGVsbG8").unwrap(), b"hello");
        assert_eq!(decode("+/-_").unwrap(), [0xfb, 0xff, 0xbf]);
        assert_eq!(decode("").unwrap(), b"");
        for text in ["a", "a===", "aGVsbG9=", "aG!s", "aG s"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
