//! A response's body, read from the connection by whoever asks for it.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{
    chunked::{Chunked, Piece},
    head::{Framing, Malformed},
    state::Shared,
    wire::{Failure, Wire, take_data},
};
use crate::base::{Error, task::AbortOnDropHandle};

/// Dropped before its end it closes the connection: the rest would be taken for the next response.
pub(crate) struct ResponseBody {
    shared: Arc<Shared>,
    left: Left,
    /// An upload that goes on beside it ends with it.
    _upload: Option<AbortOnDropHandle<()>>,
}

/// What is left of a body.
#[derive(Debug)]
enum Left {
    /// So many bytes, at least one.
    Length(u64),
    Chunked(Chunked),
    /// Until the host closes.
    Close,
    Nothing,
}

impl ResponseBody {
    /// The body of a response that has one.
    pub(super) fn new(shared: Arc<Shared>, framing: Framing, upload: Option<AbortOnDropHandle<()>>) -> Self {
        let left = match framing {
            Framing::None => Left::Nothing,
            Framing::Length(length) => Left::Length(length),
            Framing::Chunked => Left::Chunked(Chunked::default()),
            Framing::Close => Left::Close,
        };
        Self { shared, left, _upload: upload }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if matches!(self.left, Left::Nothing) {
            return Poll::Ready(None);
        }
        let mut state = self.shared.lock();
        let Some(wire) = state.wire() else {
            let failure = state.why_closed();
            return Poll::Ready(self.left.fail(failure));
        };
        let piece = match self.left.poll_piece(wire, cx) {
            Poll::Ready(Ok(piece)) => piece,
            Poll::Ready(Err(failure)) => {
                state.closed_by_host();
                return Poll::Ready(self.left.fail(failure));
            }
            Poll::Pending => {
                state.reads(cx);
                return Poll::Pending;
            }
        };
        if matches!(self.left, Left::Nothing) {
            state.received();
        }
        Poll::Ready(match piece {
            Piece::Data(data) => Some(Ok(Frame::data(data))),
            Piece::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Piece::End => None,
        })
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.left {
            Left::Length(left) => SizeHint::with_exact(left),
            Left::Nothing => SizeHint::with_exact(0),
            Left::Chunked(_) | Left::Close => SizeHint::default(),
        }
    }
}

impl Left {
    /// What comes next. After the last piece nothing is left.
    fn poll_piece(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<Piece, Failure>> {
        loop {
            if let Some(piece) = self.take(wire)? {
                return Poll::Ready(Ok(piece));
            }
            if ready!(wire.poll_fill(cx)).map_err(Failure::Broken)? == 0 {
                return Poll::Ready(self.end());
            }
        }
    }

    fn take(&mut self, wire: &mut Wire) -> Result<Option<Piece>, Malformed> {
        let here = wire.read.len();
        let (piece, is_last) = match self {
            Self::Chunked(chunked) => {
                let piece = chunked.decode(&mut wire.read)?;
                let is_last = matches!(piece, Some(Piece::Trailers(_) | Piece::End));
                (piece, is_last)
            }
            Self::Nothing => (Some(Piece::End), true),
            _ if here == 0 => (None, false),
            Self::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                *left -= length as u64;
                (Some(Piece::Data(take_data(&mut wire.read, length))), *left == 0)
            }
            Self::Close => (Some(Piece::Data(take_data(&mut wire.read, here))), false),
        };
        if is_last {
            *self = Self::Nothing;
        }
        Ok(piece)
    }

    /// The host has closed.
    fn end(&mut self) -> Result<Piece, Failure> {
        match self {
            Self::Close | Self::Nothing => {
                *self = Self::Nothing;
                Ok(Piece::End)
            }
            Self::Length(_) | Self::Chunked(_) => Err(Malformed("the response's body ended early").into()),
        }
    }

    fn fail<T>(&mut self, failure: Failure) -> Option<Result<T, Error>> {
        *self = Self::Nothing;
        Some(Err(failure.error()))
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if !self.is_end_stream() {
            self.shared.lock().close();
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("left", &self.left).finish_non_exhaustive()
    }
}
