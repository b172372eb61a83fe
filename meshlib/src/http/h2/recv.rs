//! The receiving half of a stream as a body.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::{client::InUse, error, inbox::Inbox, meter::Role, seen::Seen};
use crate::base::{Error, ErrorKind, RequestInfo};

/// DATA frames and trailers of a stream. A frame's window is given back when the next one is asked for, which is when
/// whoever reads has passed the first on: so a reader that stands still stops the sender within the window.
pub(crate) struct RecvBody {
    inbox: Arc<Inbox>,
    unreleased: usize,
    role: Role,
    received: Option<RequestInfo>,
    ended: bool,
    /// Whether what was read last was the end of the stream. As of then: to ask `h2` takes two locks, and a request's
    /// way through the layers asks a dozen times.
    last: bool,
}

impl RecvBody {
    /// A request's body, which has not ended yet; its bytes are counted into `info`, and its end is noted there.
    pub(super) fn request(stream: RecvStream, seen: Arc<Seen>, info: RequestInfo) -> Self {
        let inbox = Inbox::new(stream, seen, None);
        Self { inbox, unreleased: 0, role: Role::Server, received: Some(info), ended: false, last: false }
    }

    /// A response's body, which has not ended yet; it keeps `in_use` until it is done.
    pub(super) fn response(stream: RecvStream, seen: Arc<Seen>, in_use: InUse) -> Self {
        let inbox = Inbox::new(stream, seen, Some(in_use));
        Self { inbox, unreleased: 0, role: Role::Client, received: None, ended: false, last: false }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(data) = ready!(self.inbox.poll_data(std::mem::take(&mut self.unreleased), cx)) {
            return Poll::Ready(Some(self.data(data)));
        }
        let trailers = ready!(self.inbox.poll_trailers(cx));
        self.end();
        Poll::Ready(match trailers {
            Ok(Some(trailers)) => Some(self.trailers(trailers)),
            Ok(None) => None,
            Err(error) => Some(Err(self.error(error))),
        })
    }

    /// Trailers that are not whole say something else than they were meant to: a call without its status.
    fn trailers(&self, trailers: HeaderMap) -> Result<Frame<Bytes>, Error> {
        let seen = self.inbox.seen();
        let block = seen.take_block(|| self.inbox.stream_id());
        if seen.limits().allow_trailers(&trailers, block) {
            return Ok(Frame::trailers(trailers));
        }
        let kind = match self.role {
            Role::Server => ErrorKind::HeadersTooLarge,
            Role::Client => error::OVERSIZE,
        };
        Err(Error::new(kind).with_detail("the trailers are too large"))
    }

    fn error(&self, error: h2::Error) -> Error {
        match self.role {
            Role::Server => error::downstream(error),
            Role::Client => error::upstream(error),
        }
    }

    fn data(&mut self, data: Result<Bytes, h2::Error>) -> Result<Frame<Bytes>, Error> {
        let data = data.map_err(|error| {
            self.end();
            self.error(error)
        })?;
        self.unreleased = data.len();
        self.last = self.inbox.is_end_stream();
        if let Some(info) = &self.received {
            info.add_bytes_received(data.len() as u64);
            if self.last {
                info.note_request_end();
            }
        }
        Ok(Frame::data(data))
    }

    /// Nothing more is to be read.
    fn end(&mut self) {
        self.ended = true;
        self.received.iter().for_each(RequestInfo::note_request_end);
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.ended || self.last
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

impl Drop for RecvBody {
    fn drop(&mut self) {
        // Nobody wants the rest of a request: it has ended as well.
        self.received.iter().for_each(RequestInfo::note_request_end);
        // Trailers that nobody asked for.
        let seen = self.inbox.seen();
        if seen.is_remembering() && !self.ended {
            seen.take_block(|| self.inbox.stream_id());
        }
    }
}

impl fmt::Debug for RecvBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBody").field("stream", &self.inbox.stream_id()).finish_non_exhaustive()
    }
}
