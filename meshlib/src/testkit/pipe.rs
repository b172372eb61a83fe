//! One connection: a pipe with two ends, over a link that may be slow, cut off or gone.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::link::Link;

/// How many bytes may be under way in one direction.
const CAPACITY: usize = 64 << 10;

/// One end of a connection in memory. It behaves as a socket does where that matters: bounded buffers, half close,
/// and a reset for the peer when it is dropped with bytes unread or written to after its peer was dropped.
#[derive(Debug)]
pub struct Pipe {
    read: Arc<Direction>,
    write: Arc<Direction>,
    /// Wakes the reader when what is under way arrives.
    arrival: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Default)]
struct Direction(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    link: Link,
    /// What was written and not read.
    bytes: VecDeque<u8>,
    /// How many of them have arrived.
    arrived: usize,
    /// What is under way, in order.
    under_way: VecDeque<(Instant, Parcel)>,
    line_free: Option<Instant>,
    /// The writer is done.
    finished: bool,
    /// The reader knows.
    ended: bool,
    /// The reader is gone.
    unread: bool,
    reset: bool,
    /// It was reset from outside.
    cut: bool,
    /// Nothing arrives for now: a partition.
    held: bool,
    /// Nothing arrives ever again.
    lost: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Parcel {
    Bytes(usize),
    End,
    Reset,
}

impl State {
    fn is_severed(&self) -> bool {
        self.held || self.lost
    }

    fn send(&mut self, parcel: Parcel) {
        if self.under_way.is_empty() && self.link.is_instant() && !self.is_severed() {
            return self.arrive(parcel);
        }
        let now = Instant::now();
        let length = if let Parcel::Bytes(length) = parcel { length } else { 0 };
        let free = self.line_free.unwrap_or(now).max(now) + self.link.busy(length);
        self.line_free = Some(free);
        // A link that has just become faster delivers nothing out of order.
        let last = self.under_way.back().map_or(now, |(due, _)| *due);
        self.under_way.push_back(((free + self.link.latency).max(last), parcel));
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Bytes(length) => self.arrived += length,
            Parcel::End => self.ended = true,
            Parcel::Reset => self.break_off(),
        }
    }

    fn break_off(&mut self) {
        self.reset = true;
        self.bytes.clear();
        self.under_way.clear();
        self.arrived = 0;
    }

    /// Lets arrive what is due; says when there is more.
    fn receive(&mut self) -> Option<Instant> {
        if self.is_severed() || self.under_way.is_empty() {
            return None;
        }
        let now = Instant::now();
        while let Some((due, parcel)) = self.under_way.front().copied() {
            if due > now {
                return Some(due);
            }
            self.under_way.pop_front();
            self.arrive(parcel);
        }
        None
    }
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
}

/// Does to a connection from outside what networks do.
#[derive(Clone, Debug)]
pub(super) struct Scissors([Arc<Direction>; 2]);

impl Scissors {
    /// Both ends fail with `ConnectionReset` from now on.
    pub(super) fn cut(&self) {
        self.change(|state| {
            (state.held, state.lost, state.cut) = (false, false, true);
            state.break_off();
        });
    }

    /// Nothing arrives at either end until that is taken back; what was sent meanwhile arrives then.
    pub(super) fn hold(&self, held: bool) {
        self.change(|state| state.held = held);
    }

    /// Nothing arrives at either end ever again, and neither hears of it.
    pub(super) fn lose(&self) {
        self.change(|state| state.lost = true);
    }

    /// What is sent from now on goes over this link.
    pub(super) fn set_link(&self, link: Link) {
        self.change(|state| state.link = link);
    }

    fn change(&self, change: impl Fn(&mut State)) {
        self.0.iter().for_each(|direction| direction.change(&change));
    }

    /// Whether an end of the connection is still held, and nobody has cut it.
    pub(super) fn is_open(&self) -> bool {
        self.0.iter().any(|direction| {
            let state = direction.state();
            !(state.cut || (state.finished && state.unread))
        })
    }
}

impl Pipe {
    /// Both ends of a new connection; each direction holds up to 64 KiB.
    pub fn pair() -> (Self, Self) {
        let (one, other) = (Arc::<Direction>::default(), Arc::<Direction>::default());
        (Self::over(one.clone(), other.clone()), Self::over(other, one))
    }

    fn over(read: Arc<Direction>, write: Arc<Direction>) -> Self {
        Self { read, write, arrival: None }
    }

    pub(super) fn scissors(&self) -> Scissors {
        Scissors([self.read.clone(), self.write.clone()])
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let pipe = self.get_mut();
        let mut state = pipe.read.state();
        loop {
            let due = state.receive();
            if state.reset && !state.is_severed() {
                return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
            }
            if !state.is_severed() && (state.arrived > 0 || state.ended) {
                break;
            }
            state.reader = Some(cx.waker().clone());
            let Some(due) = due else { return Poll::Pending };
            let arrival = pipe.arrival.get_or_insert_with(|| Box::pin(sleep_until(due)));
            arrival.as_mut().reset(due);
            if arrival.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let length = buf.remaining().min(state.arrived);
        let (front, back) = state.bytes.as_slices();
        let from_front = length.min(front.len());
        for (slice, length) in [(front, from_front), (back, length - from_front)] {
            buf.put_slice(slice.get(..length).unwrap_or_default());
        }
        state.bytes.drain(..length);
        state.arrived -= length;
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
        if state.reset && !state.is_severed() {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if state.finished || (state.unread && !state.is_severed()) {
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
        state.send(Parcel::Bytes(before - room));
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
        self.write.change(State::finish);
        Poll::Ready(Ok(()))
    }
}

impl State {
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.send(Parcel::End);
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // A kernel resets a connection that is closed with bytes unread: the peer loses what it has not read yet.
        let had_unread = !self.read.state().bytes.is_empty();
        self.write.change(|state| {
            state.finish();
            if had_unread {
                state.send(Parcel::Reset);
            }
        });
        self.read.change(|state| {
            state.unread = true;
            if had_unread {
                state.break_off();
            }
        });
    }
}
