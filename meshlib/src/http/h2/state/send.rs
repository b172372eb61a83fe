//! The sending half of streams.

use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, request, response};

use super::{
    super::{
        error::Failure,
        flow::{RecvWindow, SendWindow},
        frame::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEAD, HEADERS, Head as FrameHead},
        head,
        hpack::{Encoder, Pseudo},
    },
    COLLECT, DEFAULT_WINDOW, State, Stream, Turn,
};

/// The last number that a stream of ours may have.
const LAST_STREAM: u32 = u32::MAX >> 1;

impl State {
    /// Opens a stream with a request's head.
    pub(in super::super) fn request(&mut self, head: &request::Parts, end: bool) -> Result<u32, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let id = self.next;
        if id > LAST_STREAM {
            return Err(Failure::Closed(None));
        }
        self.next += 2;
        let mut stream = self.new_stream(id);
        stream.is_sent = end;
        stream.is_head_request = head.method == Method::HEAD;
        let key = self.streams.insert(stream);
        self.put_head(id, end, |encoder, out| head::put_request(head, encoder, out));
        Ok(key)
    }

    /// Whether streams have run out of numbers.
    pub(in super::super) fn is_exhausted(&self) -> bool {
        self.next > LAST_STREAM
    }

    pub(super) fn new_stream(&self, id: u32) -> Stream {
        let recv_window = match self.is_acknowledged {
            true => RecvWindow::new(self.stream_window),
            false => RecvWindow::at_least(self.stream_window, DEFAULT_WINDOW),
        };
        Stream::new(id, SendWindow::new(self.peer.initial_window), recv_window)
    }

    /// Sends a response's head: whether the client is still there.
    pub(in super::super) fn respond(&mut self, key: u32, head: &response::Parts, end: bool) -> bool {
        let Some(id) = self.sendable(key) else { return false };
        self.put_head(id, end, |encoder, out| head::put_response(head, encoder, out));
        if let Some(stream) = self.streams.get(key) {
            stream.is_answered = true;
        }
        self.sent(key, end);
        true
    }

    /// Tells a client that waits with its body to go on, unless it has the response already.
    pub(in super::super) fn respond_continue(&mut self, key: u32) {
        if self.streams.get(key).is_none_or(|stream| stream.is_answered) {
            return;
        }
        if let Some(id) = self.sendable(key) {
            // No work was done for it, so it pays for nothing that the client does: not as other heads do.
            self.put_block(id, false, |encoder, out| encoder.pseudo(Pseudo::Status, b"100", out));
        }
    }

    /// Sends trailers, which end the stream: whether the peer is still there.
    pub(in super::super) fn send_trailers(&mut self, key: u32, trailers: &HeaderMap) -> bool {
        let Some(id) = self.sendable(key) else { return false };
        self.put_head(id, true, |encoder, out| head::put_fields(trailers, encoder, out));
        self.sent(key, true);
        true
    }

    /// Sends data, as much of it as [`poll_capacity`](Self::poll_capacity) allows at most: whether the peer is still there.
    pub(in super::super) fn send_data(&mut self, key: u32, mut data: Bytes, end: bool) -> bool {
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_closed && !stream.is_sent) else {
            return false;
        };
        let id = stream.id;
        stream.send_window.consume(data.len());
        self.send_window.consume(data.len());
        loop {
            let payload = data.split_to(data.len().min(self.peer.max_payload));
            let flags = if end && data.is_empty() { END_STREAM } else { 0 };
            self.out.push(&FrameHead { length: payload.len(), kind: DATA, flags, stream: id }.bytes(), payload);
            self.floods.sent_data();
            if !data.has_remaining() {
                break;
            }
        }
        self.sent(key, end);
        true
    }

    fn sendable(&mut self, key: u32) -> Option<u32> {
        self.streams.get(key).filter(|stream| !stream.is_closed && !stream.is_sent).map(|stream| stream.id)
    }

    fn sent(&mut self, key: u32, end: bool) {
        if end {
            if let Some(stream) = self.streams.get(key) {
                stream.is_sent = true;
            }
            self.close_if_complete(key);
        }
        self.notify();
    }

    /// How much of `wanted` bytes may be sent now; `None` when the peer is gone.
    pub(in super::super) fn poll_capacity(&mut self, key: u32, wanted: usize, cx: &Context<'_>) -> Poll<Option<usize>> {
        let connection = self.available();
        let is_alone = self.waiting.is_empty();
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_closed) else { return Poll::Ready(None) };
        let window = stream.send_window.available();
        // Who comes anew does not overtake those that wait.
        if window > 0 && connection > 0 && (is_alone || stream.turn == Turn::Has) {
            (stream.wanted, stream.turn) = (0, Turn::None);
            return Poll::Ready(Some(wanted.min(window).min(connection)));
        }
        stream.wanted = wanted;
        keep(&mut stream.writer, cx.waker());
        if window > 0 && stream.turn != Turn::Waits {
            stream.turn = Turn::Waits;
            self.waiting.push_back(key);
            if connection > 0 {
                self.notify();
            }
        }
        Poll::Pending
    }

    /// Whether the peer is gone.
    pub(in super::super) fn is_gone(&mut self, key: u32) -> bool {
        self.streams.get(key).is_none_or(|stream| stream.failure.is_some())
    }

    /// Ready when the peer is gone.
    pub(in super::super) fn poll_gone(&mut self, key: u32, cx: &Context<'_>) -> Poll<()> {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.failure.is_none()) else {
            return Poll::Ready(());
        };
        keep(&mut stream.writer, cx.waker());
        Poll::Pending
    }

    /// How much the connection as a whole takes now. Where there is any room, there is room for a frame: cut to what is
    /// left of it, frames would become small.
    fn available(&self) -> usize {
        match COLLECT.saturating_sub(self.backlog()) {
            0 => 0,
            room => room.max(self.peer.max_payload).min(self.send_window.available()),
        }
    }

    /// Wakes those who wait for the connection, the first ones first, and as many as there is room for. Whether others
    /// could go on as well, if those that were woken do not: a writer that nobody polls must not hold up the rest.
    pub(super) fn grant(&mut self) -> bool {
        let mut available = self.available();
        while available > 0 {
            let Some(key) = self.waiting.pop_front() else { return false };
            if let Some(stream) = self.streams.get(key) {
                available = available.saturating_sub(stream.wanted.min(stream.send_window.available()));
                stream.turn = Turn::Has;
                stream.wake_writer();
            }
        }
        !self.waiting.is_empty() && self.available() > 0
    }

    /// A head or trailers: what a message is paid with, where its peer does much and asks for little.
    fn put_head(&mut self, id: u32, end: bool, fields: impl FnOnce(&mut Encoder, &mut BytesMut)) {
        self.floods.sent_head();
        self.put_block(id, end, fields);
    }

    /// Encodes a header block into HEADERS, and CONTINUATION where it is longer than a frame may be.
    fn put_block(&mut self, id: u32, end: bool, fields: impl FnOnce(&mut Encoder, &mut BytesMut)) {
        let out = self.out.tail();
        let begin = out.len();
        out.extend_from_slice(&[0; HEAD]);
        self.encoder.begin(out);
        fields(&mut self.encoder, out);
        let length = out.len() - begin - HEAD;
        let flags = if end { END_STREAM } else { 0 };
        let most = self.peer.max_payload;
        if length <= most {
            set_head(out, begin, FrameHead { length, kind: HEADERS, flags: flags | END_HEADERS, stream: id });
        } else {
            let rest = out.split_off(begin + HEAD + most);
            set_head(out, begin, FrameHead { length: most, kind: HEADERS, flags, stream: id });
            put_continuations(out, id, most, &rest);
        }
        self.notify();
    }
}

fn set_head(out: &mut BytesMut, at: usize, head: FrameHead) {
    if let Some(place) = out.get_mut(at..at + HEAD) {
        place.copy_from_slice(&head.bytes());
    }
}

fn put_continuations(out: &mut BytesMut, id: u32, most: usize, block: &[u8]) {
    let mut pieces = block.chunks(most).peekable();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        out.extend_from_slice(&FrameHead { length: piece.len(), kind: CONTINUATION, flags, stream: id }.bytes());
        out.extend_from_slice(piece);
    }
}

/// Notes who waits.
pub(super) fn keep(place: &mut Option<Waker>, waker: &Waker) {
    if !place.as_ref().is_some_and(|known| known.will_wake(waker)) {
        *place = Some(waker.clone());
    }
}
