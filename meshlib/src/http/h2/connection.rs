//! The task's side of a connection: what reads and writes.
//!
//! A turn reads what there is, then writes everything that was collected since the last one, in one system call where
//! the socket takes it. 1 KiB calls take 25 µs of CPU so, and 35 with a write for each frame.

use std::{
    cell::Cell,
    io,
    ops::Deref,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, ReadBuf};

use super::{
    error::{Failure, Violation},
    read::Reader,
    reason::Reason,
    role::Role,
    state::Shared,
};
use crate::{base::resources::Io, http::out::Out, net::io::close_gently};

/// What is read at once, and how often in a turn. 100 MB up take 61 ms of CPU with 64 KiB, 51 with 256, 52 with 512.
const READ: usize = 256 << 10;
const READS: usize = 2;

thread_local! {
    /// Where this thread's connections read to. Empty while one does.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads and writes for a connection.
pub(super) struct Connection<T> {
    io: T,
    shared: Driven,
    reader: Reader,
    /// What was read and has to wait for the next turn.
    rest: Bytes,
    writing: Out,
    /// The newest stream of ours whose head is in there.
    opened: u32,
    /// Why nothing more is read.
    ended: Option<Failure>,
    /// Nothing is read before some of what was collected has left.
    is_held_up: bool,
    /// A TLS session below may hold what was written.
    is_flushed: bool,
}

impl<T: Io> Connection<T> {
    pub(super) fn new(io: T, role: Role, shared: Arc<Shared>) -> Self {
        let (reader, writing) = (Reader::new(role), Out::default());
        Self {
            io,
            shared: Driven(shared),
            reader,
            rest: Bytes::new(),
            writing,
            opened: 0,
            ended: None,
            is_held_up: false,
            is_flushed: true,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether the client's preface has come.
    pub(super) fn has_preface(&self) -> bool {
        self.reader.has_preface()
    }

    /// The number of a header block that has begun and not ended.
    pub(super) fn block_under_way(&self) -> Option<u32> {
        self.reader.block_under_way()
    }

    /// Reads what there is. Ready when nothing more will come: the peer closed, or broke the protocol, and was told so.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        self.shared.lock().begin_turn(cx.waker());
        if let Some(ended) = self.ended {
            return Poll::Ready(ended);
        }
        self.reader.begin_turn();
        let mut buffer = BUFFER.take();
        buffer.resize(READ, 0);
        let ended = self.poll_read_to(&mut buffer, cx);
        BUFFER.set(buffer);
        let ended = ready!(ended);
        self.ended = Some(ended);
        self.shared.status.is_closed.store(true, Ordering::Relaxed);
        Poll::Ready(ended)
    }

    fn poll_read_to(&mut self, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<Failure> {
        if !self.rest.is_empty() {
            let mut rest = std::mem::take(&mut self.rest);
            let read = rest.len();
            let left = match self.feed(&rest) {
                Ok(left) => left,
                Err(ended) => return Poll::Ready(ended),
            };
            rest.advance(read - left);
            self.rest = rest;
        }
        for _ in 0..READS {
            if self.reader.is_turn_over() || !self.rest.is_empty() {
                break;
            }
            // A peer that reads nothing gets no answers, and so asks nothing more.
            self.is_held_up = self.shared.lock().is_held_up();
            if self.is_held_up {
                return Poll::Pending;
            }
            let mut read = ReadBuf::new(buffer);
            let result = ready!(Pin::new(&mut self.io).poll_read(cx, &mut read));
            let bytes = match result {
                Ok(()) if !read.filled().is_empty() => read.filled(),
                Ok(()) => return Poll::Ready(self.closed(None)),
                Err(error) => return Poll::Ready(self.closed(Some(error.kind()))),
            };
            let left = match self.feed(bytes) {
                Ok(left) => left,
                Err(ended) => return Poll::Ready(ended),
            };
            if left > 0 {
                self.rest = Bytes::copy_from_slice(bytes.get(bytes.len() - left..).unwrap_or_default());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Looks at frames: how many of the bytes are left for the next turn.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<usize, Failure> {
        let mut state = self.shared.lock();
        match self.reader.feed(&mut bytes, &mut state, &self.shared.status) {
            Ok(()) => Ok(bytes.len()),
            Err(Violation(reason, why)) => {
                state.go_away(reason, why);
                Err(Failure::Ended(reason, why))
            }
        }
    }

    /// The peer has closed. A host that does so gets nothing more: requests that have not left may be on their way
    /// elsewhere.
    fn closed(&mut self, why: Option<io::ErrorKind>) -> Failure {
        let failure = Failure::Closed(why);
        let mut state = self.shared.lock();
        state.fail(failure);
        if state.role == Role::Client {
            (self.writing, state.out) = (Out::default(), Out::default());
            state.written(0);
        }
        failure
    }

    /// Ends the connection from our side.
    pub(super) fn go_away(&mut self, reason: Reason, why: &'static str) {
        self.shared.lock().go_away(reason, why);
        self.ended.get_or_insert(Failure::Ended(reason, why));
        self.shared.status.is_closed.store(true, Ordering::Relaxed);
    }

    /// Ends a turn: writes what was collected. Pending when the socket is full; the connection's task is woken when it
    /// is not.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.poll_write(cx);
        let mut state = self.shared.lock();
        let others = state.written(self.writing.len());
        let goes_on = self.is_held_up && !state.is_held_up();
        drop(state);
        self.is_held_up &= !goes_on;
        if others || goes_on {
            cx.waker().wake_by_ref();
        }
        if let Poll::Ready(Err(error)) = &flushed {
            // Nobody is there to read: everything is over.
            self.ended = Some(self.closed(Some(error.kind())));
            (self.writing, self.is_flushed, self.is_held_up) = (Out::default(), true, false);
            // Nothing else may ever happen here.
            cx.waker().wake_by_ref();
        }
        flushed
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writing.is_empty() {
                self.shared.lock().take_out(&mut self.writing, &mut self.opened);
            }
            if self.writing.is_empty() {
                break;
            }
            self.is_flushed = false;
            let before = self.writing.len();
            let written = self.writing.poll_write(&mut self.io, cx);
            if self.writing.len() < before {
                // As much as all of it, for whoever must be certain.
                self.shared.status.left.store(self.opened, Ordering::Relaxed);
            }
            ready!(written)?;
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the stream, so that the peer can read what was written last.
    pub(super) async fn close(self, within: Duration) {
        let Self { io, .. } = self;
        close_gently(io, within).await;
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.io), cx)
    }
}

/// The state, for as long as somebody drives it. Nobody waits for what does not come any more, where the runtime ended
/// before the connection did.
struct Driven(Arc<Shared>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.status.is_closed.store(true, Ordering::Relaxed);
        self.0.lock().fail(Failure::Closed(None));
    }
}

impl Deref for Driven {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}
