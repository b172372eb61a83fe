//! Looks at the frames of a connection, as their bytes pass by.
//!
//! The meter never buffers a payload. It counts what costs us work without being a request, in both directions, notes
//! what `h2` does not tell (SETTINGS, GOAWAY, the length of trailers), and turns an empty DATA frame into one of an
//! unknown type, which receivers ignore (RFC 9113, section 5.5).
//!
//! What is limited is what no honest peer needs. Work pays for itself: a client may send a PING for every DATA frame
//! it gets, as those that measure the bandwidth do, and reset as many streams as it lets us answer.

use std::sync::Arc;

use h2::Reason;

use super::{
    bucket::TokenBucket,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, FLAGS, Frames, GOAWAY, HEADER, HEADERS, PUSH_PROMISE, RST_STREAM,
        SETTINGS, WINDOW_UPDATE,
    },
    limits::HeadLimits,
    seen::{LONG_BLOCK, Seen},
};

/// Not assigned by any RFC, so receivers discard it.
const IGNORED: u8 = 0xfa;

/// The length of the client preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// The most bytes of header blocks that are read in one turn. Decoded they may take a hundred times as much.
const HEADS_PER_TURN: usize = 16 << 10;

/// DATA frames below this take more room for themselves than for their data.
const SMALL: usize = 256;
/// How many of them may come until those that nobody has read are joined.
const SMALL_FRAMES: u32 = 2048;

/// Which end of the connection is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The peer sends requests.
    Server,
    /// We send requests; the peer is a host.
    Client,
}

/// The limits of one connection.
#[derive(Debug)]
struct Limits {
    /// Streams that the client gives up: a burst and a rate as nghttp2 has them, and one for each answer.
    resets: TokenBucket,
    /// Streams that we reset because the peer broke the protocol on them.
    faults: TokenBucket,
    /// SETTINGS: each costs a walk over all streams.
    settings: TokenBucket,
    /// PING, PRIORITY, unknown and empty frames: one for each DATA or HEADERS frame in either direction.
    control: TokenBucket,
    /// What costs next to nothing: WINDOW_UPDATE, DATA for a stream that we have reset. Ten for each DATA frame sent.
    cheap: TokenBucket,
}

impl Limits {
    fn new() -> Self {
        Self {
            resets: TokenBucket::new(1000, 33),
            faults: TokenBucket::new(250, 33),
            settings: TokenBucket::new(200, 10),
            control: TokenBucket::new(1000, 33),
            cheap: TokenBucket::new(100_000, 10_000),
        }
    }
}

/// Follows the frames of both directions of a connection.
#[derive(Debug)]
pub(super) struct FrameMeter {
    seen: Arc<Seen>,
    role: Role,
    incoming: Frames,
    outgoing: Frames,
    limits: Limits,
    /// The client's newest stream.
    newest: u32,
    /// The newest stream whose head was sent.
    opened: u32,
    /// Of the header block that is under way, or was last.
    block: Block,
    /// Bytes of header blocks since the turn began.
    head_bytes: usize,
    /// Small DATA frames since they were last joined.
    small_frames: u32,
    /// Enough for one turn.
    turn_over: bool,
}

#[derive(Debug, Default)]
struct Block {
    /// Counted from 1.
    number: u32,
    stream: u32,
    length: usize,
    trailers: bool,
    open: bool,
}

impl FrameMeter {
    /// A meter of a connection that has just been made.
    pub(super) fn new(role: Role, limits: HeadLimits) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::new(limits));
        let (incoming, outgoing) = if role == Role::Server { (PREFACE, 0) } else { (0, PREFACE) };
        let meter = Self {
            seen: seen.clone(),
            role,
            incoming: Frames::after(incoming),
            outgoing: Frames::after(outgoing),
            limits: Limits::new(),
            newest: 0,
            opened: 0,
            block: Block::default(),
            head_bytes: 0,
            small_frames: 0,
            turn_over: false,
        };
        (meter, seen)
    }

    /// Looks at the next bytes from the peer. Answers how many of them, all but the last one at most, may be passed on
    /// now: the type of an empty DATA frame waits for its flags.
    pub(super) fn inspect(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = self.incoming.skip(bytes.len());
        while let Some(byte) = bytes.get(at).copied() {
            let whole = self.incoming.take(bytes.get(at..).unwrap_or_default());
            let complete = whole || self.incoming.push(byte);
            let flags = if whole { at + FLAGS } else { at };
            at += if whole { HEADER } else { 1 };
            if (whole || self.incoming.len() == FLAGS + 1) && self.is_empty_data() {
                self.hide(bytes, flags);
            }
            if complete {
                self.received();
                self.incoming.payload();
                at += self.incoming.skip(bytes.len() - at);
            }
        }
        self.seen.note_head((self.block.open || self.is_in_head()).then_some(self.block.number));
        let type_without_flags =
            self.incoming.len() == 4 && self.incoming.length() == 0 && self.incoming.kind() == DATA;
        bytes.len() - usize::from(type_without_flags)
    }

    /// The byte that [`inspect`](Self::inspect) kept back is about to be inspected again.
    pub(super) fn rewind_one(&mut self) {
        self.incoming.rewind_one();
    }

    /// Looks at bytes that go to the peer.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let (limits, role, seen, opened) = (&mut self.limits, self.role, &self.seen, &mut self.opened);
        self.outgoing.follow(bytes, |frame| match frame.kind() {
            DATA => {
                limits.control.earn(1);
                limits.cheap.earn(10);
            }
            HEADERS => {
                limits.control.earn(1);
                limits.resets.earn(1);
                *opened = frame.stream().max(*opened);
            }
            RST_STREAM if role == Role::Server && !allowed(limits, frame.reason()) => seen.note_flood(),
            _ => {}
        });
    }

    /// The socket took some of what was [`sent`](Self::sent): as much as all of it, for whoever must be certain.
    pub(super) fn left(&self) {
        self.seen.note_left(self.opened);
    }

    /// Whether the peer is a host.
    pub(super) fn is_client(&self) -> bool {
        self.role == Role::Client
    }

    /// Whether no more should be read in this turn: what has come takes much more memory in `h2` than it did on the
    /// wire, until the tasks of its streams have looked at it. Those run between turns.
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn_over
    }

    /// Begins a turn of the connection.
    pub(super) fn turn(&mut self) {
        (self.head_bytes, self.turn_over) = (0, false);
    }

    fn is_in_head(&self) -> bool {
        matches!(self.incoming.kind(), HEADERS | CONTINUATION) && self.incoming.is_in_payload()
    }

    fn is_empty_data(&self) -> bool {
        self.incoming.length() == 0 && self.incoming.kind() == DATA && !self.incoming.has(END_STREAM)
    }

    /// The type is right before the flags.
    fn hide(&mut self, bytes: &mut [u8], flags: usize) {
        if let Some(kind) = flags.checked_sub(1).and_then(|kind| bytes.get_mut(kind)) {
            *kind = IGNORED;
            self.incoming.set_kind(IGNORED);
        }
    }

    fn received(&mut self) {
        let limits = &mut self.limits;
        let allowed = match self.incoming.kind() {
            DATA => {
                limits.control.earn(1);
                self.received_data();
                true
            }
            HEADERS | CONTINUATION | PUSH_PROMISE => {
                self.received_head();
                true
            }
            RST_STREAM if self.role == Role::Server => limits.resets.take(),
            SETTINGS => {
                self.seen.note_settings();
                limits.settings.take()
            }
            GOAWAY => {
                self.seen.note_goaway();
                limits.control.take()
            }
            RST_STREAM | WINDOW_UPDATE => limits.cheap.take(),
            _ => limits.control.take(),
        };
        if !allowed {
            self.seen.note_flood();
        }
    }

    fn received_data(&mut self) {
        if self.incoming.length() >= SMALL {
            return;
        }
        self.small_frames += 1;
        if self.small_frames >= SMALL_FRAMES {
            self.small_frames = 0;
            self.turn_over = true;
            self.seen.note_crowd();
        }
    }

    fn received_head(&mut self) {
        let (frame, block) = (&self.incoming, &mut self.block);
        self.head_bytes += frame.length();
        self.turn_over |= self.head_bytes >= HEADS_PER_TURN;
        if frame.kind() == HEADERS {
            self.limits.control.earn(1);
            // A request's own head is bounded by h2, as is a response's.
            let trailers = frame.has(END_STREAM) && (self.role == Role::Client || frame.stream() <= self.newest);
            self.newest = self.newest.max(frame.stream());
            let number = block.number.wrapping_add(1).max(1);
            *block = Block { number, stream: frame.stream(), trailers, ..Block::default() };
        }
        block.length += frame.length();
        block.open = !frame.has(END_HEADERS);
        if !block.open && block.trailers && block.length > LONG_BLOCK {
            self.seen.note_long_block(block.stream, block.length);
        }
    }
}

/// Whether a client may cause one more reset of this kind.
fn allowed(limits: &mut Limits, reason: u32) -> bool {
    match Reason::from(reason) {
        // It has begun work that we now throw away.
        Reason::PROTOCOL_ERROR | Reason::FLOW_CONTROL_ERROR => limits.faults.take(),
        // It could not know better: more streams than we take, DATA that was under way.
        Reason::REFUSED_STREAM | Reason::STREAM_CLOSED => limits.cheap.take(),
        // Our own decision.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        on(1, kind, flags, payload)
    }

    fn on(stream: u32, kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    fn server() -> (FrameMeter, Arc<Seen>) {
        let (mut meter, seen) = FrameMeter::new(Role::Server, HeadLimits::new(60 << 10, 100));
        assert_eq!(meter.inspect(&mut [0; PREFACE]), PREFACE);
        (meter, seen)
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
            let (mut meter, _) = FrameMeter::new(Role::Client, HeadLimits::new(60 << 10, 100));
            assert_eq!(feed(&mut meter, &stream, size), expected, "chunks of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn floods_are_seen_and_a_slow_trickle_is_not() {
        for (kind, payload, burst) in [(PING, 8, 1000), (RST_STREAM, 4, 1000), (SETTINGS, 0, 200), (0x2a, 0, 1000)] {
            let (mut meter, seen) = server();
            let frame = frame(kind, 0, &vec![0; payload]);
            for _ in 0..burst {
                meter.inspect(&mut frame.clone());
            }
            assert!(!seen.flooded(), "{kind}: a burst");
            for _ in 0..300 {
                tokio::time::advance(Duration::from_millis(100)).await;
                meter.inspect(&mut frame.clone());
            }
            assert!(!seen.flooded(), "{kind}: a trickle");
            for _ in 0..2 * burst {
                meter.inspect(&mut frame.clone());
            }
            assert!(seen.flooded(), "{kind}: a flood");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_measures_the_bandwidth_may_ping_for_each_frame_it_gets() {
        let (mut meter, seen) = server();
        for _ in 0..100_000 {
            meter.sent(&frame(DATA, 0, b"hello"));
            meter.inspect(&mut frame(PING, 0, &[0; 8]));
            meter.inspect(&mut frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]));
        }
        assert!(!seen.flooded());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_give_up_the_streams_that_were_answered() {
        let (mut meter, seen) = server();
        for _ in 0..100_000 {
            meter.sent(&frame(HEADERS, END_HEADERS, b"hello"));
            meter.inspect(&mut frame(RST_STREAM, 0, &[0, 0, 0, 8]));
        }
        assert!(!seen.flooded());
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_may_reset_what_we_sent() {
        let (mut meter, seen) = FrameMeter::new(Role::Client, HeadLimits::new(60 << 10, 100));
        for _ in 0..10_000 {
            meter.inspect(&mut frame(RST_STREAM, 0, &[0, 0, 0, 0]));
        }
        assert!(!seen.flooded());
    }

    #[tokio::test(start_paused = true)]
    async fn streams_that_break_the_protocol_end_the_connection_and_refused_ones_do_not() {
        for (reason, flood) in [
            (Reason::PROTOCOL_ERROR, true),
            (Reason::FLOW_CONTROL_ERROR, true),
            (Reason::REFUSED_STREAM, false),
            (Reason::NO_ERROR, false),
            (Reason::CANCEL, false),
        ] {
            let (mut meter, seen) = server();
            let reset = frame(RST_STREAM, 0, &u32::from(reason).to_be_bytes());
            // However the writes are cut.
            for piece in reset.repeat(2000).chunks(7) {
                meter.sent(piece);
            }
            assert_eq!(seen.flooded(), flood, "{reason:?}");
        }
        let (mut meter, _) = FrameMeter::new(Role::Client, HeadLimits::new(60 << 10, 100));
        meter.sent(&[0; PREFACE]);
        meter.sent(&frame(RST_STREAM, 0, &[0, 0, 0, 1]).repeat(2000));
    }

    #[tokio::test]
    async fn the_length_of_long_trailers_is_remembered_until_their_stream_asks() {
        let (mut meter, seen) = server();
        let long = vec![0; 20_000];
        // Requests without a body, however long their heads.
        meter.inspect(&mut on(1, HEADERS, END_STREAM | END_HEADERS, &long));
        assert_eq!(seen.take_block(|| 1), LONG_BLOCK);
        meter.inspect(&mut on(3, HEADERS, END_HEADERS, &[0]));
        meter.inspect(&mut on(3, HEADERS, END_STREAM, &long));
        assert_eq!(seen.reading_head(), Some(3));
        meter.inspect(&mut on(3, CONTINUATION, END_HEADERS, &long));
        assert_eq!(seen.reading_head(), None);
        assert_eq!(seen.take_block(|| 5), LONG_BLOCK);
        assert_eq!(seen.take_block(|| 3), 40_000);
        assert_eq!(seen.take_block(|| 3), LONG_BLOCK);
    }

    #[tokio::test]
    async fn trailers_that_there_is_no_room_to_remember_count_for_all() {
        let (mut meter, seen) = FrameMeter::new(Role::Client, HeadLimits::new(60 << 10, 100));
        for stream in 0..100 {
            meter.inspect(&mut on(2 * stream + 1, HEADERS, END_STREAM | END_HEADERS, &[0; 30_000]));
        }
        assert!((0..100).all(|stream| seen.take_block(|| 2 * stream + 1) == 30_000));
    }
}
