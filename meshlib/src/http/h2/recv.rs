//! The receiving half of a stream as a body.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::{error, meter::Role, seen::Seen};
use crate::base::{Error, ErrorKind, RequestInfo};

/// DATA frames and trailers of a stream. A frame's window is given back when the next one is asked for, which is when
/// whoever reads has passed the first on: so a reader that stands still stops the sender within the window.
pub(crate) struct RecvBody {
    stream: RecvStream,
    unreleased: usize,
    role: Role,
    seen: Arc<Seen>,
    received: Option<RequestInfo>,
    ended: bool,
    /// Held until the body is done: the stream's place in its connection, an upload to stop.
    _guard: Option<Box<dyn Any + Send>>,
}

impl RecvBody {
    /// A request's body; its bytes are counted into `info`.
    pub(super) fn request(stream: RecvStream, seen: Arc<Seen>, info: RequestInfo) -> Self {
        Self { stream, unreleased: 0, role: Role::Server, seen, received: Some(info), ended: false, _guard: None }
    }

    /// A response's body, which keeps `guard` until it is done.
    pub(super) fn response(stream: RecvStream, seen: Arc<Seen>, guard: Box<dyn Any + Send>) -> Self {
        Self { stream, unreleased: 0, role: Role::Client, seen, received: None, ended: false, _guard: Some(guard) }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let unreleased = std::mem::take(&mut self.unreleased);
        if unreleased > 0 {
            // It fails only for more than was received.
            let _ = self.stream.flow_control().release_capacity(unreleased);
        }
        while let Some(data) = ready!(self.stream.poll_data(cx)) {
            // An empty frame carries END_STREAM, which the next turn of the loop finds.
            if !matches!(&data, Ok(data) if data.is_empty()) {
                return Poll::Ready(Some(self.data(data)));
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        self.ended = true;
        Poll::Ready(match trailers {
            Ok(Some(trailers)) => Some(self.trailers(trailers)),
            Ok(None) => None,
            Err(error) => Some(Err(self.error(error))),
        })
    }

    /// Trailers that are not whole say something else than they were meant to: a call without its status.
    fn trailers(&self, trailers: HeaderMap) -> Result<Frame<Bytes>, Error> {
        let block = self.seen.take_block(|| self.stream.stream_id().as_u32());
        if self.seen.limits().allow_trailers(&trailers, block) {
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
            self.ended = true;
            self.error(error)
        })?;
        self.unreleased = data.len();
        if let Some(info) = &self.received {
            info.add_bytes_received(data.len() as u64);
        }
        Ok(Frame::data(data))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.ended || self.stream.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

impl Drop for RecvBody {
    fn drop(&mut self) {
        // Trailers that nobody asked for.
        if self.seen.is_remembering() && !self.ended {
            self.seen.take_block(|| self.stream.stream_id().as_u32());
        }
    }
}

impl fmt::Debug for RecvBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBody").field("stream", &self.stream.stream_id()).finish_non_exhaustive()
    }
}
