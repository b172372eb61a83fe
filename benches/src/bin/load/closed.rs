//! Closed loop: a number of callers, each of which calls again when it has its answer. It finds out how much a target
//! can do; the latency of such calls says little about a target that stalls.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};

use crate::{BoxError, call::Call, connect::Target, open::connect, record::Record};

/// What is asked for.
pub(crate) struct Closed {
    pub(crate) target: Target,
    pub(crate) call: Call,
    pub(crate) connections: usize,
    /// How many calls are under way at once.
    pub(crate) callers: usize,
    /// Calls of this first time are made and checked, and not measured.
    pub(crate) warm_up: Duration,
    /// How long is measured.
    pub(crate) duration: Duration,
}

pub(crate) async fn run(closed: Closed) -> Result<Value, BoxError> {
    let record = Record::default();
    let clients = connect(&closed.target, closed.connections, &record).await?;
    let call = Arc::new(closed.call);
    let from = Instant::now() + closed.warm_up;
    let until = from + closed.duration;
    let mut callers = JoinSet::new();
    for client in clients.iter().cycle().take(closed.callers) {
        let (client, call, record) = (client.clone(), Arc::clone(&call), record.clone());
        callers.spawn(async move {
            // A target that fails is asked no more: the run is void already.
            while Instant::now() < until && record.get().errors() == 0 {
                let begun = Instant::now();
                let made = call.make(client.clone()).await;
                let ended = Instant::now();
                let mut record = record.get();
                match made {
                    Ok(()) if begun >= from && ended <= until => {
                        record.latency.record(u64::try_from((ended - begun).as_nanos()).unwrap_or(u64::MAX));
                    }
                    Ok(()) => record.aside += 1,
                    Err(failure) => record.failed(&failure),
                }
            }
        });
    }
    callers.join_all().await;
    record.get().report(closed.duration)
}
