//! When a request's time is up.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use crate::base::{Counter, Error, ErrorKind, RequestInfo, info::RequestEnd, time::Deadline};

/// The end of an upload: in the request's record, or on its own where there is none.
#[derive(Clone, Debug)]
pub(super) enum UploadEnd {
    Recorded(RequestInfo),
    Alone(Arc<RequestEnd>),
}

impl UploadEnd {
    pub(super) fn new(info: Option<&RequestInfo>) -> Self {
        info.map_or_else(|| Self::Alone(Arc::default()), |info| Self::Recorded(info.clone()))
    }

    /// The upload has ended.
    pub(super) fn note(&self) {
        match self {
            Self::Recorded(info) => info.note_request_end(),
            Self::Alone(end) => end.note(),
        }
    }

    /// Whether the upload tells its end without help.
    pub(super) fn is_noted(&self) -> bool {
        matches!(self, Self::Recorded(info) if info.notes_request_end())
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Instant> {
        match self {
            Self::Recorded(info) => info.poll_request_end(cx),
            Self::Alone(end) => end.poll(cx),
        }
    }
}

/// Counts a request's time from the end of its upload.
#[derive(Debug)]
pub(super) struct Clock {
    timeout: Duration,
    upload: Option<UploadEnd>,
    deadline: Option<Deadline>,
    info: Option<RequestInfo>,
    counter: Option<Counter>,
}

impl Clock {
    pub(super) fn new(
        timeout: Duration,
        upload: Option<UploadEnd>,
        info: Option<RequestInfo>,
        counter: Option<Counter>,
    ) -> Self {
        Self { timeout, upload, deadline: None, info, counter }
    }

    /// The error, once the time is up.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        ready!(self.poll_deadline(cx));
        self.expire()
    }

    /// The same without waiting: for a response that never lets the timer have its turn.
    pub(super) fn expired(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        match &self.deadline {
            Some(deadline) if deadline.is_elapsed() => self.expire(),
            Some(_) => Poll::Pending,
            // The upload may have ended meanwhile: from now on there is a timer to ask.
            None => self.poll_expired(cx),
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match &mut self.deadline {
            Some(deadline) => deadline,
            None => {
                let end = match &self.upload {
                    Some(upload) => ready!(upload.poll(cx)),
                    None => Instant::now(),
                };
                self.deadline.insert(Deadline::at(end + self.timeout))
            }
        };
        Pin::new(deadline).poll(cx)
    }

    fn expire(&mut self) -> Poll<Error> {
        if let Some(counter) = &self.counter {
            counter.increment();
        }
        let error = Error::new(ErrorKind::RouteTimeout);
        Poll::Ready(match self.info.take() {
            Some(info) => {
                info.update(|record| record.flags |= error.flags());
                error.with_info(info)
            }
            None => error,
        })
    }
}
