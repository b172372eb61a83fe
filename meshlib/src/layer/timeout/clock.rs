//! When a request's time is up.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::base::{Counter, Error, ErrorKind, RequestInfo, time::Deadline};

/// The end of an upload, told by the request's body to whoever times the response.
#[derive(Debug)]
pub(super) struct UploadEnd {
    at: OnceLock<Instant>,
    waker: AtomicWaker,
    info: Option<RequestInfo>,
}

impl UploadEnd {
    /// Notes the end in the record as well.
    pub(super) fn new(info: Option<RequestInfo>) -> Arc<Self> {
        Arc::new(Self { at: OnceLock::new(), waker: AtomicWaker::new(), info })
    }

    pub(super) fn signal(&self) {
        if self.at.set(Instant::now()).is_ok() {
            self.waker.wake();
            if let Some(info) = &self.info {
                info.note_request_end();
            }
        }
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Instant> {
        if let Some(at) = self.at.get() {
            return Poll::Ready(*at);
        }
        self.waker.register(cx.waker());
        // It may have ended while the waker was being registered.
        self.at.get().map_or(Poll::Pending, |at| Poll::Ready(*at))
    }
}

/// Counts a request's time from the end of its upload.
#[derive(Debug)]
pub(super) struct Clock {
    timeout: Duration,
    upload: Option<Arc<UploadEnd>>,
    deadline: Option<Deadline>,
    info: Option<RequestInfo>,
    counter: Option<Counter>,
}

impl Clock {
    pub(super) fn new(
        timeout: Duration,
        upload: Option<Arc<UploadEnd>>,
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
            Some(deadline) if deadline.instant() <= Instant::now() => self.expire(),
            Some(_) => Poll::Pending,
            // The upload may have ended meanwhile: from now on there is a deadline to compare with.
            None => self.poll_expired(cx),
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = match &mut self.deadline {
            Some(deadline) => deadline,
            None => {
                let end = match &self.upload {
                    Some(upload) => ready!(upload.poll_ended(cx)),
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
