//! Looks at the frames that a peer sends, as their bytes pass by.
//!
//! The meter never buffers a payload. It follows the nine bytes of each frame header (RFC 9113, section 4.1), counts
//! what costs us work without being a request, and turns an empty DATA frame into one of an unknown type, which
//! receivers ignore (section 5.5).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::blocks::{BlockLimits, Blocks};

const HEADER: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// Not assigned by any RFC, so receivers discard it.
const IGNORED: u8 = 0xfa;

/// What the meter has seen, readable by whoever drives the connection.
#[derive(Debug)]
pub(crate) struct Seen {
    settings: AtomicBool,
    goaway: AtomicBool,
    flooded: AtomicBool,
    blocks: Blocks,
}

impl Seen {
    fn new(limits: BlockLimits) -> Self {
        let [settings, goaway, flooded] = [const { AtomicBool::new(false) }; 3];
        Self { settings, goaway, flooded, blocks: Blocks::new(limits) }
    }

    /// The header blocks that came.
    pub(crate) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Whether the peer's SETTINGS have come.
    pub(crate) fn settings(&self) -> bool {
        self.settings.load(Ordering::Relaxed)
    }

    /// Whether the peer said GOAWAY: no new stream will be served.
    pub(crate) fn goaway(&self) -> bool {
        self.goaway.load(Ordering::Relaxed)
    }

    /// Whether the peer sends more frames without requests than any honest one: the connection has to go.
    pub(crate) fn flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }
}

/// Allows a burst, then a rate. The clock is read only when the burst is used up; what was earned since the last time
/// counts then, so a burst after a long calm may be twice as long.
#[derive(Debug)]
struct TokenBucket {
    tokens: u32,
    burst: u32,
    per_second: u32,
    refilled: Instant,
}

impl TokenBucket {
    fn new(burst: u32, per_second: u32) -> Self {
        Self { tokens: burst, burst, per_second, refilled: Instant::now() }
    }

    fn take(&mut self) -> bool {
        if self.tokens == 0 {
            let elapsed = self.refilled.elapsed();
            let earned = elapsed.as_millis() * u128::from(self.per_second) / 1000;
            self.tokens = u32::try_from(earned).unwrap_or(u32::MAX).min(self.burst);
            if self.tokens > 0 {
                self.refilled += elapsed.min(Duration::from_secs(3600));
            }
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

/// Follows the frames of one direction of a connection.
#[derive(Debug)]
pub(crate) struct FrameMeter {
    seen: Arc<Seen>,
    /// Bytes of the client preface that come before the first frame.
    preface: usize,
    header: [u8; HEADER],
    header_len: usize,
    payload: usize,
    /// The length so far of the header block that is being read.
    block: usize,
    resets: TokenBucket,
    control: TokenBucket,
    window_updates: TokenBucket,
}

impl FrameMeter {
    /// A meter of frames that follow `preface` other bytes.
    pub(crate) fn new(preface: usize, limits: BlockLimits) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::new(limits));
        let meter = Self {
            seen: seen.clone(),
            preface,
            header: [0; HEADER],
            header_len: 0,
            payload: 0,
            block: 0,
            // The figures of nghttp2, which Envoy uses: a burst of 1000 resets, then 33 a second.
            resets: TokenBucket::new(1000, 33),
            control: TokenBucket::new(1000, 33),
            window_updates: TokenBucket::new(100_000, 50_000),
        };
        (meter, seen)
    }

    /// Looks at the next bytes. Answers how many of them, all but the last one at most, may be passed on now: the type
    /// of an empty DATA frame waits for its flags.
    pub(crate) fn inspect(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = self.skip(bytes.len());
        while at < bytes.len() {
            if let (Some(slot), Some(byte)) = (self.header.get_mut(self.header_len), bytes.get(at)) {
                *slot = *byte;
            }
            self.header_len += 1;
            at += 1;
            match self.header_len {
                5 if self.is_empty_data() => self.hide(bytes, at),
                HEADER => {
                    self.count();
                    self.header_len = 0;
                    self.payload = self.length();
                    at += self.skip(bytes.len() - at);
                }
                _ => {}
            }
        }
        let type_without_flags = self.header_len == 4 && self.length() == 0 && self.kind() == DATA;
        bytes.len() - usize::from(type_without_flags)
    }

    /// The byte that [`inspect`](Self::inspect) kept back is about to be inspected again.
    pub(crate) fn rewind_one(&mut self) {
        self.header_len = self.header_len.saturating_sub(1);
    }

    fn skip(&mut self, available: usize) -> usize {
        let preface = self.preface.min(available);
        self.preface -= preface;
        let payload = self.payload.min(available - preface);
        self.payload -= payload;
        preface + payload
    }

    fn length(&self) -> usize {
        let [high, middle, low, ..] = self.header;
        usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
    }

    fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.header;
        kind
    }

    fn flags(&self) -> u8 {
        let [_, _, _, _, flags, ..] = self.header;
        flags
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.header;
        // The first bit is reserved.
        u32::from_be_bytes([a, b, c, d]) & (u32::MAX >> 1)
    }

    fn is_empty_data(&self) -> bool {
        self.length() == 0 && self.kind() == DATA && self.flags() & END_STREAM == 0
    }

    /// `at` is behind the flags, so the type is two bytes back.
    fn hide(&mut self, bytes: &mut [u8], at: usize) {
        if let Some(kind) = at.checked_sub(2).and_then(|kind| bytes.get_mut(kind)) {
            *kind = IGNORED;
            self.header[3] = IGNORED;
        }
    }

    fn count(&mut self) {
        let allowed = match self.kind() {
            RST_STREAM => self.resets.take(),
            SETTINGS => {
                self.seen.settings.store(true, Ordering::Relaxed);
                self.control.take()
            }
            PRIORITY | PING | IGNORED => self.control.take(),
            WINDOW_UPDATE => self.window_updates.take(),
            HEADERS | CONTINUATION => {
                self.block();
                true
            }
            GOAWAY => {
                self.seen.goaway.store(true, Ordering::Relaxed);
                true
            }
            _ => true,
        };
        if !allowed {
            self.seen.flooded.store(true, Ordering::Relaxed);
        }
    }

    fn block(&mut self) {
        self.block = self.block.saturating_add(self.length());
        if self.flags() & END_HEADERS != 0 {
            self.seen.blocks.note(self.stream(), std::mem::take(&mut self.block));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [.., high, middle, low] = payload.len().to_be_bytes();
        let mut frame = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    /// Feeds `bytes` in chunks of `size` the way the adapter does, and returns what comes out.
    fn feed(meter: &mut FrameMeter, bytes: &[u8], size: usize) -> Vec<u8> {
        let (mut out, mut held) = (Vec::new(), Vec::new());
        for chunk in bytes.chunks(size) {
            if !held.is_empty() {
                meter.rewind_one();
            }
            let mut chunk = [std::mem::take(&mut held), chunk.to_vec()].concat();
            let passed = meter.inspect(&mut chunk);
            held = chunk.split_off(passed);
            out.extend(chunk);
        }
        out
    }

    #[tokio::test]
    async fn empty_data_is_hidden_however_the_bytes_are_cut() {
        let stream =
            [frame(DATA, 0, b""), frame(DATA, 0, b"hello"), frame(DATA, END_STREAM, b""), frame(PING, 0, &[0; 8])]
                .concat();
        let expected =
            [frame(IGNORED, 0, b""), frame(DATA, 0, b"hello"), frame(DATA, END_STREAM, b""), frame(PING, 0, &[0; 8])]
                .concat();
        for size in 1..=stream.len() {
            let (mut meter, _) = FrameMeter::new(0, BlockLimits::tight(1024));
            assert_eq!(feed(&mut meter, &stream, size), expected, "chunks of {size}");
        }
    }

    #[tokio::test]
    async fn header_blocks_are_measured_over_all_their_frames() {
        let parts = [frame(HEADERS, 0, &[0; 3000]), frame(CONTINUATION, END_HEADERS, &[0; 2000])];
        let headers = [("x".parse().unwrap(), "y".parse().unwrap())].into_iter().collect();
        for size in [1, 7, 10_000] {
            let (mut meter, seen) = FrameMeter::new(0, BlockLimits::tight(8000));
            feed(&mut meter, &[&parts[0][..], &frame(HEADERS, END_HEADERS, b"short")].concat(), size);
            assert!(seen.blocks().fit(1, &headers), "3000 bytes cannot hold a field of 8000");
            feed(&mut meter, &parts.concat(), size);
            assert!(!seen.blocks().fit(1, &headers), "5000 can");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn floods_are_seen_and_a_slow_trickle_is_not() {
        let (mut meter, seen) = FrameMeter::new(24, BlockLimits::tight(1024));
        meter.inspect(&mut [0; 24]);
        for _ in 0..1000 {
            meter.inspect(&mut frame(PING, 0, &[0; 8]));
        }
        assert!(!seen.flooded());
        for _ in 0..300 {
            tokio::time::advance(Duration::from_millis(100)).await;
            meter.inspect(&mut frame(PING, 0, &[0; 8]));
        }
        assert!(!seen.flooded());
        for _ in 0..2001 {
            meter.inspect(&mut frame(RST_STREAM, 0, &[0; 4]));
        }
        assert!(seen.flooded());
        assert!(!seen.goaway());
        meter.inspect(&mut frame(GOAWAY, 0, &[0; 8]));
        assert!(seen.goaway());
    }
}
