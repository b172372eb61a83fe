//! The time before a cluster knows its hosts: first calls wait, but not for ever.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::time::Duration;
//! use meshlib::cluster::warm_up::WarmUp;
//!
//! let warm_up = WarmUp::new(Duration::from_secs(5));
//! let waiting = tokio::spawn({ let warm_up = warm_up.clone(); async move { warm_up.wait().await } });
//! warm_up.finish(); // the first resolution and the first round of checks are through
//! waiting.await.unwrap();
//! # }
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::base::time::later;

/// Whether a cluster is warm. Cloning shares it.
#[derive(Clone, Debug)]
pub struct WarmUp(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    warm: AtomicBool,
    finished: Notify,
    until: Instant,
}

impl WarmUp {
    /// Not warm; nobody waits longer than `limit` from now.
    pub fn new(limit: Duration) -> Self {
        let until = later(Instant::now(), limit);
        Self(Arc::new(Shared { warm: AtomicBool::new(false), finished: Notify::new(), until }))
    }

    /// Warm from the start.
    pub fn finished() -> Self {
        let warm_up = Self::new(Duration::ZERO);
        warm_up.finish();
        warm_up
    }

    /// The cluster is warm: the control task says so after the first resolution and the first round of checks.
    pub fn finish(&self) {
        self.0.warm.store(true, Ordering::Release);
        self.0.finished.notify_waiters();
    }

    /// Whether the cluster is warm.
    pub fn is_finished(&self) -> bool {
        self.0.warm.load(Ordering::Acquire)
    }

    /// Whether there is nothing to wait for any more: warm, or out of time.
    pub fn is_over(&self) -> bool {
        self.is_finished() || Instant::now() >= self.0.until
    }

    /// Waits until the cluster is warm or the time is up.
    pub async fn wait(&self) {
        let finished = self.0.finished.notified();
        if self.is_finished() {
            return;
        }
        // Out of time is not an error here: what hosts there are decides.
        let _ = tokio::time::timeout_at(self.0.until, finished).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_limit() {
        let begin = Instant::now();
        let warm_up = WarmUp::new(Duration::from_secs(5));
        warm_up.wait().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
        warm_up.wait().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5), "later calls do not wait at all");
        assert!(warm_up.is_over() && !warm_up.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn finishing_wakes_everybody() {
        let begin = Instant::now();
        let warm_up = WarmUp::new(Duration::from_secs(5));
        let finish = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            warm_up.finish();
        };
        tokio::join!(warm_up.wait(), warm_up.wait(), finish);
        assert_eq!(begin.elapsed(), Duration::from_secs(1));
        warm_up.wait().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(1));
    }
}
