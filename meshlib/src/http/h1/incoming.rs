//! A body that arrives on an HTTP/1.1 connection.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::base::Error;

/// hyper's body, with errors that say which side of the proxy they come from.
pub(crate) struct IncomingBody {
    incoming: Incoming,
    error: fn(hyper::Error) -> Error,
}

impl IncomingBody {
    /// A body whose errors `error` translates.
    pub(super) fn new(incoming: Incoming, error: fn(hyper::Error) -> Error) -> Self {
        Self { incoming, error }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx).map_err(self.error)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IncomingBody").field(&self.incoming).finish()
    }
}
