//! The loop around hyper, and what goes on without it.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1::Connection, service::Service};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    body::ResponseBody,
    io::Watched,
    state::State,
    timers::{Due, Timers},
};
use crate::{
    base::{Drain, DrainPhase, ErrorKind, resources::Io},
    http::{
        leave::{GRACE, Phases},
        options::ServerOptions,
    },
};

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// In good order: what was written should arrive.
    Closed,
    /// By a head that cannot be let through; the answer has not been written.
    Refused(ErrorKind),
    /// In the middle of something.
    Cut,
    /// Not at all: nothing is asked, and hyper is not needed until the next request.
    Rest,
}

/// Polls hyper's connection, and what hyper does not have: times, the drain, a client that went away while nobody
/// reads.
pub(super) struct Drive<'a> {
    state: &'a State,
    timers: Timers,
    phases: Phases,
    draining: bool,
    told: bool,
}

impl<'a> Drive<'a> {
    pub(super) fn new(state: &'a State, options: &ServerOptions, drain: &Drain) -> Self {
        let phases = Phases::new(drain, options);
        Self { state, timers: Timers::new(options), phases, draining: false, told: false }
    }

    /// Until hyper is done with the connection, or is not needed.
    pub(super) async fn serve<T, S>(&mut self, http: &mut Connection<TokioIo<Watched<T>>, S>) -> End
    where
        T: Io,
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>,
    {
        poll_fn(|cx| self.poll_end(http, cx)).await
    }

    /// Until the client says something: its first bytes. hyper keeps 24 KiB of buffers for a connection, even for one
    /// that is idle; this keeps none.
    pub(super) async fn rest<T: Io>(&mut self, io: &mut Watched<T>) -> Result<Bytes, End> {
        poll_fn(|cx| self.poll_rest(io, cx)).await
    }

    fn poll_rest<T: Io>(&mut self, io: &mut Watched<T>, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        if self.poll_drain(cx) {
            return Poll::Ready(Err(End::Cut));
        }
        let mut first = [0; 64];
        let mut read = ReadBuf::new(&mut first);
        match Pin::new(io).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                return Poll::Ready(Ok(Bytes::copy_from_slice(read.filled())));
            }
            Poll::Ready(_) => return Poll::Ready(Err(End::Closed)),
            Poll::Pending => {}
        }
        if self.draining || self.timers.poll_idle(cx).is_ready() {
            return Poll::Ready(Err(End::Closed));
        }
        Poll::Pending
    }

    /// Whether the drain has come to its end.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> bool {
        while let Poll::Ready(phase) = self.phases.poll_next(cx) {
            if phase == DrainPhase::Stopped {
                return true;
            }
            self.draining = true;
            self.state.close();
            self.timers.hurry(GRACE);
        }
        false
    }

    /// Whether this is the moment to tell hyper of the drain. A connection whose first request, or part of a request,
    /// is on its way is left alone until that has been read: then the response says `connection: close`.
    fn must_tell(&self) -> bool {
        let expects = self.state.begun() == 0 || self.state.is_reading_head();
        self.draining && !self.told && !expects
    }

    fn end(&self, result: Result<(), hyper::Error>) -> End {
        match result {
            Ok(()) => End::Closed,
            Err(error) if !self.state.is_settled() || !error.is_parse() => {
                tracing::debug!(%error, "HTTP/1 connection broken off");
                End::Cut
            }
            Err(error) if error.is_parse_too_large() => End::Refused(ErrorKind::HeadersTooLarge),
            Err(_) => End::Refused(ErrorKind::DownstreamProtocol),
        }
    }

    fn poll_end<T, S>(&mut self, http: &mut Connection<TokioIo<Watched<T>>, S>, cx: &mut Context<'_>) -> Poll<End>
    where
        T: Io,
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible>,
    {
        loop {
            if self.poll_drain(cx) {
                return Poll::Ready(End::Cut);
            }
            if let Poll::Ready(result) = Pin::new(&mut *http).poll(cx) {
                return Poll::Ready(self.end(result));
            }
            // hyper goes on when a client closes during its upload; nobody is left to answer.
            if self.state.is_gone() && self.state.is_in_flight() {
                return Poll::Ready(End::Cut);
            }
            if self.must_tell() {
                self.told = true;
                Pin::new(&mut *http).graceful_shutdown();
                continue;
            }
            match self.timers.poll_due(self.state, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Due::Close) => return Poll::Ready(End::Closed),
                Poll::Ready(Due::Rest) => return Poll::Ready(End::Rest),
                Poll::Ready(Due::Head) => return Poll::Ready(End::Refused(ErrorKind::RequestHeaderTimeout)),
                // The exchange's future sees it and answers; it is too late for that once the response has begun.
                Poll::Ready(Due::Stream) if self.state.time_out() => {}
                Poll::Ready(Due::Stream) => return Poll::Ready(End::Cut),
            }
        }
    }
}
