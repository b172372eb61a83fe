//! Open loop: calls begin when the schedule says, whether or not those before them are answered.
//!
//! A call's latency counts from when it was to begin. So what waits behind a stall, in the target or here, counts as
//! waiting; a client that waits for its answers would not even have asked.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::client::SendRequest;
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior},
};

use crate::{
    BoxError,
    arrivals::{Arrivals, Kind},
    call::Call,
    connect::Target,
    record::Record,
    ticker::Ticker,
};

/// How long the last calls have after the last has begun.
const LAST: Duration = Duration::from_secs(10);
/// More calls than this are never under way: a target that is so far behind is overloaded.
const MOST_UNDER_WAY: usize = 100_000;
/// From the start to the first call.
const LEAD: Duration = Duration::from_millis(10);

/// What is asked for.
pub(crate) struct Open {
    pub(crate) target: Target,
    pub(crate) call: Call,
    pub(crate) connections: usize,
    /// Calls a second.
    pub(crate) rate: f64,
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// Calls of this first time are made and checked, and not measured.
    pub(crate) warm_up: Duration,
    /// How long is measured.
    pub(crate) duration: Duration,
    /// How many connections a second are replaced by new ones.
    pub(crate) renewed: f64,
}

/// A connection in the place of another.
type Renewed = (usize, SendRequest<Bytes>);

pub(crate) async fn run(open: Open) -> Result<Value, BoxError> {
    let record = Record::default();
    let mut clients = connect(&open.target, open.connections, &record).await?;
    let (renewed, mut renewals) = mpsc::channel(16);
    let renewing = renew(&open, &record, renewed);
    let call = Arc::new(open.call);
    let mut ticker = Ticker::new()?;
    let mut calls = JoinSet::new();
    let start = Instant::now() + LEAD;
    let end = open.warm_up + open.duration;
    let schedule = Arrivals::new(open.kind, open.rate, open.seed).take_while(|at| *at < end);
    for (number, at) in schedule.enumerate() {
        ticker.until(start + at).await?;
        while let Ok((place, client)) = renewals.try_recv() {
            clients.get_mut(place).map(|old| std::mem::replace(old, client));
        }
        while calls.try_join_next().is_some() {}
        if calls.len() >= MOST_UNDER_WAY {
            return Err(format!("overloaded: {MOST_UNDER_WAY} calls wait for their answers").into());
        }
        let client = clients.get(number % open.connections).ok_or("no connections")?.clone();
        let measured = at >= open.warm_up;
        calls.spawn(one(Arc::clone(&call), client, start + at, record.clone(), measured));
    }
    if let Some(renewing) = renewing {
        renewing.abort();
    }
    finish(calls, &record).await;
    record.get().report(open.duration)
}

/// As many connections as are asked for, one after another.
pub(crate) async fn connect(
    target: &Target,
    connections: usize,
    record: &Record,
) -> Result<Vec<SendRequest<Bytes>>, BoxError> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let connected = target.connect().await?;
        record.get().connected(connected.certificate);
        clients.push(connected.client);
    }
    Ok(clients)
}

async fn one(call: Arc<Call>, client: SendRequest<Bytes>, intended: Instant, record: Record, measured: bool) {
    let lag = intended.elapsed();
    let made = call.make(client).await;
    let latency = intended.elapsed();
    let mut record = record.get();
    match made {
        Ok(()) if measured => {
            record.lag.record(nanoseconds(lag));
            record.latency.record(nanoseconds(latency));
        }
        Ok(()) => record.aside += 1,
        Err(failure) => record.failed(&failure),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Replaces connections, beside the calls, in turn.
fn renew(open: &Open, record: &Record, renewed: mpsc::Sender<Renewed>) -> Option<AbortHandle> {
    if open.renewed <= 0.0 {
        return None;
    }
    let mut every = tokio::time::interval(Duration::from_secs_f64(1.0 / open.renewed));
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (target, record, connections) = (open.target.clone(), record.clone(), open.connections);
    let task = tokio::spawn(async move {
        for place in (0..connections).cycle() {
            every.tick().await;
            match target.connect().await {
                Ok(connected) => {
                    record.get().connected(connected.certificate);
                    if renewed.send((place, connected.client)).await.is_err() {
                        return;
                    }
                }
                Err(error) => record.get().failed(&format_args!("connecting: {error}")),
            }
        }
    });
    Some(task.abort_handle())
}

/// Waits for the last answers. What has none by then has failed.
async fn finish(mut calls: JoinSet<()>, record: &Record) {
    let last = async { while calls.join_next().await.is_some() {} };
    let late = tokio::time::timeout(LAST, last).await.is_err();
    if late {
        for _ in 0..calls.len() {
            record.get().failed(&"no answer");
        }
    }
}
