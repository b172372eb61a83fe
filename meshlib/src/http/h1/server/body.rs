//! The bodies of an exchange, counted.

use std::{
    error::Error as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project::{pin_project, pinned_drop};

use super::{exchange::Exchange, state::State};
use crate::{
    base::{Error, ErrorKind, RequestInfo},
    http::Body,
};

/// How much of an upload that nobody wants hyper may have read already, so that it finds the next request.
const DRAINED: u64 = 8192;

/// What the client uploads; its end is noted in the record. Its trailers are dropped, as Envoy drops them unless told otherwise.
#[pin_project(PinnedDrop)]
pub(crate) struct RequestBody {
    #[pin]
    inner: Incoming,
    info: RequestInfo,
    state: Arc<State>,
    ended: bool,
}

impl RequestBody {
    /// Most requests have no body: they get an empty one, which costs nothing.
    pub(super) fn of(inner: Incoming, info: &RequestInfo, state: &Arc<State>) -> Body {
        if inner.is_end_stream() {
            info.note_request_end();
            state.uploaded();
            return Body::empty();
        }
        Body::from_h1(Self { inner, info: info.clone(), state: state.clone(), ended: false })
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        let frame = match ready!(this.inner.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => frame.into_data().ok(),
            Some(Err(error)) => {
                this.state.close();
                this.info.note_request_end();
                return Poll::Ready(Some(Err(broken(error))));
            }
            None => None,
        };
        if let Some(data) = &frame {
            this.info.add_bytes_received(data.len() as u64);
        }
        if frame.is_none() || this.inner.is_end_stream() {
            *this.ended = true;
            this.info.note_request_end();
            this.state.uploaded();
        }
        Poll::Ready(frame.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[pinned_drop]
impl PinnedDrop for RequestBody {
    fn drop(self: Pin<&mut Self>) {
        // Nobody wants the rest: the request has ended as well.
        self.info.note_request_end();
        // Of a long upload hyper reads no more, and closes after the response: the client should know.
        if !self.ended && self.inner.size_hint().exact().is_none_or(|left| left > DRAINED) {
            self.state.close();
        }
    }
}

/// Malformed chunks are the client's mistake; anything else means that it went away.
fn broken(error: hyper::Error) -> Error {
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    let kind = match cause {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => ErrorKind::DownstreamProtocol,
        _ => ErrorKind::DownstreamTermination,
    };
    Error::new(kind).with_source(error)
}

/// What the client is sent.
#[pin_project]
pub(super) struct ResponseBody {
    #[pin]
    inner: Body,
    /// What is left of the response's `content-length`.
    left: Option<u64>,
    /// Why the body ended early, while what came before it is flushed.
    error: Option<Error>,
    exchange: Exchange,
}

impl ResponseBody {
    pub(super) fn new(inner: Body, length: Option<u64>, exchange: Exchange) -> Self {
        Self { inner, left: length, error: None, exchange }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(this.inner.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                this.exchange.info.add_bytes_sent(length);
                *this.left = this.left.map(|left| left.saturating_sub(length));
                // hyper asks for nothing more after each of these.
                if frame.is_trailers() || *this.left == Some(0) || this.inner.is_end_stream() {
                    this.exchange.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                // hyper would throw away what it has not written yet: a turn later it has.
                this.exchange.fail(&error);
                *this.error = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                this.exchange.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // `content-length` decides, where there is one: hyper must not trust two voices.
        if self.left.is_some() { SizeHint::default() } else { self.inner.size_hint() }
    }
}
