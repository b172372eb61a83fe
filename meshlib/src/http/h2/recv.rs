//! The receiving half of a stream as a body.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    error::{self, Failure},
    handle::StreamRef,
};
use crate::base::{Error, ErrorKind, RequestInfo, task::AbortOnDropHandle};

/// DATA frames and trailers of a stream. A frame's window is given back when the next one is asked for, which is when
/// whoever reads has passed the first on: so a reader that stands still stops the sender within the window.
pub(crate) struct RecvBody {
    stream: StreamRef,
    message: Message,
    /// Of what was read last; never more than a window.
    unreleased: u32,
    ended: bool,
    /// Whether what was read last was the end of the stream.
    last: bool,
}

/// Whose body it is.
enum Message {
    /// Its bytes are counted here, and its end is noted.
    Request {
        info: RequestInfo,
        /// The client waits to be told that its body is wanted (RFC 9110, section 10.1.1).
        expects_continue: bool,
    },
    /// An upload that goes on beside it ends with it.
    Response { _upload: Option<AbortOnDropHandle<()>> },
}

impl RecvBody {
    /// A request's body, which has not ended yet.
    pub(super) fn request(stream: StreamRef, info: RequestInfo, expects_continue: bool) -> Self {
        Self::new(stream, Message::Request { info, expects_continue })
    }

    /// A response's body, which has not ended yet.
    pub(super) fn response(stream: StreamRef, upload: Option<AbortOnDropHandle<()>>) -> Self {
        Self::new(stream, Message::Response { _upload: upload })
    }

    fn new(stream: StreamRef, message: Message) -> Self {
        Self { stream, message, unreleased: 0, ended: false, last: false }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(received) = self.stream.poll_data(std::mem::take(&mut self.unreleased), cx) else {
            self.wait();
            return Poll::Pending;
        };
        Poll::Ready(match received {
            Some(Ok((data, last))) => Some(Ok(self.data(data, last))),
            Some(Err(failure)) => {
                self.end();
                Some(Err(self.error(failure)))
            }
            None => {
                self.end();
                self.trailers().transpose()
            }
        })
    }

    /// There is nothing yet.
    fn wait(&mut self) {
        if let Message::Request { expects_continue, .. } = &mut self.message
            && std::mem::take(expects_continue)
        {
            self.stream.respond_continue();
        }
    }

    fn data(&mut self, data: Bytes, last: bool) -> Frame<Bytes> {
        (self.unreleased, self.last) = (u32::try_from(data.len()).unwrap_or(u32::MAX), last);
        if let Message::Request { info, expects_continue } = &mut self.message {
            // It does not wait any more, if it did.
            *expects_continue = false;
            info.add_bytes_received(data.len() as u64);
            if last {
                info.note_request_end();
            }
        }
        Frame::data(data)
    }

    /// Trailers that are not whole say something else than they were meant to: a call without its status.
    fn trailers(&self) -> Result<Option<Frame<Bytes>>, Error> {
        match self.stream.take_trailers() {
            None => Ok(None),
            Some(Ok(trailers)) => Ok(Some(Frame::trailers(trailers))),
            Some(Err(_)) => {
                let kind = match self.message {
                    Message::Request { .. } => ErrorKind::HeadersTooLarge,
                    Message::Response { .. } => error::OVERSIZE,
                };
                Err(Error::new(kind).with_detail("the trailers are too large"))
            }
        }
    }

    fn error(&self, failure: Failure) -> Error {
        match self.message {
            Message::Request { .. } => failure.downstream(),
            Message::Response { .. } => failure.upstream(),
        }
    }

    /// Nothing more is to be read.
    fn end(&mut self) {
        self.ended = true;
        self.note_end();
    }

    fn note_end(&self) {
        if let Message::Request { info, .. } = &self.message {
            info.note_request_end();
        }
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
        self.note_end();
        // What was read last is done with, too.
        self.stream.discard(self.unreleased);
    }
}

impl fmt::Debug for RecvBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBody").field("stream", &self.stream.id()).finish_non_exhaustive()
    }
}
