//! What came of the calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{BoxError, histogram::Histogram};

/// The results so far. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Results>>);

/// What a [`Record`] holds.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// From when a call was to begin until all of its answer was there.
    pub(crate) latency: Histogram,
    /// From when a call was to begin until it began: the generator's own share.
    pub(crate) lag: Histogram,
    /// Good calls outside of the time that is measured.
    pub(crate) aside: u64,
    /// Connections made.
    pub(crate) connections: u64,
    certificates: BTreeSet<Vec<u8>>,
    errors: BTreeMap<String, u64>,
}

impl Record {
    /// One thread alone uses it: the lock is never waited for.
    pub(crate) fn get(&self) -> MutexGuard<'_, Results> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Results {
    pub(crate) fn failed(&mut self, error: &dyn std::fmt::Display) {
        *self.errors.entry(error.to_string()).or_default() += 1;
    }

    pub(crate) fn connected(&mut self, certificate: Option<Vec<u8>>) {
        self.connections += 1;
        self.certificates.extend(certificate);
    }

    /// How many calls or connections failed.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The report of `seconds` that were measured.
    ///
    /// # Errors
    /// When anything failed: figures of a target that fails say nothing.
    pub(crate) fn report(&self, measured: Duration) -> Result<Value, BoxError> {
        if !self.errors.is_empty() {
            let errors: Vec<_> = self.errors.iter().map(|(error, count)| format!("{count} x {error}")).collect();
            let good = self.latency.count() + self.aside;
            return Err(format!("{} errors beside {good} good calls: {}", self.errors(), errors.join("; ")).into());
        }
        let seconds = measured.as_secs_f64();
        Ok(json!({
            "seconds": seconds,
            "calls": self.latency.count(),
            "rate": self.latency.count() as f64 / seconds,
            "latency_us": micros(&self.latency),
            "lag_us": micros(&self.lag),
            "connections": self.connections,
            "certificates": self.certificates.len(),
            "cpu_seconds": own_cpu_seconds(),
        }))
    }
}

fn micros(histogram: &Histogram) -> Value {
    let at = |quantile| histogram.quantile(quantile) as f64 / 1e3;
    json!({
        "mean": histogram.mean() / 1e3,
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p99.9": at(0.999),
        "max": histogram.max() as f64 / 1e3,
    })
}

/// The CPU time of this thread, which does all the work, since it began; `None` where the kernel does not tell.
fn own_cpu_seconds() -> Option<f64> {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = schedule.split_whitespace().next()?.parse::<u64>().ok()?;
    Some(nanoseconds as f64 / 1e9)
}
