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
    /// The response's head was sent.
    pub(in super::super) is_answered: bool,
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
            is_answered: false,
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

/// A connection that once had more streams than this gives back their room when it has none.
const KEPT: usize = 16;
/// Streams that we reset and whose late frames are ignored in silence.
const REMEMBERED: usize = 256;

/// Where the streams are.
#[derive(Debug, Default)]
pub(in super::super) struct Streams {
    slab: Slab<Stream>,
    /// Of those that are not closed.
    keys: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
    resets: VecDeque<u32>,
    /// No stream above this one was reset and is not among them any more.
    forgotten: u32,
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

    /// All keys of open streams with a number above `last`, the oldest stream first: requests that are sent again keep
    /// their order, so that none is always the last.
    pub(in super::super) fn above(&self, last: u32) -> Vec<u32> {
        let mut above: Vec<_> = self.keys.iter().filter(|(id, _)| **id > last).collect();
        above.sort_unstable();
        above.into_iter().map(|(_, key)| *key).collect()
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
            self.remove(key);
        }
    }

    pub(in super::super) fn remove(&mut self, key: u32) {
        if let Some(stream) = self.slab.try_remove(key as usize) {
            self.keys.remove(&stream.id);
        }
        if self.slab.is_empty() && self.slab.capacity() > KEPT {
            (self.slab, self.keys) = (Slab::new(), HashMap::default());
        }
    }

    /// We have reset this one: the peer cannot know yet.
    pub(in super::super) fn remember(&mut self, id: u32) {
        if self.resets.len() >= REMEMBERED
            && let Some(oldest) = self.resets.pop_front()
        {
            self.forgotten = self.forgotten.max(oldest);
        }
        self.resets.push_back(id);
    }

    /// Whether we may have reset it. When a host answers a thousand calls at once that have timed out, most of them are
    /// forgotten already: who is not sure ignores what comes.
    pub(in super::super) fn may_have_been_reset(&self, id: u32) -> bool {
        id <= self.forgotten || self.resets.contains(&id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_many_streams_is_given_back_with_the_last() {
        let mut streams = Streams::default();
        let window = (SendWindow::new(1), RecvWindow::new(1));
        let keys: Vec<_> = (0..1000).map(|id| streams.insert(Stream::new(id, window.0, window.1))).collect();
        assert_eq!(streams.above(997), [998, 999].map(|id| streams.key(id).unwrap()));
        for key in keys {
            assert!(streams.slab.capacity() >= 1000);
            streams.close(key);
        }
        assert_eq!((streams.len(), streams.open()), (0, 0));
        assert_eq!((streams.slab.capacity(), streams.keys.capacity()), (0, 0));
    }
}
