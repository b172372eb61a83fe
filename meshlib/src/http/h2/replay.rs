//! The body of a request that is sent again: what was sent before, then the rest.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::{base::Error, http::body::Body};

/// `parts`, then `rest`.
pub(super) fn body(parts: [Bytes; 2], rest: Body) -> Body {
    if parts.iter().all(Bytes::is_empty) {
        return rest;
    }
    Body::new(Replay { parts, rest })
}

struct Replay {
    parts: [Bytes; 2],
    rest: Body,
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.parts.iter_mut().find(|part| !part.is_empty()) {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(part))))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty) && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
