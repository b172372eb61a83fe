//! Frames (RFC 9113, sections 4 and 6): their heads, and the small ones whole.

use bytes::{BufMut, BytesMut};

use super::reason::Reason;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

/// On DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// On SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
/// On HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 0x4;
/// On DATA and HEADERS.
pub(super) const PADDED: u8 = 0x8;
/// HEADERS begin with a priority, which nobody heeds any more (RFC 9113, section 5.3.2).
pub(super) const WITH_PRIORITY: u8 = 0x20;

/// What every client sends first (section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length, type, flags, stream.
pub(super) const HEAD: usize = 9;
/// The largest payload that we take, the least that the protocol allows a limit to be: SETTINGS_MAX_FRAME_SIZE is left
/// at its default.
pub(super) const MAX_PAYLOAD: usize = 16 << 10;

/// The first nine bytes of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn parse([a, b, c, kind, flags, d, e, f, g]: [u8; HEAD]) -> Self {
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // The highest bit is reserved.
        Self { length, kind, flags, stream: u32::from_be_bytes([d & 0x7f, e, f, g]) }
    }

    pub(super) fn bytes(self) -> [u8; HEAD] {
        let [_, .., a, b, c] = self.length.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Takes the padding off a payload; `None` where it is longer than the payload (section 6.1).
pub(super) fn without_padding(head: Head, payload: &[u8]) -> Option<&[u8]> {
    if !head.has(PADDED) {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

fn put(out: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[&[u8]]) {
    let length = payload.iter().map(|part| part.len()).sum();
    out.put_slice(&Head { length, kind, flags, stream }.bytes());
    payload.iter().for_each(|part| out.put_slice(part));
}

pub(super) fn put_reset(out: &mut BytesMut, stream: u32, reason: Reason) {
    put(out, RST_STREAM, 0, stream, &[&reason.0.to_be_bytes()]);
}

pub(super) fn put_ping(out: &mut BytesMut, flags: u8, payload: [u8; 8]) {
    put(out, PING, flags, 0, &[&payload]);
}

pub(super) fn put_goaway(out: &mut BytesMut, last: u32, reason: Reason) {
    put(out, GOAWAY, 0, 0, &[&last.to_be_bytes(), &reason.0.to_be_bytes()]);
}

pub(super) fn put_window_update(out: &mut BytesMut, stream: u32, increment: u32) {
    put(out, WINDOW_UPDATE, 0, stream, &[&increment.to_be_bytes()]);
}

pub(super) fn put_settings(out: &mut BytesMut, flags: u8, settings: &[u8]) {
    put(out, SETTINGS, flags, 0, &[settings]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let head = Head { length: 0x01_0203, kind: HEADERS, flags: END_STREAM, stream: 0x7fff_fffd };
        assert_eq!(head.bytes(), [1, 2, 3, 1, 1, 0x7f, 0xff, 0xff, 0xfd]);
        let reserved = Head::parse([1, 2, 3, 1, 1, 0xff, 0xff, 0xff, 0xfd]);
        assert_eq!((reserved.length, reserved.stream), (head.length, head.stream));
        assert!(reserved.has(END_STREAM) && !reserved.has(PADDED));
    }

    #[test]
    fn padding_is_within_its_payload() {
        let padded = Head { length: 4, kind: DATA, flags: PADDED, stream: 1 };
        assert_eq!(without_padding(padded, b"\x02abc"), Some(&b"a"[..]));
        assert_eq!(without_padding(padded, b"\x03abc"), Some(&b""[..]));
        assert_eq!(without_padding(padded, b"\x04abc"), None);
        assert_eq!(without_padding(padded, b""), None);
        assert_eq!(without_padding(Head { flags: 0, ..padded }, b"\x04abc"), Some(&b"\x04abc"[..]));
    }
}
