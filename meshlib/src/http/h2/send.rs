//! Sending a body on a stream, as fast as the peer's windows allow and no faster.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Body as _;

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
    /// Whether this is a request of which no piece was sent yet.
    fn is_first(&self) -> bool {
        false
    }

    /// A piece of the body goes out.
    fn data(&mut self, data: &Bytes);

    /// The trailers go out.
    fn trailers(&mut self, _: &HeaderMap) {}
}

/// A body on its way out.
pub(super) struct SendBody {
    stream: SendStream<Bytes>,
    body: Body,
    /// Taken from the body, not yet sent for want of window.
    pending: Bytes,
    done: bool,
    /// Why the body failed, while what came before it leaves.
    failed: Option<Error>,
    /// The body failed: what there is of it is not all of it.
    broken: bool,
    /// What the peer is told when the body fails.
    reason: Reason,
}

/// The first piece of a request's body goes along with its head, window or not, unless it is larger than this: a
/// stream is shown its window only when its connection is polled after the head was sent, and a unary call would take
/// a turn and a write more. What there is no window for waits in h2. Not so an answer: a client that gives no window is
/// not to be waited for, and what waits in h2 has no idle time.
const FIRST_PIECE: usize = 16 << 10;

impl SendBody {
    /// `reason` is what the peer is told when the body fails.
    pub(super) fn new(stream: SendStream<Bytes>, body: Body, reason: Reason) -> Self {
        Self { stream, body, pending: Bytes::new(), done: false, failed: None, broken: false, reason }
    }

    /// Sends until the body or the window is exhausted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, observe: &mut impl Observe) -> Poll<Sent> {
        let mut sent = self.poll_sent(cx, observe);
        // Registered for by who waits, so that a stream that stands still ends with its peer, and by nobody else: this
        // wakes also when the stream is shown a window.
        if sent.is_pending() && self.stream.poll_reset(cx).is_ready() {
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
        if let Some(error) = self.failed.take() {
            if self.stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Sent::Refused);
            }
            self.stream.send_reset(self.reason);
            return Poll::Ready(Sent::BodyFailed(error));
        }
        loop {
            if !self.pending.is_empty() {
                match ready!(self.poll_pending(cx, observe)) {
                    Some(ended) if ended => return Poll::Ready(Sent::Complete),
                    Some(_) => {}
                    None => return Poll::Ready(Sent::Refused),
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
                Some(Err(error)) => {
                    // A reset throws away what h2 has not written yet: a turn later the connection has.
                    (self.failed, self.broken) = (Some(error), true);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    // A stream that has ended may not be asked again, and a request that is sent again asks.
                    self.body = Body::empty();
                    return Poll::Ready(self.finish());
                }
            }
        }
    }

    /// Sends what the window allows of `pending`: whether that ended the stream, or `None` if the peer is gone.
    fn poll_pending(&mut self, cx: &mut Context<'_>, observe: &mut impl Observe) -> Poll<Option<bool>> {
        let capacity = match observe.is_first() && self.pending.len() <= FIRST_PIECE {
            true => self.pending.len(),
            false => match ready!(self.poll_capacity(cx)) {
                Some(capacity) => capacity,
                None => return Poll::Ready(None),
            },
        };
        let data = self.pending.split_to(capacity.min(self.pending.len()));
        let end = self.pending.is_empty() && self.body.is_end_stream();
        if !data.is_empty() || end {
            observe.data(&data);
            if self.stream.send_data(data, end).is_err() {
                return Poll::Ready(None);
            }
        }
        Poll::Ready(Some(end))
    }

    /// How much of `pending` may be sent; `None` if the peer is gone.
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        // Capacity is asked for only while there is data for it; idle reservations would starve other streams.
        self.stream.reserve_capacity(self.pending.len());
        match self.stream.capacity() {
            0 => self.stream.poll_capacity(cx).map(|capacity| capacity.and_then(Result::ok)),
            capacity => Poll::Ready(Some(capacity)),
        }
    }

    fn finish(&mut self) -> Sent {
        match self.stream.send_data(Bytes::new(), true) {
            Ok(()) => Sent::Complete,
            Err(_) => Sent::Refused,
        }
    }

    fn trailers(&mut self, trailers: Option<HeaderMap>, observe: &mut impl Observe) -> Sent {
        let Some(trailers) = trailers else { return self.finish() };
        observe.trailers(&trailers);
        match self.stream.send_trailers(trailers) {
            Ok(()) => Sent::Complete,
            Err(_) => Sent::Refused,
        }
    }

    /// Resets the stream.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
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
    fn is_first(&self) -> bool {
        self.0.as_ref().is_some_and(BytesMut::is_empty)
    }

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
