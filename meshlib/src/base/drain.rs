//! Going away without losing a request.
//!
//! A [`Drain`] walks through [`DrainPhase`]s: the health filter fails at once, so that load balancers look elsewhere;
//! accepting goes on for a while, because they need time to notice; then connections are told to go and no new ones
//! are taken; at last whatever is left is cut.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use meshlib::base::{Drain, DrainPhase, DrainTimes};
//!
//! let drain = Drain::new();
//! let connection = drain.connection();
//! drain.start(DrainTimes::default());
//! assert!(drain.health_failing());
//! drain.reached(DrainPhase::Draining).await; // 5 s later
//! drop(connection);
//! drain.finished().await; // nothing is left to wait for
//! # }
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, watch};

use super::time::later;

/// How far a drain has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainPhase {
    /// Not draining.
    Serving,
    /// The health filter fails; everything else goes on.
    FailingHealth,
    /// No new connections; the open ones are told to go (GOAWAY, `connection: close`).
    Draining,
    /// What is still open is cut.
    Stopped,
}

/// When the phases begin, counted from the start of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainTimes {
    /// How long accepting goes on while the health filter fails. Default 5 s.
    pub accept: Duration,
    /// When everything still open is cut. Default 25 s, inside Kubernetes' 30 s of grace.
    pub stop: Duration,
}

impl Default for DrainTimes {
    fn default() -> Self {
        Self { accept: Duration::from_secs(5), stop: Duration::from_secs(25) }
    }
}

impl DrainTimes {
    /// These times, both from the start of the drain.
    pub const fn new(accept: Duration, stop: Duration) -> Self {
        Self { accept, stop }
    }

    /// A drain that ends after `stop`: accepting goes on for a fifth of it, 5 s at most.
    pub fn within(stop: Duration) -> Self {
        Self { accept: (stop / 5).min(Duration::from_secs(5)), stop }
    }
}

/// The shared state of a drain. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    phases: Arc<Phases>,
    open: watch::Sender<Open>,
    health_failed: AtomicBool,
    started: AtomicBool,
}

/// Not a `watch` channel, which wakes in an order of its own chance: a run under a paused clock repeats itself. Waiting
/// takes a lock, once for each connection; looking takes none.
#[derive(Debug)]
struct Phases {
    current: AtomicU8,
    changed: Notify,
    /// Nobody is left who could enter a phase.
    abandoned: AtomicBool,
}

impl Phases {
    fn current(&self) -> DrainPhase {
        match self.current.load(Ordering::Acquire) {
            0 => DrainPhase::Serving,
            1 => DrainPhase::FailingHealth,
            2 => DrainPhase::Draining,
            _ => DrainPhase::Stopped,
        }
    }

    fn are_over(&self) -> bool {
        self.current() == DrainPhase::Stopped || self.abandoned.load(Ordering::Acquire)
    }

    async fn wait_for(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            // Hears of whatever comes from here on, though it is not polled yet.
            let changed = self.changed.notified();
            if holds(self) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.phases.abandoned.store(true, Ordering::Release);
        self.phases.changed.notify_waiters();
    }
}

/// What a drain waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    connections: usize,
    held: usize,
}

/// A connection that a drain waits for, until dropped.
#[derive(Debug)]
pub struct DrainedConnection(Drain);

/// Something else that a drain waits for, until dropped.
#[derive(Debug)]
pub struct DrainHold(Drain);

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

impl Drain {
    /// Not draining.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            phases: Arc::new(Phases {
                current: AtomicU8::new(DrainPhase::Serving as u8),
                changed: Notify::new(),
                abandoned: AtomicBool::new(false),
            }),
            open: watch::Sender::new(Open::default()),
            health_failed: AtomicBool::new(false),
            started: AtomicBool::new(false),
        }))
    }

    /// The phase now.
    pub fn phase(&self) -> DrainPhase {
        self.0.phases.current()
    }

    /// Enters a phase; phases are never left backwards.
    pub fn enter(&self, phase: DrainPhase) {
        if self.0.phases.current.fetch_max(phase as u8, Ordering::AcqRel) < phase as u8 {
            self.0.phases.changed.notify_waiters();
        }
    }

    /// Begins to drain; a task on the ambient runtime enters the phases as they come. A second call changes nothing.
    ///
    /// The task ends with [`DrainPhase::Stopped`], whoever enters it, or with the last clone of the drain.
    pub fn start(&self, times: DrainTimes) {
        if self.0.started.swap(true, Ordering::Relaxed) {
            return;
        }
        self.enter(DrainPhase::FailingHealth);
        let (drain, phases) = (Arc::downgrade(&self.0), self.0.phases.clone());
        let begin = tokio::time::Instant::now();
        let steps = [(times.accept.min(times.stop), DrainPhase::Draining), (times.stop, DrainPhase::Stopped)];
        tokio::spawn(async move {
            for (after, next) in steps {
                tokio::select! {
                    biased;
                    () = phases.wait_for(Phases::are_over) => return,
                    () = tokio::time::sleep_until(later(begin, after)) => {}
                }
                let Some(drain) = drain.upgrade() else { return };
                Self(drain).enter(next);
            }
        });
    }

    /// Waits until `phase` is reached.
    pub async fn reached(&self, phase: DrainPhase) {
        self.0.phases.wait_for(|phases| phases.current() >= phase).await;
    }

    /// Waits until the drain is over: after [`DrainPhase::Draining`] no connection is left and nothing is held, or the
    /// time is up.
    pub async fn finished(&self) {
        let mut open = self.0.open.subscribe();
        let empty = async {
            self.reached(DrainPhase::Draining).await;
            let _ = open.wait_for(|open| *open == Open::default()).await;
        };
        tokio::select! {
            biased;
            () = empty => {}
            () = self.reached(DrainPhase::Stopped) => {}
        }
    }

    /// Counts a connection that the drain waits for.
    pub fn connection(&self) -> DrainedConnection {
        self.0.open.send_modify(|open| open.connections += 1);
        DrainedConnection(self.clone())
    }

    /// Holds the drain's end for what is not a connection, or not yet or no longer: a handshake, a stream that has yet
    /// to close its record.
    pub fn hold(&self) -> DrainHold {
        self.0.open.send_modify(|open| open.held += 1);
        DrainHold(self.clone())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.0.open.borrow().connections
    }

    /// Whether health checks of this process must fail: `/healthcheck/fail` was asked for, or the drain has begun.
    pub fn health_failing(&self) -> bool {
        self.0.health_failed.load(Ordering::Relaxed) || self.phase() > DrainPhase::Serving
    }

    /// Makes health checks fail (`/healthcheck/fail`) or pass again (`/healthcheck/ok`).
    pub fn fail_health(&self, fail: bool) {
        self.0.health_failed.store(fail, Ordering::Relaxed);
    }
}

impl Drop for DrainedConnection {
    fn drop(&mut self) {
        self.0.0.open.send_modify(|open| open.connections = open.connections.saturating_sub(1));
    }
}

impl Drop for DrainHold {
    fn drop(&mut self) {
        self.0.0.open.send_modify(|open| open.held = open.held.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn phases_come_at_their_times_and_the_hard_stop_ends_it() {
        let drain = Drain::new();
        let _connection = drain.connection();
        let begin = tokio::time::Instant::now();
        drain.start(DrainTimes::default());
        assert_eq!(drain.phase(), DrainPhase::FailingHealth);
        drain.reached(DrainPhase::Draining).await;
        assert_eq!(begin.elapsed().as_secs(), 5);
        drain.finished().await;
        assert_eq!(begin.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn its_task_ends_when_it_is_stopped_and_when_nobody_is_left() {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        for stop in [true, false] {
            let drain = Drain::new();
            drain.start(DrainTimes::default());
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(tasks(), 1);
            if stop {
                drain.enter(DrainPhase::Stopped);
            } else {
                drop(drain);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(tasks(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ends_early_when_nothing_is_open() {
        let drain = Drain::new();
        let begin = tokio::time::Instant::now();
        drain.start(DrainTimes::default());
        drain.finished().await;
        assert_eq!(begin.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_waited_for_and_is_no_connection() {
        let drain = Drain::new();
        let (hold, connection) = (drain.hold(), drain.connection());
        assert_eq!(drain.connections(), 1);
        let begin = tokio::time::Instant::now();
        drain.start(DrainTimes::default());
        tokio::spawn(async move {
            drop(connection);
            tokio::time::sleep(Duration::from_secs(7)).await;
            drop(hold);
        });
        drain.finished().await;
        assert_eq!(begin.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn it_may_wait_without_end_for_what_is_open() {
        let drain = Drain::new();
        let connection = drain.connection();
        drain.start(DrainTimes::new(Duration::from_secs(5), Duration::MAX));
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, drain.finished()).await.is_err());
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1, "its own is still there");
        drop(connection);
        drain.finished().await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_begins_though_a_phase_was_entered_by_hand() {
        for phase in [DrainPhase::FailingHealth, DrainPhase::Draining] {
            let drain = Drain::new();
            drain.enter(phase);
            let begin = tokio::time::Instant::now();
            drain.start(DrainTimes::default());
            let stopped = drain.reached(DrainPhase::Stopped);
            assert!(tokio::time::timeout(Duration::from_secs(60), stopped).await.is_ok(), "{phase:?}");
            assert_eq!(begin.elapsed().as_secs(), 25);
        }
    }
}
