//! A connection as its task, its handle and its exchange see it.
//!
//! There is no task between an exchange and the socket: the exchange writes and reads by itself. The connection's own
//! task looks only while nobody else does, for a host that closes.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::task::coop::unconstrained;

use super::{
    head::ResponseHead,
    wire::{Failure, Wire},
};
use crate::base::{Error, Side, resources::BoxIo};

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
    /// None may, because the host says so.
    is_hosts_last: bool,
    /// There is a handle, and so a use for the connection.
    is_held: bool,
    /// The host ended the connection.
    by_host: bool,
    /// Why the request's body ended it, for whoever reads the response.
    upload_failed: Option<Error>,
    /// Who drives the connection, who waits for the response, and who waits for the connection to be free.
    driver: Option<Waker>,
    reader: Option<Waker>,
    waiting: Option<Waker>,
}

impl Shared {
    pub(super) fn new(io: BoxIo) -> Self {
        Self(Mutex::new(State {
            wire: Some(Wire::new(io)),
            sending: false,
            receiving: false,
            keeps_alive: true,
            is_hosts_last: false,
            is_held: true,
            by_host: false,
            upload_failed: None,
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

    /// The same, by the request's body, which failed when the response had begun.
    pub(super) fn closed_by_upload(&mut self, error: Error) {
        if !self.is_closed() {
            self.upload_failed = Some(error);
            self.close();
        }
    }

    /// Why there is nothing to read any more.
    pub(super) fn why_closed(&mut self) -> Failure {
        self.upload_failed.take().map_or(Failure::Closed, Failure::Upload)
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
        if self.wire.as_mut().is_some_and(|wire| wire.poll_unasked(cx).is_ready()) {
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
        (self.keeps_alive, self.is_hosts_last) = (false, true);
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
        let in_order = self.wire.as_ref().is_some_and(Wire::is_empty);
        if !(in_order && self.keeps_alive && self.is_held) {
            self.by_host |= self.is_hosts_last;
            return self.close();
        }
        self.wire.iter_mut().for_each(Wire::rest);
        // From here on it is the task's to look after.
        self.look();
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Writes what there is to write.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Some(wire) => wire.poll_flush(cx),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Reads the response's head.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Err(self.why_closed())) };
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
