//! The streams of a connection, found by their number.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    task::Waker,
};

use http::{HeaderMap, response};
use slab::Slab;

use super::super::{
    error::Failure,
    flow::{RecvWindow, SendWindow},
    head::Head,
    inbox::Inbox,
};

/// One stream. It is here as long as anybody holds it, or the peer has not ended it.
#[derive(Debug)]
pub(in super::super) struct Stream {
    pub(in super::super) id: u32,
    /// How many [`StreamRef`](super::super::handle::StreamRef)s there are.
    pub(in super::super) handles: u32,
    /// END_STREAM was sent.
    pub(in super::super) is_sent: bool,
    /// END_STREAM was received.
    pub(in super::super) is_received: bool,
    /// Neither side may say anything more.
    pub(in super::super) is_closed: bool,
    /// Why it ended before it was complete.
    pub(in super::super) failure: Option<Failure>,
    pub(in super::super) send_window: SendWindow,
    pub(in super::super) recv_window: RecvWindow,
    pub(in super::super) inbox: Inbox,
    /// Nobody will read what comes.
    pub(in super::super) is_unwanted: bool,
    /// A response's, until it is taken.
    pub(in super::super) head: Option<Box<Head<response::Parts>>>,
    /// The final head has come.
    pub(in super::super) has_head: bool,
    /// A response to HEAD has no body.
    pub(in super::super) is_head_request: bool,
    pub(in super::super) trailers: Trailers,
    /// How much is still to come, where the head said so.
    pub(in super::super) expected: Option<u64>,
    pub(in super::super) reader: Option<Waker>,
    pub(in super::super) writer: Option<Waker>,
    /// What the writer would like to send, and cannot.
    pub(in super::super) wanted: usize,
    /// Where it stands among those who wait for the connection.
    pub(in super::super) turn: Turn,
}

/// A writer's turn, where the connection has less room than its streams want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Turn {
    #[default]
    None,
    Waits,
    /// It was woken, and has not sent anything since.
    Has,
}

/// What came after the body.
#[derive(Debug, Default)]
pub(in super::super) enum Trailers {
    #[default]
    None,
    Whole(Box<HeaderMap>),
    /// Beyond the limits.
    Over,
}

impl Stream {
    pub(in super::super) fn new(id: u32, send_window: SendWindow, recv_window: RecvWindow) -> Self {
        Self {
            id,
            handles: 0,
            is_sent: false,
            is_received: false,
            is_closed: false,
            failure: None,
            send_window,
            recv_window,
            inbox: Inbox::default(),
            is_unwanted: false,
            head: None,
            has_head: false,
            is_head_request: false,
            trailers: Trailers::None,
            expected: None,
            reader: None,
            writer: None,
            wanted: 0,
            turn: Turn::None,
        }
    }

    /// Everything that came was read, and nothing more will come.
    pub(in super::super) fn is_read(&self) -> bool {
        self.is_received && self.inbox.is_empty() && matches!(self.trailers, Trailers::None)
    }

    pub(in super::super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(in super::super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// Streams that we reset and whose late frames are ignored in silence.
const REMEMBERED: usize = 256;

/// Where the streams are.
#[derive(Debug, Default)]
pub(in super::super) struct Streams {
    slab: Slab<Stream>,
    /// Of those that are not closed.
    keys: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
    resets: VecDeque<u32>,
}

impl Streams {
    pub(in super::super) fn insert(&mut self, stream: Stream) -> u32 {
        let id = stream.id;
        // There are fewer streams than numbers for them.
        let key = self.slab.insert(stream) as u32;
        self.keys.insert(id, key);
        key
    }

    pub(in super::super) fn get(&mut self, key: u32) -> Option<&mut Stream> {
        self.slab.get_mut(key as usize)
    }

    /// Of a stream that is not closed.
    pub(in super::super) fn key(&self, id: u32) -> Option<u32> {
        self.keys.get(&id).copied()
    }

    /// How many are not closed.
    pub(in super::super) fn open(&self) -> usize {
        self.keys.len()
    }

    /// How many somebody holds, or are open.
    pub(in super::super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// All keys of open streams with a number above `last`.
    pub(in super::super) fn above(&self, last: u32) -> Vec<u32> {
        self.keys.iter().filter(|(id, _)| **id > last).map(|(_, key)| *key).collect()
    }

    pub(in super::super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slab.iter_mut().map(|(_, stream)| stream)
    }

    /// Nothing more may be said on it. Goes when nobody holds it.
    pub(in super::super) fn close(&mut self, key: u32) {
        let Some(stream) = self.slab.get_mut(key as usize).filter(|stream| !stream.is_closed) else { return };
        stream.is_closed = true;
        self.keys.remove(&stream.id);
        if stream.handles == 0 {
            self.slab.remove(key as usize);
        }
    }

    pub(in super::super) fn remove(&mut self, key: u32) {
        if let Some(stream) = self.slab.try_remove(key as usize) {
            self.keys.remove(&stream.id);
        }
    }

    /// We have reset this one: the peer cannot know yet.
    pub(in super::super) fn remember(&mut self, id: u32) {
        if self.resets.len() >= REMEMBERED {
            self.resets.pop_front();
        }
        self.resets.push_back(id);
    }

    pub(in super::super) fn was_reset(&self, id: u32) -> bool {
        self.resets.contains(&id)
    }
}

/// Spreads numbers that follow each other. A peer that chooses its numbers gains nothing: it has few streams at once.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
