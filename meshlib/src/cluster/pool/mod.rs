//! Connections of one data path to its hosts.
//!
//! A [`HostPool`] belongs to one data path, so its lock is never contended where each worker has a data path of its
//! own. A request takes a [`Lease`] of a connection: at once where one is free, else it waits in line while one is
//! made. Connections are made in tasks of their own, so that a request that goes away disturbs nobody. Dropping the
//! pool closes its connections as they become idle.
//!
//! ```no_run
//! use std::sync::Arc;
//! use http::Request;
//! use meshlib::{cluster::pool::HostPool, http::Body};
//!
//! # async fn example(pool: Arc<HostPool>) -> Result<(), meshlib::base::Error> {
//! let mut lease = match pool.checkout() {
//!     Some(lease) => lease,
//!     None => pool.wait().await?,
//! };
//! let response = lease.exchange(Request::new(Body::empty())).await;
//! // ... read the body to its end, then:
//! lease.finish(true);
//! # Ok(())
//! # }
//! ```

mod connect;
mod context;
mod lease;
#[cfg(test)]
mod tests;
mod wait;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::{runtime::Handle, time::Instant};

use self::{
    connect::Unconnected,
    lease::{Connected, Link},
    wait::Waiting,
};
pub use self::{context::PoolContext, lease::Lease};
use super::{
    circuit_breaker::{Limited, Permit},
    host::Host,
};

/// One data path's connections to one host.
///
/// HTTP/1.1: idle connections, the one used last first. HTTP/2: connections that carry as many streams as the host
/// allows; another one is opened when they run out.
pub struct HostPool {
    host: Arc<Host>,
    context: Arc<PoolContext>,
    state: Mutex<State>,
}

/// No [`Lease`] may be dropped while this is locked: it locks it too.
struct State {
    /// HTTP/1.1 connections without a request.
    idle: Vec<Connected>,
    /// HTTP/2 connections.
    shared: Vec<Arc<Link>>,
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    /// Connections being made.
    connecting: usize,
    /// Connections being made or open.
    connections: usize,
    /// How many streams the newest HTTP/2 connection takes.
    streams: usize,
    /// Where those who wait run: whatever serves them may be dropped elsewhere.
    runtime: Option<Handle>,
}

impl HostPool {
    /// An empty pool. Nothing is connected before the first request.
    pub fn new(host: Arc<Host>, context: Arc<PoolContext>) -> Self {
        let state = State {
            idle: Vec::new(),
            shared: Vec::new(),
            waiting: VecDeque::new(),
            next_ticket: 0,
            connecting: 0,
            connections: 0,
            streams: context.expected_streams(),
            runtime: None,
        };
        Self { host, context, state: Mutex::new(state) }
    }

    /// A connection that is free now.
    pub fn checkout(&self) -> Option<Lease> {
        self.lock().take()
    }

    /// How many connections are open or being made.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves those who wait: with free streams, then with new connections.
    fn pump(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            if state.waiting.is_empty() {
                return;
            }
            let Some(lease) = state.take() else { break };
            let next = state.waiting.pop_front();
            drop(state);
            match next {
                // One that went away meanwhile gives it back, and the lease finds the next by itself.
                Some(waiting) => waiting.give(Ok(lease)),
                None => return,
            }
        }
        self.connect_as_needed();
    }

    fn connect_as_needed(self: &Arc<Self>) {
        // Not locked while spawning: on a runtime that has ended, what is spawned is dropped at once, and tells us.
        while let Some((permit, runtime)) = self.next_connection() {
            connect::spawn(self, permit, &runtime);
        }
    }

    /// The permit of a connection that is to be made, which counts from here on.
    fn next_connection(&self) -> Option<(Permit, Handle)> {
        let mut state = self.lock();
        let runtime = state.runtime.clone()?;
        if !state.lacks_connections(&self.context) {
            return None;
        }
        let breakers = &self.context.breakers;
        let permit = match breakers.enter(Limited::Connections) {
            Some(permit) => permit,
            // Without any connection here, those who wait would wait for ever.
            None if state.connections == 0 => breakers.enter_regardless(Limited::Connections),
            None => {
                self.context.stats().upstream_cx_overflow.increment();
                return None;
            }
        };
        state.connecting += 1;
        state.connections += 1;
        Some((permit, runtime))
    }

    /// A connection is there; whoever waits longest gets it.
    fn connected(self: &Arc<Self>, connected: Connected) {
        {
            let mut state = self.lock();
            state.connecting -= 1;
            if connected.link.h2().is_some() {
                state.shared.push(connected.link.clone());
            }
        }
        self.offer(connected);
        self.pump();
    }

    /// No connection could be made: those who wait fail together, and decide for themselves what to do.
    fn not_connected(&self, why: &Unconnected) {
        let ejected = {
            let mut state = self.lock();
            state.connecting -= 1;
            state.connections -= 1;
            std::mem::take(&mut state.waiting)
        };
        self.context.stats().upstream_rq_pending_failure_eject.add(ejected.len() as u64);
        for waiting in ejected {
            waiting.give(Err(why.error()));
        }
    }

    /// Hands over a connection with room for a request, or keeps it.
    fn offer(&self, connected: Connected) {
        let mut state = self.lock();
        match state.waiting.pop_front() {
            Some(waiting) => {
                drop(state);
                waiting.give(Ok(Lease::new(connected)));
            }
            None if connected.h1.is_some() => state.idle.push(connected),
            None => {}
        }
    }

    /// The host of an HTTP/2 connection has said how many streams it takes.
    fn settled(self: &Arc<Self>, link: &Link) {
        let streams = link.streams();
        let mut state = self.lock();
        state.streams = streams.max(1);
        let refused = if streams == 0 { std::mem::take(&mut state.waiting) } else { VecDeque::new() };
        drop(state);
        for waiting in refused {
            waiting.give(Err(wait::refused(&self.host)));
        }
        self.pump();
    }

    /// A connection ended.
    fn closed(self: &Arc<Self>, link: &Weak<Link>) {
        let is = |other: &Arc<Link>| Weak::as_ptr(link) == Arc::as_ptr(other);
        let gone = {
            let mut state = self.lock();
            state.connections -= 1;
            let idle = state.idle.iter().position(|connected| is(&connected.link)).map(|at| state.idle.remove(at));
            let shared = state.shared.iter().position(is).map(|at| state.shared.remove(at));
            (idle, shared)
        };
        drop(gone);
        self.pump();
    }

    /// Lets go of a connection that was idle for its whole time; otherwise says when to look again.
    fn expire(&self, link: &Weak<Link>) -> Option<Instant> {
        let (now, after) = (Instant::now(), self.context.idle_timeout);
        let link = link.upgrade()?;
        let mut state = self.lock();
        let (at, busy) = match link.h2() {
            Some(_) => (state.shared.iter().position(|other| Arc::ptr_eq(other, &link)), !link.is_unused()),
            None => (state.idle.iter().position(|idle| Arc::ptr_eq(&idle.link, &link)), false),
        };
        let due = link.last_used() + after;
        match at {
            Some(_) if !busy && now < due => return Some(due),
            Some(at) if !busy && link.h2().is_some() => drop(state.shared.remove(at)),
            Some(at) if !busy => drop(state.idle.remove(at)),
            // In use.
            _ => return Some(now + after),
        }
        drop(state);
        self.context.stats().upstream_cx_idle_timeout.increment();
        None
    }
}

impl State {
    /// A free connection, or a free stream of one.
    fn take(&mut self) -> Option<Lease> {
        if let Some(link) = self.shared.iter().find(|link| link.has_room()) {
            return Some(Lease::new(Connected { link: link.clone(), h1: None }));
        }
        // One that is not ready has just ended, and its driver is about to take it out.
        let ready = |connected: &Connected| connected.h1.as_ref().is_some_and(|h1| h1.is_ready());
        let at = self.idle.iter().rposition(ready)?;
        Some(Lease::new(self.idle.remove(at)))
    }

    fn lacks_connections(&self, context: &PoolContext) -> bool {
        if !context.is_http2() {
            return self.waiting.len() > self.connecting;
        }
        let unsettled = self.shared.iter().filter(|link| link.is_unsettled()).count();
        self.waiting.len().div_ceil(self.streams) > self.connecting + unsettled
    }

    /// Whether an open connection's host takes no streams at all: another connection would not help.
    fn is_refused(&self) -> bool {
        self.shared.iter().any(|link| link.takes_nothing())
    }
}

impl fmt::Debug for HostPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("HostPool")
            .field("host", &self.host.address())
            .field("connections", &state.connections)
            .field("idle", &state.idle.len())
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}
