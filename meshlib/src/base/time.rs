//! Timers that cost nothing until they are needed.
//!
//! A [`Deadline`] registers with the runtime when it is first polled, not before: a request that is answered at once
//! sets no timer. An [`IdleTimer`] is never re-registered by activity: it looks at the last activity when it fires.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::time::Duration;
//! use meshlib::base::time::Deadline;
//!
//! let deadline = Deadline::after(Duration::from_secs(15));
//! deadline.await; // under a paused clock: at once
//! # }
//! ```

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// About thirty years: nobody waits for it.
const FAR: Duration = Duration::from_secs(1_000_000_000);

/// `after` later. As good as never where the clock has no such time: [`Duration::MAX`] is a way to say so.
pub(crate) fn later(from: Instant, after: Duration) -> Instant {
    from.checked_add(after).or_else(|| from.checked_add(FAR)).unwrap_or(from)
}

/// A point in time that can be awaited.
#[derive(Debug)]
pub struct Deadline {
    at: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// A deadline at `at`.
    pub fn at(at: Instant) -> Self {
        Self { at, sleep: None }
    }

    /// A deadline so long after now.
    pub fn after(after: Duration) -> Self {
        Self::at(later(Instant::now(), after))
    }

    /// Whether it is known to be over: by the timer, not by a look at the clock, so only once it was polled.
    pub fn is_elapsed(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed())
    }

    /// When it is due.
    pub fn instant(&self) -> Instant {
        self.at
    }
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at))).as_mut().poll(cx)
    }
}

/// Fires once nothing has happened for its whole duration.
#[derive(Debug)]
pub struct IdleTimer {
    after: Duration,
    active: Instant,
    deadline: Deadline,
}

impl IdleTimer {
    /// A timer that begins now.
    pub fn new(after: Duration) -> Self {
        let active = Instant::now();
        Self { after, active, deadline: Deadline::at(later(active, after)) }
    }

    /// Notes activity. Costs one look at the clock.
    pub fn touch(&mut self) {
        self.active = Instant::now();
    }

    /// Ready once the last activity is a whole duration ago.
    pub fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(Pin::new(&mut self.deadline).poll(cx));
            let due = later(self.active, self.after);
            if due <= self.deadline.instant() {
                return Poll::Ready(());
            }
            self.deadline = Deadline::at(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn times_without_end_are_times() {
        let hour = Duration::from_secs(3600);
        let mut idle = IdleTimer::new(Duration::MAX);
        idle.touch();
        let idle = std::future::poll_fn(|cx| idle.poll_idle(cx));
        assert!(tokio::time::timeout(hour, idle).await.is_err());
        assert!(tokio::time::timeout(hour, Deadline::after(Duration::MAX)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_timer_counts_from_the_last_activity() {
        let begin = Instant::now();
        let mut timer = IdleTimer::new(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        timer.touch();
        std::future::poll_fn(|cx| timer.poll_idle(cx)).await;
        assert_eq!(begin.elapsed().as_secs(), 19);
    }
}
