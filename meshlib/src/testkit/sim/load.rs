//! A client that calls again and again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    calls::{CallLog, Ongoing, Outcome},
    dial::Dialler,
    secs,
};
use crate::{
    base::Error,
    http::Body,
    testkit::{Client, Reply, client::grpc_message},
};

/// Calls at regular times, each its own however long the one before takes. The defaults: one each second from the
/// beginning on for ever, gRPC to `/api.Echo/Echo`, over one connection that is made anew when it ends; the client
/// gives up after a minute. Times that have passed when the load is added are left out.
#[derive(Clone, Debug)]
pub struct Load {
    pub(super) to: String,
    every: Duration,
    from: Duration,
    until: Option<Duration>,
    connections: usize,
    path: String,
    message: String,
    timeout: Duration,
}

impl Load {
    /// Calls to the first listener of this node.
    pub fn new(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            every: secs(1),
            from: Duration::ZERO,
            until: None,
            connections: 1,
            path: "/api.Echo/Echo".to_owned(),
            message: "hello".to_owned(),
            timeout: secs(60),
        }
    }

    /// The time from one call to the next; a millisecond at least.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.max(Duration::from_millis(1));
        self
    }

    /// The time of the first call.
    #[must_use]
    pub fn from(mut self, from: Duration) -> Self {
        self.from = from;
        self
    }

    /// The time at which no more calls begin.
    #[must_use]
    pub fn until(mut self, until: Duration) -> Self {
        self.until = Some(until);
        self
    }

    /// How many connections take turns; one at least.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// The path of the calls.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The message of each call.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// After how long a client gives up.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) async fn run(self, dialler: Dialler, begin: Instant, log: CallLog) {
        let slots: Vec<_> = (0..self.connections).map(|_| Slot(Arc::default(), dialler.clone())).collect();
        let mut next = self.first(begin.elapsed());
        let (load, mut calls) = (Arc::new(self), JoinSet::new());
        for slot in slots.iter().cycle() {
            if load.until.is_some_and(|until| next >= until) {
                break;
            }
            sleep_until(begin + next).await;
            calls.spawn(load.clone().call(slot.clone(), log.begin()));
            while calls.try_join_next().is_some() {}
            next += load.every;
        }
        while calls.join_next().await.is_some() {}
    }

    /// The time of the first call that is not before `now`.
    fn first(&self, now: Duration) -> Duration {
        // `every` is a millisecond at least.
        let passed = now.saturating_sub(self.from).as_nanos().div_ceil(self.every.as_nanos());
        self.from + self.every.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX))
    }

    async fn call(self: Arc<Self>, slot: Slot, ongoing: Ongoing) {
        let user_agent = format!("call-{}", ongoing.number);
        let outcome = match timeout(self.timeout, slot.call(&self, &user_agent)).await {
            Ok(reply) => Outcome::of(reply),
            Err(_) => Outcome::TimedOut,
        };
        ongoing.end(outcome);
    }
}

/// A connection that is made when it is needed.
#[derive(Clone)]
struct Slot(Arc<Mutex<Option<Client>>>, Dialler);

impl Slot {
    async fn call(&self, load: &Load, user_agent: &str) -> Result<Reply, Error> {
        let client = self.client().await?;
        let body = Body::from(grpc_message(load.message.as_bytes()));
        client.call(self.1.request(&load.path, user_agent).map(|()| body)).await
    }

    async fn client(&self) -> Result<Client, Error> {
        let mut current = self.0.lock().await;
        if let Some(client) = current.as_ref().filter(|client| client.is_open()) {
            return Ok(client.clone());
        }
        Ok(current.insert(self.1.client().await?).clone())
    }
}
