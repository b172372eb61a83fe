//! The bodies that a timeout watches.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::clock::{Clock, UploadEnd};
use crate::{
    base::{BoxError, Error},
    http,
};

/// A request body that tells its end. Dropped before it, it has ended as well: nobody wants the rest.
#[pin_project]
#[derive(Debug, Default)]
pub struct RequestBody<B> {
    #[pin]
    inner: B,
    end: Option<NoteOnDrop>,
}

#[derive(Debug)]
struct NoteOnDrop(UploadEnd);

impl Drop for NoteOnDrop {
    fn drop(&mut self) {
        self.0.note();
    }
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, end: Option<UploadEnd>) -> Self {
        Self { inner, end: end.map(NoteOnDrop) }
    }
}

/// As one of ours. Where there is nothing to tell, the inner body itself: no box.
impl<B> From<RequestBody<B>> for http::Body
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn from(body: RequestBody<B>) -> Self {
        match body {
            RequestBody { inner, end: None } => Self::new(inner),
            body => Self::new(body),
        }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = this.inner.as_mut().poll_frame(cx);
        let ended = match &frame {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || this.inner.is_end_stream(),
            Poll::Ready(_) => true,
        };
        if ended {
            *this.end = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body that fails once the request's time is up. The inner body is dropped then, which resets its stream.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<B> {
    #[pin]
    inner: Option<B>,
    clock: Option<Clock>,
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B, clock: Option<Clock>) -> Self {
        Self { inner: Some(inner), clock }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = inner.as_mut().poll_frame(cx).map_err(Error::from_boxed);
        let Some(clock) = this.clock else { return frame };
        let expired = match &frame {
            Poll::Pending => clock.poll_expired(cx),
            // A reader slower than the upstream finds data at every poll, and would never let the timer fire.
            Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() && !inner.is_end_stream() => clock.expired(cx),
            Poll::Ready(_) => {
                *this.clock = None;
                return frame;
            }
        };
        if let Poll::Ready(error) = expired {
            *this.clock = None;
            this.inner.set(None);
            return Poll::Ready(Some(Err(error)));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
