//! Sending a body on a stream, as fast as the peer's windows allow and no faster.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;

use super::{handle::StreamRef, reason::Reason};
use crate::{base::Error, http::body::Body};

/// How sending ended.
#[derive(Debug)]
pub(super) enum Sent {
    /// END_STREAM is on its way.
    Complete,
    /// The peer does not want the rest: it reset the stream, or its connection is gone.
    Refused,
    /// The body itself failed; the stream was reset.
    BodyFailed(Error),
}

/// Sees what is sent: counts it, copies it.
pub(super) trait Observe {
    /// A piece of the body goes out.
    fn data(&mut self, data: &Bytes);

    /// The trailers go out.
    fn trailers(&mut self, _: &HeaderMap) {}
}

/// A body on its way out.
pub(super) struct SendBody {
    stream: StreamRef,
    body: Body,
    /// Taken from the body, not yet sent for want of window.
    pending: Bytes,
    done: bool,
    /// The body failed: what there is of it is not all of it.
    broken: bool,
    /// What the peer is told when the body fails.
    reason: Reason,
}

impl SendBody {
    /// `reason` is what the peer is told when the body fails.
    pub(super) fn new(stream: StreamRef, body: Body, reason: Reason) -> Self {
        Self { stream, body, pending: Bytes::new(), done: false, broken: false, reason }
    }

    /// Sends until the body or the window is exhausted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, observe: &mut impl Observe) -> Poll<Sent> {
        let mut sent = self.poll_sent(cx, observe);
        // Registered for by who waits, so that a stream that stands still ends with its peer, and by nobody else.
        if sent.is_pending() && self.stream.poll_gone(cx).is_ready() {
            sent = Poll::Ready(Sent::Refused);
        }
        self.done |= sent.is_ready();
        sent
    }

    /// Whether sending has ended, one way or another.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>, observe: &mut impl Observe) -> Poll<Sent> {
        loop {
            if !self.pending.is_empty() {
                if let Some(sent) = ready!(self.poll_pending(cx, observe)) {
                    return Poll::Ready(sent);
                }
                continue;
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() && !self.body.is_end_stream() => {}
                    Ok(data) if data.is_empty() => return Poll::Ready(self.finish()),
                    Ok(data) => self.pending = data,
                    Err(frame) => return Poll::Ready(self.trailers(frame.into_trailers().ok(), observe)),
                },
                Some(Err(error)) => return Poll::Ready(self.fail(error)),
                None => {
                    // A stream that has ended may not be asked again, and a request that is sent again asks.
                    self.body = Body::empty();
                    return Poll::Ready(self.finish());
                }
            }
        }
    }

    /// Sends what the window allows of `pending`: whether that was the end.
    fn poll_pending(&mut self, cx: &mut Context<'_>, observe: &mut impl Observe) -> Poll<Option<Sent>> {
        let Some(capacity) = ready!(self.stream.poll_capacity(self.pending.len(), cx)) else {
            return Poll::Ready(Some(Sent::Refused));
        };
        let data = self.pending.split_to(capacity.min(self.pending.len()));
        let end = self.pending.is_empty() && self.body.is_end_stream();
        observe.data(&data);
        Poll::Ready(match self.stream.send_data(data, end) {
            true => end.then_some(Sent::Complete),
            false => Some(Sent::Refused),
        })
    }

    fn finish(&mut self) -> Sent {
        if self.stream.send_data(Bytes::new(), true) { Sent::Complete } else { Sent::Refused }
    }

    fn trailers(&mut self, trailers: Option<HeaderMap>, observe: &mut impl Observe) -> Sent {
        let Some(trailers) = trailers else { return self.finish() };
        observe.trailers(&trailers);
        if self.stream.send_trailers(&trailers) { Sent::Complete } else { Sent::Refused }
    }

    fn fail(&mut self, error: Error) -> Sent {
        self.broken = true;
        if self.stream.is_gone() {
            return Sent::Refused;
        }
        self.stream.reset(self.reason);
        Sent::BodyFailed(error)
    }

    /// Resets the stream.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.reset(reason);
    }

    /// What has not been sent yet, unless the body failed: its beginning must not be taken for the whole.
    pub(super) fn into_rest(self) -> Option<(Bytes, Body)> {
        (!self.broken).then_some((self.pending, self.body))
    }
}

/// Copies what is sent, up to a limit, so that a request that was not processed can be sent again. `None` once it
/// cannot.
#[derive(Debug)]
pub(super) struct Copy(Option<BytesMut>);

/// A request that sent more than this cannot be sent again.
const REPLAY_LIMIT: usize = 16 << 10;

impl Copy {
    pub(super) fn new() -> Self {
        Self(Some(BytesMut::new()))
    }

    /// Everything that was sent, unless it was too much to keep.
    pub(super) fn into_sent(self) -> Option<Bytes> {
        self.0.map(BytesMut::freeze)
    }
}

impl Observe for Copy {
    fn data(&mut self, data: &Bytes) {
        match &mut self.0 {
            // A copy, not a clone: a small clone would pin the whole block that it was read into.
            Some(copied) if copied.len() + data.len() <= REPLAY_LIMIT => copied.extend_from_slice(data),
            given_up => *given_up = None,
        }
    }

    fn trailers(&mut self, _: &HeaderMap) {
        self.0 = None;
    }
}
