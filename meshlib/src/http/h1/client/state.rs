//! A connection as its task, its handle and its exchange see it.
//!
//! There is no task between an exchange and the socket: the exchange writes and reads by itself. The connection's own
//! task looks only while nobody else does, for a host that closes.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    task::coop::unconstrained,
};

use super::head::{MAX_HEAD, Malformed, ResponseHead, take_response};
use crate::{
    base::{Side, resources::BoxIo},
    http::out::Out,
};

/// What is read at once: of a head and a small body, and of one that fills it again and again.
const READ: usize = 8 << 10;
const MAX_READ: usize = 64 << 10;
/// The most heads of 1xx before the response's own.
const INTERIM: u32 = 32;

/// Why there is no response, or no more of it.
#[derive(Debug)]
pub(super) enum Failure {
    /// The host closed.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// What came is no response.
    Malformed(Malformed),
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The connection, shared. Its lock is held for a system call at most; bytes that were sent are dropped under it, so
/// what they belong to must not ask the connection anything.
pub(super) struct Shared(Mutex<State>);

pub(super) struct State {
    /// `None` once it is closed.
    wire: Option<Wire>,
    /// The request is not all written.
    sending: bool,
    /// The response is not all read.
    receiving: bool,
    /// Another request may follow.
    keeps_alive: bool,
    /// There is a handle, and so a use for the connection.
    is_held: bool,
    /// The host ended the connection, or said that it would.
    by_host: bool,
    /// Who drives the connection, who waits for the response, and who waits for the connection to be free.
    driver: Option<Waker>,
    reader: Option<Waker>,
    waiting: Option<Waker>,
}

/// The bytes of both directions.
pub(super) struct Wire {
    io: BoxIo,
    /// What came and was not looked at.
    pub(super) read: BytesMut,
    /// How much of that is known to be no whole head.
    looked_at: usize,
    /// How many heads of 1xx have come.
    interim: u32,
    /// How much is read at once.
    room: usize,
    pub(super) out: Out,
}

impl Shared {
    pub(super) fn new(io: BoxIo) -> Self {
        let wire = Wire { io, read: BytesMut::new(), looked_at: 0, interim: 0, room: READ, out: Out::default() };
        Self(Mutex::new(State {
            wire: Some(wire),
            sending: false,
            receiving: false,
            keeps_alive: true,
            is_held: true,
            by_host: false,
            driver: None,
            reader: None,
            waiting: None,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn is_closed(&self) -> bool {
        self.wire.is_none()
    }

    /// Whether a request may be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.wire.is_some() && !self.sending && !self.receiving
    }

    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        self.wire.as_mut()
    }

    /// Who reads the response may be another task than who closes: a socket that is dropped wakes nobody.
    pub(super) fn close(&mut self) {
        if self.wire.take().is_some() {
            (self.sending, self.receiving) = (false, false);
            let wakers = [self.driver.take(), self.reader.take(), self.waiting.take()];
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// The same, by a host that closed or broke the protocol.
    pub(super) fn closed_by_host(&mut self) {
        self.by_host = true;
        self.close();
    }

    /// Begins an exchange, if the connection is free and the host still there. What a host says without being asked
    /// ends the connection: whoever reads it as the answer to the next request reads another's.
    pub(super) fn begin(&mut self) -> Option<&mut Wire> {
        if !self.is_ready() {
            return None;
        }
        let wire = self.wire.as_mut()?;
        (self.sending, self.receiving) = (true, true);
        Some(wire)
    }

    /// Whether a request may be sent, and the host is still there. Its task may not have had the time to see.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.is_idle() {
            self.look();
        }
        self.is_idle()
    }

    /// Looks at a connection that nobody uses, and leaves it to its task. No system call, unless there is something.
    fn look(&mut self) {
        let driver = self.driver.take();
        // Without a budget the socket would say that there is nothing, whatever there is.
        let look = pin!(unconstrained(poll_fn(|cx| {
            self.watch(cx);
            Poll::Ready(())
        })));
        let _ = look.poll(&mut Context::from_waker(driver.as_ref().unwrap_or(Waker::noop())));
        match driver {
            Some(driver) if self.is_closed() => driver.wake(),
            driver => self.driver = driver,
        }
    }

    /// Looks after a connection that nobody uses.
    fn watch(&mut self, cx: &mut Context<'_>) {
        let Some(wire) = &mut self.wire else { return };
        let mut unasked = [0];
        if Pin::new(&mut wire.io).poll_read(cx, &mut ReadBuf::new(&mut unasked)).is_ready() {
            self.closed_by_host();
        }
    }

    /// For the task that drives the connection: which side ended it.
    pub(super) fn poll_driver(&mut self, cx: &mut Context<'_>) -> Poll<Side> {
        if self.is_idle() {
            self.watch(cx);
        }
        if self.is_closed() {
            return Poll::Ready(if self.by_host { Side::Upstream } else { Side::Internal });
        }
        note(&mut self.driver, cx);
        Poll::Pending
    }

    /// Waits until the connection is free; `false` when it was closed instead.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.is_closed() || self.is_idle() {
            return Poll::Ready(self.is_idle());
        }
        note(&mut self.waiting, cx);
        Poll::Pending
    }

    /// No request follows this one.
    pub(super) fn is_last(&mut self) {
        self.keeps_alive = false;
    }

    /// The same, because the host says so.
    pub(super) fn is_hosts_last(&mut self) {
        (self.keeps_alive, self.by_host) = (false, true);
    }

    /// The task of `cx` waits for the response, and has to hear of the connection's end.
    pub(super) fn reads(&mut self, cx: &Context<'_>) {
        note(&mut self.reader, cx);
    }

    /// The last handle is gone.
    pub(super) fn let_go(&mut self) {
        self.is_held = false;
        if self.is_idle() {
            self.close();
        }
    }

    /// The request is written, all of it.
    pub(super) fn sent(&mut self) {
        self.sending = false;
        self.settle();
    }

    /// The response is read, all of it.
    pub(super) fn received(&mut self) {
        (self.receiving, self.reader) = (false, None);
        self.settle();
    }

    /// Once both have ended the connection is free for the next request, or closed.
    fn settle(&mut self) {
        if !self.is_idle() {
            return;
        }
        let in_order = self.wire.as_ref().is_some_and(|wire| wire.read.is_empty() && wire.out.is_empty());
        if !(in_order && self.keeps_alive && self.is_held) {
            return self.close();
        }
        if let Some(wire) = &mut self.wire {
            // An idle connection keeps no memory.
            (wire.read, wire.interim, wire.room) = (BytesMut::new(), 0, READ);
        }
        // From here on it is the task's to look after.
        self.look();
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Writes what there is to write.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        ready!(wire.out.poll_write(&mut wire.io, cx))?;
        Pin::new(&mut wire.io).poll_flush(cx)
    }

    /// Reads the response's head. An answer of 1xx comes before it, and is for nobody (RFC 9110, section 15.2).
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Err(Failure::Closed)) };
        let head = wire.poll_head(cx);
        match &head {
            Poll::Pending => self.reads(cx),
            Poll::Ready(Err(_)) => self.closed_by_host(),
            Poll::Ready(Ok(_)) => {}
        }
        head
    }
}

fn note(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

impl Wire {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        while self.interim < INTERIM {
            match ready!(self.poll_one_head(cx)) {
                Ok(head) if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS => {
                    self.interim += 1;
                }
                head => return Poll::Ready(head),
            }
        }
        Poll::Ready(Err(Malformed("the host says 1xx and nothing else").into()))
    }

    fn poll_one_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        loop {
            if let Some(head) = self.take_head()? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_fill(cx)).map_err(Failure::Broken)? == 0 {
                return Poll::Ready(Err(Failure::Closed));
            }
        }
    }

    /// Looks again at a head that was not whole only where it may have ended since: a host that sends byte by byte costs
    /// no more than others.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, Malformed> {
        if self.looked_at == 0 {
            // Empty lines before a head are overlooked (RFC 9112, section 2.2), but not again with each byte.
            let empty = self.read.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.read.advance(empty);
        }
        let looked_at = std::mem::replace(&mut self.looked_at, self.read.len());
        let is_new = looked_at == 0 && !self.read.is_empty();
        if !is_new && !ends_head(&self.read, looked_at) && self.read.len() <= MAX_HEAD {
            return Ok(None);
        }
        let head = take_response(&mut self.read)?;
        if head.is_some() {
            self.looked_at = 0;
        }
        Ok(head)
    }

    /// Reads more: how much, 0 at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(self.room);
        let before = self.read.len();
        let room = self.read.capacity() - before;
        let read = {
            let read = pin!(self.io.read_buf(&mut self.read));
            ready!(read.poll(cx))?
        };
        if read == room {
            self.room = (2 * self.room).min(MAX_READ);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(READ);
        }
        Poll::Ready(Ok(read))
    }
}

/// Whether a head, or trailers, may end beyond `looked_at`.
pub(super) fn ends_head(read: &[u8], looked_at: usize) -> bool {
    let new = read.get(looked_at.saturating_sub(2)..).unwrap_or_default();
    new.windows(2).any(|two| two == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}
