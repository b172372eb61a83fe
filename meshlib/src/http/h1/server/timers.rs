//! The times of a connection. At most one of them is running.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::state::State;
use crate::{
    base::time::{Deadline, IdleTimer},
    http::options::ServerOptions,
};

/// How long a connection is kept ready for its next request. Then it rests: what hyper needs is given back.
const REST: Duration = Duration::from_secs(1);

/// What is due.
pub(super) enum Due {
    /// Nobody uses the connection.
    Close,
    /// A request's head has taken too long.
    Head,
    /// An exchange stands still.
    Stream,
    /// Nothing has been asked for a while.
    Rest,
}

/// Registers with the runtime only for what is really waited for: a request that is answered in one go sets no timer.
pub(super) struct Timers {
    /// The first byte; then each request's head.
    headers: Option<Duration>,
    first: Option<Deadline>,
    head: Option<Deadline>,
    idle: Option<IdleTimer>,
    rest: IdleTimer,
    stream: Option<IdleTimer>,
    /// The last exchange that was seen.
    seen: u32,
    was_busy: bool,
}

impl Timers {
    pub(super) fn new(options: &ServerOptions) -> Self {
        let headers = enabled(options.request_headers_timeout);
        Self {
            headers,
            first: options.first_timeout().map(Deadline::after),
            head: None,
            idle: enabled(options.idle_timeout).map(IdleTimer::new),
            // A shorter idle time ends the connection as soon as it rests.
            rest: IdleTimer::new(enabled(options.idle_timeout).map_or(REST, |idle| idle.min(REST))),
            stream: enabled(options.stream_idle_timeout).map(IdleTimer::new),
            seen: 0,
            was_busy: false,
        }
    }

    /// Waits for the first byte no longer than `within`.
    pub(super) fn hurry(&mut self, within: Duration) {
        let soon = Deadline::after(within);
        if self.first.as_ref().is_none_or(|first| soon.instant() < first.instant()) {
            self.first = Some(soon);
        }
    }

    pub(super) fn poll_due(&mut self, state: &State, cx: &mut Context<'_>) -> Poll<Due> {
        let is_new = state.begun() != self.seen;
        if is_new {
            self.seen = state.begun();
            self.head = None;
            self.was_busy = true;
        }
        if !state.is_settled() {
            return self.poll_stream(is_new || state.take_moved(), cx);
        }
        if std::mem::take(&mut self.was_busy) {
            self.idle.iter_mut().for_each(IdleTimer::touch);
            self.rest.touch();
        }
        if state.is_reading_head() {
            return self.poll_head(cx);
        }
        if state.begun() == 0 {
            return self.first.as_mut().map_or(Poll::Pending, |first| Pin::new(first).poll(cx)).map(|()| Due::Close);
        }
        // Who rests is looked after by `poll_idle`.
        self.rest.poll_idle(cx).map(|()| Due::Rest)
    }

    /// Whether nobody uses a connection that rests.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.idle.as_mut().map_or(Poll::Pending, |idle| idle.poll_idle(cx))
    }

    fn poll_stream(&mut self, moved: bool, cx: &mut Context<'_>) -> Poll<Due> {
        self.was_busy = true;
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        if moved {
            stream.touch();
        }
        ready!(stream.poll_idle(cx));
        // The answer that says so gets the same time.
        stream.touch();
        Poll::Ready(Due::Stream)
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        let Some(headers) = self.headers else { return Poll::Pending };
        let head = self.head.get_or_insert_with(|| Deadline::after(headers));
        Pin::new(head).poll(cx).map(|()| Due::Head)
    }
}

/// Zero disables a time.
fn enabled(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
