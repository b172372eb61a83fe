//! The end of a request, its body included.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::time::Instant;

/// Told once by whoever reads the request's body to its end, to those that time the response.
#[derive(Debug, Default)]
pub(crate) struct RequestEnd {
    at: OnceLock<Instant>,
    /// Nobody, where the body ends before the response is waited for: every unary call. Else one for each timeout
    /// around the request.
    waiting: Mutex<Vec<Waker>>,
}

impl RequestEnd {
    /// It has ended, now or before.
    pub(crate) fn note(&self) {
        if self.at.get().is_none() && self.at.set(Instant::now()).is_ok() {
            std::mem::take(&mut *self.lock()).into_iter().for_each(Waker::wake);
        }
    }

    /// When it had ended; `None` while it goes on, or when nobody looks.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at.get().copied()
    }

    /// Waits for the end.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Instant> {
        if let Some(at) = self.at() {
            return Poll::Ready(at);
        }
        let mut waiting = self.lock();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        // It may have ended while the lock was waited for.
        self.at().map_or(Poll::Pending, Poll::Ready)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
