//! One connection: a pipe with two ends.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may be under way in one direction.
const CAPACITY: usize = 64 << 10;

/// One end of a connection in memory. It behaves as a socket does where that matters: bounded buffers, half close,
/// and a reset for the peer when it is dropped with bytes unread or written to after its peer was dropped.
#[derive(Debug)]
pub struct Pipe {
    read: Arc<Direction>,
    write: Arc<Direction>,
}

#[derive(Debug, Default)]
struct Direction(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// The writer is done: what is left, then the end.
    ended: bool,
    /// The reader is gone.
    unread: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes whoever waits for it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let wakers = {
            let mut state = self.state();
            change(&mut state);
            [state.reader.take(), state.writer.take()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn reset(&self) {
        self.change(|state| {
            state.reset = true;
            state.bytes.clear();
        });
    }
}

/// Resets a connection from outside.
#[derive(Clone, Debug)]
pub(super) struct Scissors([Arc<Direction>; 2]);

impl Scissors {
    /// Both ends fail with `ConnectionReset` from now on.
    pub(super) fn cut(&self) {
        self.0.iter().for_each(|direction| direction.reset());
    }

    /// Whether an end of the connection is still held.
    pub(super) fn is_open(&self) -> bool {
        self.0.iter().any(|direction| {
            let state = direction.state();
            !state.ended || !state.unread
        })
    }
}

impl Pipe {
    /// Both ends of a new connection; each direction holds up to 64 KiB.
    pub fn pair() -> (Self, Self) {
        let (one, other) = (Arc::<Direction>::default(), Arc::<Direction>::default());
        (Self { read: one.clone(), write: other.clone() }, Self { read: other, write: one })
    }

    pub(super) fn scissors(&self) -> Scissors {
        Scissors([self.read.clone(), self.write.clone()])
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.read.state();
        if state.reset {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if state.bytes.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = buf.remaining().min(state.bytes.len());
        let (front, back) = state.bytes.as_slices();
        let from_front = length.min(front.len());
        for (slice, length) in [(front, from_front), (back, length - from_front)] {
            buf.put_slice(slice.get(..length).unwrap_or_default());
        }
        state.bytes.drain(..length);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.write.state();
        if state.reset {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if state.ended || state.unread {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let mut room = CAPACITY.saturating_sub(state.bytes.len());
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = room;
        for buf in bufs {
            let length = buf.len().min(room);
            state.bytes.extend(buf.get(..length).unwrap_or_default());
            room -= length;
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(before - room))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.change(|state| state.ended = true);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // A kernel resets a connection that is closed with bytes unread: the peer loses what it has not read yet.
        let had_unread = !self.read.state().bytes.is_empty();
        self.write.change(|state| state.ended = true);
        self.read.change(|state| {
            state.unread = true;
            state.bytes.clear();
        });
        if had_unread {
            self.read.reset();
            self.write.reset();
        }
    }
}
