//! A hold on a stream.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, response};

use super::{
    error::Failure,
    head::Head,
    reason::Reason,
    state::{Oversize, Shared, Status},
};

/// One of the holds on a stream. When the last one is dropped, and the stream is not complete, it is reset.
pub(super) struct StreamRef {
    shared: Arc<Shared>,
    key: u32,
    id: u32,
}

impl StreamRef {
    /// A hold that was counted already.
    pub(super) fn adopt(shared: Arc<Shared>, key: u32, id: u32) -> Self {
        Self { shared, key, id }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn status(&self) -> &Status {
        &self.shared.status
    }

    pub(super) fn respond(&self, head: &response::Parts, end: bool) -> bool {
        self.shared.lock().respond(self.key, head, end)
    }

    /// The body is wanted.
    pub(super) fn respond_continue(&self) {
        self.shared.lock().respond_continue(self.key);
    }

    pub(super) fn send_data(&self, data: Bytes, end: bool) -> bool {
        self.shared.lock().send_data(self.key, data, end)
    }

    pub(super) fn send_trailers(&self, trailers: &HeaderMap) -> bool {
        self.shared.lock().send_trailers(self.key, trailers)
    }

    /// How much of `wanted` bytes may be sent now; `None` when the peer is gone.
    pub(super) fn poll_capacity(&self, wanted: usize, cx: &Context<'_>) -> Poll<Option<usize>> {
        self.shared.lock().poll_capacity(self.key, wanted, cx)
    }

    /// Ready when the peer has reset the stream, or is gone.
    pub(super) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        self.shared.lock().poll_gone(self.key, cx)
    }

    /// Whether the peer has reset the stream, or is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.shared.lock().is_gone(self.key)
    }

    pub(super) fn reset(&self, reason: Reason) {
        self.shared.lock().give_up(self.key, reason);
    }

    /// The response's head, and whether nothing follows it.
    pub(super) fn poll_response(&self, cx: &Context<'_>) -> Poll<Result<(Head<response::Parts>, bool), Failure>> {
        self.shared.lock().poll_response(self.key, cx)
    }

    /// The next of the stream's data, and whether nothing follows it; `None` at its end. `read` bytes of what came
    /// before have been passed on: their window is given back.
    pub(super) fn poll_data(&self, read: u32, cx: &Context<'_>) -> Poll<Option<Result<(Bytes, bool), Failure>>> {
        let mut state = self.shared.lock();
        if read > 0 {
            state.release(self.key, read);
        }
        let data = ready!(state.poll_data(self.key, cx));
        Poll::Ready(data)
    }

    /// Whether everything that came was read, and nothing more will come.
    pub(super) fn is_read(&self) -> bool {
        self.shared.lock().stream(self.key).is_none_or(|stream| stream.is_read())
    }

    /// The trailers, where [`poll_data`](Self::poll_data) has come to the end.
    pub(super) fn take_trailers(&self) -> Option<Result<HeaderMap, Oversize>> {
        self.shared.lock().take_trailers(self.key)
    }

    /// Nobody will read what has come, nor what will. Of what was read, `read` bytes have not been given back.
    pub(super) fn discard(&self, read: u32) {
        self.shared.lock().discard(self.key, read);
    }
}

impl Clone for StreamRef {
    fn clone(&self) -> Self {
        self.shared.lock().hold(self.key);
        Self { shared: self.shared.clone(), key: self.key, id: self.id }
    }
}

impl Drop for StreamRef {
    fn drop(&mut self) {
        if self.shared.lock().let_go(self.key) {
            self.shared.status.exchanges.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for StreamRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRef").field("id", &self.id).finish_non_exhaustive()
    }
}
