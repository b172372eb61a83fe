//! A request on its way to the host.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body as _;

use super::{
    head::{Framing, put_number},
    state::Shared,
};
use crate::{
    base::{Error, ErrorKind},
    http::body::Body,
};

/// So much is collected before some of it has to be written.
const COLLECT: usize = 64 << 10;

/// Writes the head that was collected, and the body as it comes. Dropped before its end it closes the connection: the
/// host would wait for the rest.
pub(super) struct Upload {
    shared: Arc<Shared>,
    body: Body,
    framing: Framing,
    /// The body has ended, and so has the message.
    is_whole: bool,
    is_done: bool,
}

impl Upload {
    pub(super) fn new(shared: Arc<Shared>, body: Body, framing: Framing) -> Self {
        // One that says nothing needs not be asked.
        let is_whole = framing == Framing::None;
        Self { shared, body, framing, is_whole, is_done: false }
    }

    /// Ready when all of the request is written, or the host takes no more of it; fails only when the body does.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.is_done {
            let collected = self.collect(cx)?;
            let mut state = self.shared.lock();
            if ready!(state.poll_flush(cx)).is_err() {
                // The response may say why.
                state.is_last();
                self.is_done = true;
                state.sent();
            } else if self.is_whole {
                self.is_done = true;
                state.sent();
            } else if collected.is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the body has, so that it leaves together; pending when there is no more of it yet.
    fn collect(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Error> {
        while !self.is_whole {
            if self.framing == Framing::Length(0) {
                self.is_whole = true;
                self.see_end(cx)?;
                break;
            }
            if self.shared.lock().wire().is_none_or(|wire| wire.out.len() >= COLLECT) {
                break;
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Ok(Poll::Pending) };
            match frame.transpose()?.map(http_body::Frame::into_data) {
                Some(Ok(data)) => self.put(data)?,
                // Trailers are dropped, as Envoy drops them unless told otherwise.
                Some(Err(_)) => {}
                None => self.put_end()?,
            }
        }
        Ok(Poll::Ready(()))
    }

    fn put(&mut self, data: Bytes) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.lock();
        let Some(wire) = state.wire() else { return Ok(()) };
        if let Framing::Length(left) = &mut self.framing {
            let length = data.len() as u64;
            *left = left.checked_sub(length).ok_or_else(|| mismatch("longer"))?;
            wire.out.push(&[], data);
        } else {
            put_number(data.len() as u64, 16, wire.out.tail());
            wire.out.push(b"\r\n", data);
            wire.out.tail().extend_from_slice(b"\r\n");
        }
        drop(state);
        // Known now, it leaves with the data.
        if self.body.is_end_stream() { self.put_end() } else { Ok(()) }
    }

    /// Looks once at a body whose length has been sent: who has more to say says what its head did not. One that does
    /// not end now is not waited for.
    fn see_end(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.body.is_end_stream() {
            return Ok(());
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => Err(error),
            Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| !data.is_empty()) => {
                Err(mismatch("longer"))
            }
            _ => Ok(()),
        }
    }

    fn put_end(&mut self) -> Result<(), Error> {
        match self.framing {
            Framing::Length(1..) => return Err(mismatch("shorter")),
            Framing::Chunked => {
                if let Some(wire) = self.shared.lock().wire() {
                    wire.out.tail().extend_from_slice(b"0\r\n\r\n");
                }
            }
            _ => {}
        }
        self.is_whole = true;
        Ok(())
    }

    /// Sends the rest. Who reads the response hears of it if the body fails.
    pub(super) async fn finish(mut self) {
        if let Err(error) = std::future::poll_fn(|cx| self.poll(cx)).await {
            self.shared.lock().closed_by_upload(error);
        }
    }
}

fn mismatch(than: &str) -> Error {
    Error::new(ErrorKind::DownstreamProtocol)
        .with_detail(format!("the request's body is {than} than its content-length"))
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_done {
            self.shared.lock().close();
        }
    }
}
