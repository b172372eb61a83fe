//! What has arrived on a stream and was not read yet.
//!
//! `h2` keeps every DATA frame that nobody has read in a slot of a few hundred bytes, however small the frame. A reader
//! that stands still would so hold a hundred times its window, for all streams of the connection together; `h2` itself
//! can only end the connection then, with everybody's streams. So when many small frames have come, the connection's
//! task takes what is unread out of `h2` and joins it. Its window is given back when it is read, as always.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::HeaderMap;
use slab::Slab;

use super::{client::InUse, seen::Seen};

/// Frames below this are joined, and pieces of this size are handed on.
const SMALL: usize = 1 << 10;
const PIECE: usize = 16 << 10;

/// The streams of one connection that have a body to read.
#[derive(Default)]
pub(super) struct Inboxes(Mutex<Slab<Weak<Inbox>>>);

/// The receiving half of a stream.
pub(super) struct Inbox {
    unread: Mutex<Unread>,
    seen: Arc<Seen>,
    key: usize,
    /// Held until the body is done.
    _in_use: Option<InUse>,
}

struct Unread {
    stream: RecvStream,
    /// Taken out of `h2`, oldest first, and `joined` after them.
    pieces: VecDeque<Bytes>,
    joined: BytesMut,
    /// Who waits for more.
    reader: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Not contended where a connection and its streams are on one worker.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inboxes {
    /// Joins what is unread, on every stream.
    pub(super) fn join(&self) {
        // The lock goes first: an inbox that is dropped here takes it.
        let open: Vec<_> = lock(&self.0).iter().filter_map(|(_, inbox)| inbox.upgrade()).collect();
        for inbox in open {
            lock(&inbox.unread).join();
        }
    }
}

impl Inbox {
    pub(super) fn new(stream: RecvStream, seen: Arc<Seen>, in_use: Option<InUse>) -> Arc<Self> {
        let unread = Unread { stream, pieces: VecDeque::new(), joined: BytesMut::new(), reader: None };
        let shared = seen.clone();
        let mut inboxes = lock(&shared.inboxes().0);
        let entry = inboxes.vacant_entry();
        let inbox = Arc::new(Self { unread: Mutex::new(unread), seen, key: entry.key(), _in_use: in_use });
        entry.insert(Arc::downgrade(&inbox));
        inbox
    }

    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn stream_id(&self) -> u32 {
        lock(&self.unread).stream.stream_id().as_u32()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let unread = lock(&self.unread);
        unread.pieces.is_empty() && unread.joined.is_empty() && unread.stream.is_end_stream()
    }

    /// The next piece of the body, never empty; `None` at its end. `read` bytes of what came before have been passed
    /// on: their window is given back.
    pub(super) fn poll_data(&self, read: usize, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let unread = &mut *lock(&self.unread);
        if read > 0 {
            // It fails only for more than was received.
            let _ = unread.stream.flow_control().release_capacity(read);
        }
        if let Some(piece) = unread.piece() {
            return Poll::Ready(Some(Ok(piece)));
        }
        loop {
            match unread.stream.poll_data(cx) {
                // It carries END_STREAM, which the next turn of the loop finds.
                Poll::Ready(Some(Ok(data))) if data.is_empty() => {}
                Poll::Ready(data) => return Poll::Ready(data),
                Poll::Pending => {
                    unread.wait(cx.waker());
                    return Poll::Pending;
                }
            }
        }
    }

    /// The trailers, once [`poll_data`](Self::poll_data) has come to the end.
    pub(super) fn poll_trailers(&self, cx: &mut Context<'_>) -> Poll<Result<Option<HeaderMap>, h2::Error>> {
        let unread = &mut *lock(&self.unread);
        unread.wait(cx.waker());
        unread.stream.poll_trailers(cx)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        drop(lock(&self.seen.inboxes().0).try_remove(self.key));
    }
}

impl Unread {
    fn wait(&mut self, waker: &Waker) {
        if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(waker)) {
            self.reader = Some(waker.clone());
        }
    }

    fn piece(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some(piece);
        }
        (!self.joined.is_empty()).then(|| std::mem::take(&mut self.joined).freeze())
    }

    fn join(&mut self) {
        // `h2` remembers one waker for each stream: the reader's stays.
        let reader = self.reader.take();
        let mut cx = Context::from_waker(reader.as_ref().unwrap_or(Waker::noop()));
        // What is not data is found again by the reader.
        while let Poll::Ready(Some(Ok(data))) = self.stream.poll_data(&mut cx) {
            if self.joined.len() + data.len() > PIECE || data.len() >= SMALL && !self.joined.is_empty() {
                self.pieces.push_back(std::mem::take(&mut self.joined).freeze());
            }
            if data.len() >= SMALL {
                self.pieces.push_back(data);
            } else {
                self.joined.extend_from_slice(&data);
            }
        }
        self.reader = reader;
    }
}

impl fmt::Debug for Inboxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inboxes").field("open", &lock(&self.0).len()).finish()
    }
}
