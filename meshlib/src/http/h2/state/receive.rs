//! The receiving half of streams, and what the peer says of the connection.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, response};

use super::{
    super::{
        error::{Failure, Violation},
        frame::{ACK, Head as FrameHead, put_ping, put_settings, put_window_update},
        head::{Fields, Head},
        reason::Reason,
        role::Role,
    },
    Goaway, SHUTDOWN_PING, State, Status, Trailers,
    send::keep,
};

/// What is known of a number that no open stream has.
enum Absent {
    /// It was never used.
    Idle,
    /// Its frames are to be ignored: we may have reset it, or said that we would not look at it.
    Ignored,
    /// It was complete, or reset by the peer.
    Closed,
}

/// A frame in the wrong place.
const IDLE: Violation = Violation(Reason::PROTOCOL_ERROR, "a frame for a stream that was never opened");

impl State {
    fn absent(&self, id: u32) -> Absent {
        // Servers' numbers are even, and no server has streams: push is off.
        let is_clients = id % 2 == 1;
        let is_used = match self.role {
            Role::Server => is_clients && id <= self.newest && !self.skipped.contains(&id),
            Role::Client => is_clients && id < self.next,
        };
        match self.goaway {
            Goaway::Last(last) if self.role == Role::Server && is_clients && id > last => Absent::Ignored,
            _ if !is_used => Absent::Idle,
            _ if self.streams.may_have_been_reset(id) => Absent::Ignored,
            _ => Absent::Closed,
        }
    }

    /// A frame begins.
    pub(in super::super) fn frame(&mut self, head: FrameHead) {
        self.is_flooded |= !self.floods.received(head);
    }

    /// The peer says that a stream depends on itself.
    pub(in super::super) fn depends_on_itself(&mut self, id: u32) -> Result<(), Violation> {
        const WHY: &str = "a stream that depends on itself";
        let key = self.streams.key(id).ok_or(Violation(Reason::PROTOCOL_ERROR, WHY))?;
        self.violated(key, Reason::PROTOCOL_ERROR, WHY);
        Ok(())
    }

    /// A frame came with padding; `is_all` says that it had nothing else, and did not end its stream.
    pub(in super::super) fn padded(&mut self, key: u32, length: u32, is_all: bool) {
        self.is_flooded |= is_all && !self.floods.padding();
        // It counts as if it were read at once.
        self.release(key, length);
    }

    fn violated(&mut self, key: u32, reason: Reason, why: &'static str) {
        self.is_flooded |= !self.floods.fault();
        self.reset(key, reason, Failure::Ended(reason, why));
    }

    /// DATA begins: on which stream, if anybody is to get it. Its whole length counts, padding too (section 6.9.1).
    pub(in super::super) fn data_begins(&mut self, id: u32, length: u32) -> Result<Option<u32>, Violation> {
        if !self.recv_window.charge(length) {
            return Err(Violation(Reason::FLOW_CONTROL_ERROR, "more DATA than the connection's window"));
        }
        let Some(key) = self.streams.key(id) else {
            self.release_connection(length);
            match self.absent(id) {
                Absent::Idle => return Err(IDLE),
                Absent::Ignored => {}
                Absent::Closed => {
                    self.is_flooded |= !self.floods.refused();
                    self.put_reset(id, Reason::STREAM_CLOSED);
                }
            }
            return Ok(None);
        };
        let Some(stream) = self.streams.get(key) else { return Ok(None) };
        let (reason, why) = if stream.is_received {
            (Reason::STREAM_CLOSED, "DATA after the end of its stream")
        } else if !stream.recv_window.charge(length) {
            (Reason::FLOW_CONTROL_ERROR, "more DATA than the stream's window")
        } else if !stream.has_head {
            (Reason::PROTOCOL_ERROR, "DATA before the response's head")
        } else {
            return Ok(Some(key));
        };
        self.release_connection(length);
        self.violated(key, reason, why);
        Ok(None)
    }

    /// Some of a stream's data.
    pub(in super::super) fn data(&mut self, key: u32, id: u32, data: &[u8]) {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.id == id) else {
            return self.release_connection(data.len() as u32);
        };
        if let Some(expected) = &mut stream.expected {
            let Some(left) = expected.checked_sub(data.len() as u64) else {
                self.release_connection(data.len() as u32);
                return self.violated(key, Reason::PROTOCOL_ERROR, "more DATA than its content-length");
            };
            *expected = left;
        }
        // A stream that was reset in the middle of a frame has nobody to read it.
        if stream.is_unwanted || stream.is_closed {
            return self.release_connection(data.len() as u32);
        }
        if !data.is_empty() {
            stream.inbox.push(data);
            stream.wake_reader();
        }
    }

    /// The peer has said everything on this stream.
    pub(in super::super) fn ends(&mut self, key: u32, id: u32) {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.id == id && !stream.is_closed) else { return };
        if stream.expected.is_some_and(|left| left > 0) {
            return self.violated(key, Reason::PROTOCOL_ERROR, "less DATA than its content-length");
        }
        stream.is_received = true;
        stream.wake_reader();
        self.close_if_complete(key);
    }

    /// Whether a block on this stream would be trailers.
    pub(in super::super) fn expects_trailers(&mut self, id: u32) -> bool {
        let key = self.streams.key(id);
        key.and_then(|key| self.streams.get(key)).is_some_and(|stream| stream.has_head)
    }

    /// A header block is complete.
    pub(in super::super) fn block(&mut self, id: u32, end: bool, fields: Fields) -> Result<(), Violation> {
        match (self.streams.key(id), self.role) {
            (Some(key), _) => {
                self.block_of_stream(key, id, end, fields);
                Ok(())
            }
            (None, Role::Server) if id > self.newest => self.request_head(id, end, fields),
            (None, _) => match self.absent(id) {
                Absent::Idle => Err(IDLE),
                Absent::Ignored => Ok(()),
                Absent::Closed => Err(Violation(Reason::STREAM_CLOSED, "HEADERS for a stream that is over")),
            },
        }
    }

    fn block_of_stream(&mut self, key: u32, id: u32, end: bool, fields: Fields) {
        let Some(stream) = self.streams.get(key) else { return };
        if stream.is_received {
            self.violated(key, Reason::STREAM_CLOSED, "HEADERS after the end of their stream");
        } else if stream.has_head {
            self.trailers(key, id, end, fields);
        } else {
            self.response_head(key, id, end, fields);
        }
    }

    fn trailers(&mut self, key: u32, id: u32, end: bool, fields: Fields) {
        let Ok(trailers) = fields.into_trailers() else {
            return self.violated(key, Reason::PROTOCOL_ERROR, "malformed trailers");
        };
        if !end {
            return self.violated(key, Reason::PROTOCOL_ERROR, "trailers that do not end their stream");
        }
        if let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_unwanted) {
            stream.trailers = trailers.map_or(Trailers::Over, |trailers| Trailers::Whole(Box::new(trailers)));
        }
        self.ends(key, id);
    }

    fn request_head(&mut self, id: u32, end: bool, fields: Fields) -> Result<(), Violation> {
        if id.is_multiple_of(2) {
            return Err(Violation(Reason::PROTOCOL_ERROR, "a client's stream with an even number"));
        }
        if id > self.newest + 2 {
            self.skipped = self.newest + 1..id;
        }
        if matches!(self.goaway, Goaway::Last(_)) {
            return Ok(());
        }
        self.newest = id;
        if self.streams.open() >= self.max_streams {
            self.is_flooded |= !self.floods.refused();
            self.put_reset(id, Reason::REFUSED_STREAM);
            return Ok(());
        }
        let Ok(head) = fields.into_request() else {
            self.is_flooded |= !self.floods.fault();
            self.put_reset(id, Reason::PROTOCOL_ERROR);
            return Ok(());
        };
        let mut stream = self.new_stream(id);
        (stream.has_head, stream.expected) = (true, head.content_length);
        // Until it is accepted.
        stream.handles = 1;
        let key = self.streams.insert(stream);
        self.accepted.push_back((head, key, id));
        if end {
            self.ends(key, id);
        }
        Ok(())
    }

    fn response_head(&mut self, key: u32, id: u32, end: bool, fields: Fields) {
        let Ok(head) = fields.into_response() else {
            return self.violated(key, Reason::PROTOCOL_ERROR, "a malformed response");
        };
        if head.parts.status.is_informational() {
            self.is_flooded |= !self.floods.informational();
            if end {
                self.violated(key, Reason::PROTOCOL_ERROR, "a response without a final head");
            }
            return;
        }
        let Some(stream) = self.streams.get(key) else { return };
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.parts.status);
        // Whatever its length says.
        let has_none = bodiless || stream.is_head_request;
        stream.expected = if has_none { Some(0) } else { head.content_length };
        stream.has_head = true;
        stream.head = Some(Box::new(head));
        stream.wake_reader();
        if end {
            self.ends(key, id);
        }
    }

    pub(in super::super) fn was_reset(&mut self, id: u32, reason: Reason) -> Result<(), Violation> {
        match self.streams.key(id) {
            Some(key) => self.fail_stream(key, Failure::Reset(reason)),
            None if matches!(self.absent(id), Absent::Idle) => return Err(IDLE),
            None => {}
        }
        Ok(())
    }

    pub(in super::super) fn window_update(&mut self, id: u32, increment: u32) -> Result<(), Violation> {
        if id == 0 {
            if increment == 0 || !self.send_window.shift(increment.into()) {
                let reason = if increment == 0 { Reason::PROTOCOL_ERROR } else { Reason::FLOW_CONTROL_ERROR };
                return Err(Violation(reason, "a WINDOW_UPDATE that cannot be"));
            }
            return Ok(());
        }
        let Some(key) = self.streams.key(id) else {
            return if matches!(self.absent(id), Absent::Idle) { Err(IDLE) } else { Ok(()) };
        };
        let Some(stream) = self.streams.get(key) else { return Ok(()) };
        if increment == 0 {
            self.violated(key, Reason::PROTOCOL_ERROR, "a WINDOW_UPDATE of nothing");
        } else if !stream.send_window.shift(increment.into()) {
            self.violated(key, Reason::FLOW_CONTROL_ERROR, "a window that is too large");
        } else if stream.wanted > 0 {
            stream.wake_writer();
        }
        Ok(())
    }

    /// The peer's SETTINGS. What they change holds for the streams that are open, too (section 6.9.2).
    pub(in super::super) fn settings(&mut self, payload: &[u8], status: &Status) -> Result<(), Violation> {
        use std::sync::atomic::Ordering::Relaxed;
        let before = match status.is_settled.load(Relaxed) {
            true => self.peer,
            false => self.peer.unlimited(),
        };
        let now = before.updated(self.role, payload)?;
        let by = i64::from(now.initial_window) - i64::from(before.initial_window);
        if by != 0 {
            for stream in self.streams.iter_mut().filter(|stream| !stream.is_closed) {
                if !stream.send_window.shift(by) {
                    return Err(Violation(Reason::FLOW_CONTROL_ERROR, "SETTINGS make a window too large"));
                }
                if by > 0 && stream.wanted > 0 {
                    stream.wake_writer();
                }
            }
        }
        self.encoder.resize(now.table_size);
        self.peer = now;
        status.max_streams.store(usize::try_from(now.max_streams).unwrap_or(usize::MAX), Relaxed);
        status.is_settled.store(true, Relaxed);
        self.answer(|out| put_settings(out, ACK, &[]));
        Ok(())
    }

    /// The peer has read our SETTINGS.
    pub(in super::super) fn acknowledged(&mut self) {
        self.is_acknowledged = true;
    }

    pub(in super::super) fn ping(&mut self, is_answer: bool, payload: [u8; 8]) {
        if !is_answer {
            self.answer(|out| put_ping(out, ACK, payload));
        } else if payload == SHUTDOWN_PING && self.goaway == Goaway::Announced {
            self.last_goaway(Reason::NO_ERROR);
        }
    }

    /// The peer looks at no stream above `last`.
    pub(in super::super) fn goes_away(&mut self, last: u32, reason: Reason, status: &Status) {
        status.is_closed.store(true, std::sync::atomic::Ordering::Relaxed);
        self.is_refused = true;
        if self.role == Role::Client {
            for key in self.streams.above(last) {
                self.fail_stream(key, Failure::GoneAway(reason));
            }
        }
    }

    /// So much of a stream's data was read, or will never be.
    pub(in super::super) fn release(&mut self, key: u32, length: u32) {
        self.release_connection(length);
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_received && !stream.is_closed) else {
            return;
        };
        if let Some(increment) = stream.recv_window.release(length) {
            let id = stream.id;
            self.answer(|out| put_window_update(out, id, increment));
        }
    }

    pub(super) fn release_connection(&mut self, length: u32) {
        if length > 0
            && self.failure.is_none()
            && let Some(increment) = self.recv_window.release(length)
        {
            self.answer(|out| put_window_update(out, 0, increment));
        }
    }

    /// The response's head, and whether nothing follows it.
    pub(in super::super) fn poll_response(
        &mut self,
        key: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<(Head<response::Parts>, bool), Failure>> {
        let Some(stream) = self.streams.get(key) else { return Poll::Ready(Err(Failure::Closed(None))) };
        if let Some(head) = stream.head.take() {
            return Poll::Ready(Ok((*head, stream.is_read())));
        }
        if let Some(failure) = stream.failure {
            return Poll::Ready(Err(failure));
        }
        keep(&mut stream.reader, cx.waker());
        Poll::Pending
    }

    /// The next of a stream's data, and whether nothing follows it; `None` at its end.
    pub(in super::super) fn poll_data(
        &mut self,
        key: u32,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<(Bytes, bool), Failure>>> {
        let Some(stream) = self.streams.get(key) else { return Poll::Ready(None) };
        if let Some(data) = stream.inbox.pop() {
            return Poll::Ready(Some(Ok((data, stream.is_read()))));
        }
        if stream.is_received {
            return Poll::Ready(None);
        }
        if let Some(failure) = stream.failure {
            return Poll::Ready(Some(Err(failure)));
        }
        keep(&mut stream.reader, cx.waker());
        Poll::Pending
    }

    /// The trailers, where [`poll_data`](Self::poll_data) has come to the end.
    pub(in super::super) fn take_trailers(&mut self, key: u32) -> Option<Result<HeaderMap, Oversize>> {
        match std::mem::take(&mut self.streams.get(key)?.trailers) {
            Trailers::None => None,
            Trailers::Whole(trailers) => Some(Ok(*trailers)),
            Trailers::Over => Some(Err(Oversize)),
        }
    }
}

/// Trailers beyond the limits.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Oversize;
