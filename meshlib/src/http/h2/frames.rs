//! Following frames through bytes that pass by (RFC 9113, section 4.1), without keeping a payload.

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

/// On DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// On HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 0x4;

/// Length, type, flags, stream.
pub(super) const HEADER: usize = 9;
/// Where a head has its type, and its flags.
const KIND: usize = 3;
pub(super) const FLAGS: usize = 4;
/// A reset says its reason in the four bytes behind its header.
const RESET: usize = HEADER + 4;

/// Where the bytes of one direction of a connection stand.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the client preface that come before the first frame.
    preface: usize,
    head: [u8; RESET],
    /// How much of `head` is there.
    len: usize,
    payload: usize,
}

impl Frames {
    /// Frames that follow `preface` other bytes.
    pub(super) fn after(preface: usize) -> Self {
        Self { preface, head: [0; RESET], len: 0, payload: 0 }
    }

    /// How many of the next `available` bytes belong to no head.
    pub(super) fn skip(&mut self, available: usize) -> usize {
        let preface = self.preface.min(available);
        self.preface -= preface;
        let payload = self.payload.min(available - preface);
        self.payload -= payload;
        preface + payload
    }

    /// Takes the next byte of a head: whether that completes it. Then [`payload`](Self::payload) is next.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if let Some(slot) = self.head.get_mut(self.len) {
            *slot = byte;
        }
        self.len += 1;
        let wanted = if self.kind() == RST_STREAM && self.length() == RESET - HEADER { RESET } else { HEADER };
        self.len >= HEADER && self.len >= wanted
    }

    /// Takes a whole head at once, where `bytes` begin with one: 9 bytes, and three times as fast as one by one.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let (0, Some(head)) = (self.len, bytes.first_chunk::<HEADER>()) else { return false };
        // A reset's head is longer.
        if head.get(KIND) == Some(&RST_STREAM) {
            return false;
        }
        if let Some(place) = self.head.first_chunk_mut() {
            (*place, self.len) = (*head, HEADER);
        }
        true
    }

    /// The head has been looked at.
    pub(super) fn payload(&mut self) {
        self.payload = self.length().saturating_sub(self.len.saturating_sub(HEADER));
        self.len = 0;
    }

    /// Calls `each` at every head that is complete in `bytes`.
    pub(super) fn follow(&mut self, bytes: &[u8], mut each: impl FnMut(&Self)) {
        let mut at = self.skip(bytes.len());
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let whole = self.take(rest);
            at += if whole { HEADER } else { 1 };
            if whole || rest.first().is_some_and(|byte| self.push(*byte)) {
                each(self);
                self.payload();
                at += self.skip(bytes.len() - at);
            }
        }
    }

    /// How many bytes of the head have come.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The last byte comes once more.
    pub(super) fn rewind_one(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// Whether a payload is under way.
    pub(super) fn is_in_payload(&self) -> bool {
        self.payload > 0
    }

    /// The payload's length.
    pub(super) fn length(&self) -> usize {
        let [high, middle, low, ..] = self.head;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }

    pub(super) fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.head;
        kind
    }

    /// Makes the frame one of another type.
    pub(super) fn set_kind(&mut self, other: u8) {
        let [_, _, _, kind, ..] = &mut self.head;
        *kind = other;
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        let [_, _, _, _, flags, ..] = self.head;
        flags & flag != 0
    }

    pub(super) fn stream(&self) -> u32 {
        let [_, _, _, _, _, a, b, c, d, ..] = self.head;
        // The highest bit is reserved.
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    /// Why, of a reset.
    pub(super) fn reason(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        u32::from_be_bytes([a, b, c, d])
    }
}
