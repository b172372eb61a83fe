//! What is known of a connection's frames, readable by whoever drives it and by its streams.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};

use super::{inbox::Inboxes, limits::HeadLimits};

/// Header blocks longer than this are remembered until their stream has looked.
pub(super) const LONG_BLOCK: usize = 16 << 10;
/// How many of them are remembered at most.
const REMEMBERED: usize = 64;

/// What the meter has seen, and the limits of what may come.
#[derive(Debug)]
pub(crate) struct Seen {
    limits: HeadLimits,
    settings: AtomicBool,
    goaway: AtomicBool,
    flooded: AtomicBool,
    crowded: AtomicBool,
    /// The newest stream that we opened and that may have left this process.
    left: AtomicU32,
    inboxes: Inboxes,
    /// The number of the header block under way, 0 without one.
    head: AtomicU32,
    any_long: AtomicBool,
    /// Streams that ended with a long block, and its length.
    long: Mutex<Vec<(u32, usize)>>,
    /// The longest block that there was no room to remember.
    forgotten: AtomicUsize,
}

impl Seen {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            settings: AtomicBool::new(false),
            goaway: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            left: AtomicU32::new(0),
            inboxes: Inboxes::default(),
            head: AtomicU32::new(0),
            any_long: AtomicBool::new(false),
            long: Mutex::new(Vec::new()),
            forgotten: AtomicUsize::new(0),
        }
    }

    /// The limits of heads and trailers.
    pub(super) fn limits(&self) -> &HeadLimits {
        &self.limits
    }

    /// What was received and not read yet.
    pub(super) fn inboxes(&self) -> &Inboxes {
        &self.inboxes
    }

    /// To be called at the end of each turn: joins small frames that nobody has read, if many came.
    pub(super) fn tidy(&self) {
        if self.crowded.load(Ordering::Relaxed) {
            self.crowded.store(false, Ordering::Relaxed);
            self.inboxes.join();
        }
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

    /// Whether the peer may have seen a stream that we opened. If not, nobody has processed it.
    pub(super) fn has_left(&self, stream: u32) -> bool {
        stream <= self.left.load(Ordering::Relaxed)
    }

    /// The number of a header block that has begun and not ended. Nothing else can come before it has.
    pub(super) fn reading_head(&self) -> Option<u32> {
        Some(self.head.load(Ordering::Relaxed)).filter(|head| *head > 0)
    }

    /// Whether there is anything to [`take`](Self::take_block).
    pub(super) fn is_remembering(&self) -> bool {
        self.any_long.load(Ordering::Relaxed)
    }

    /// How long the trailers of `stream` were on the wire, at most, and forgets it.
    pub(super) fn take_block(&self, stream: impl FnOnce() -> u32) -> usize {
        let unknown = self.forgotten.load(Ordering::Relaxed).max(LONG_BLOCK);
        if !self.any_long.load(Ordering::Relaxed) {
            return unknown;
        }
        let stream = stream();
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        let at = long.iter().position(|(id, _)| *id == stream);
        let length = at.map_or(unknown, |at| long.swap_remove(at).1);
        self.any_long.store(!long.is_empty(), Ordering::Relaxed);
        length
    }

    pub(super) fn note_left(&self, newest: u32) {
        self.left.store(newest, Ordering::Relaxed);
    }

    pub(super) fn note_settings(&self) {
        self.settings.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_goaway(&self) {
        self.goaway.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_crowd(&self) {
        self.crowded.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_flood(&self) {
        self.flooded.store(true, Ordering::Relaxed);
    }

    pub(super) fn note_head(&self, number: Option<u32>) {
        self.head.store(number.unwrap_or(0), Ordering::Relaxed);
    }

    /// Trailers of this length have come.
    pub(super) fn note_long_block(&self, stream: u32, length: usize) {
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        if long.len() >= REMEMBERED {
            self.forgotten.fetch_max(length, Ordering::Relaxed);
            return;
        }
        long.push((stream, length));
        self.any_long.store(true, Ordering::Relaxed);
    }
}
