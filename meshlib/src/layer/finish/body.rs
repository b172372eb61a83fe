//! The bodies whose bytes are counted.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::{Closing, ResponseGuard, note_grpc_status};

/// A request body whose bytes are counted.
#[pin_project]
#[derive(Debug, Default)]
pub struct RequestBody<B> {
    #[pin]
    inner: B,
    record: Option<Arc<Closing>>,
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, record: Option<Arc<Closing>>) -> Self {
        Self { inner, record }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if let (Some(Ok(frame)), Some(closing)) = (&frame, &*this.record)
            && let Some(data) = frame.data_ref()
        {
            closing.0.add_bytes_received(data.remaining() as u64);
        }
        let over = !matches!(frame, Some(Ok(_))) || this.inner.is_end_stream();
        if over && let Some(closing) = this.record.take() {
            closing.0.note_request_end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body whose bytes are counted and whose end is noted.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<B> {
    #[pin]
    inner: B,
    guard: ResponseGuard,
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, guard: ResponseGuard) -> Self {
        Self { inner, guard }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), guard: ResponseGuard(None) }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if let (Some(Ok(frame)), Some(info)) = (&frame, this.guard.info()) {
            if let Some(data) = frame.data_ref() {
                info.add_bytes_sent(data.remaining() as u64);
            } else if let Some(trailers) = frame.trailers_ref() {
                note_grpc_status(info, trailers);
            }
        }
        let over = match &frame {
            Some(Ok(frame)) => frame.is_trailers() || this.inner.is_end_stream(),
            _ => true,
        };
        if over {
            this.guard.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
