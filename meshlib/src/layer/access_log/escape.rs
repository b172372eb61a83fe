//! Text from outside, made harmless for a log.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

/// Appends a value as text. What is no text, and what a terminal or a line reader would obey, is escaped: control
/// characters as `\u{7}` and stray bytes as `\xff`. Quotes stay as they are, as in Envoy's lines.
pub(super) fn push(line: &mut BytesMut, value: &[u8]) {
    // To the end, whatever comes: so the compiler looks at 16 bytes at once.
    if value.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~')) {
        line.put_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') {
                // Writing to the buffer does not fail: it grows.
                let _ = write!(line, "{}", letter.escape_default());
            } else {
                line.put_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        for (value, expected) in [
            (&b"curl/8 \"x\" \\n"[..], "curl/8 \"x\" \\n"),
            (b"a\r\nb\tc\x00", "a\\r\\nb\\tc\\u{0}"),
            (b"\x1b[31m\x7f", "\\u{1b}[31m\\u{7f}"),
            ("é\u{85}\u{2028}".as_bytes(), "é\\u{85}\\u{2028}"),
            (b"\xff\xc3", "\\xff\\xc3"),
        ] {
            let mut line = BytesMut::new();
            push(&mut line, value);
            assert_eq!(line, expected);
        }
    }
}
