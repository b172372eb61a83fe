//! Counts requests under Envoy's names: `http.<stat_prefix>.downstream_rq_*`.
//!
//! [`DownstreamStats`] counts a request when it begins and, as a [`FinishObserver`] of its record, when it ends.
//!
//! ```
//! use std::sync::Arc;
//! use meshlib::{
//!     base::{RequestInfo, Stats, info::FinishObservers},
//!     layer::stats::DownstreamStats,
//! };
//!
//! let stats = Stats::new();
//! let downstream = Arc::new(DownstreamStats::new(&stats, "http.ingress."));
//! let observers = FinishObservers::new([downstream.clone() as Arc<_>]);
//! let info = RequestInfo::new(None, tokio::time::Instant::now(), std::time::SystemTime::UNIX_EPOCH, observers);
//! downstream.begin();
//! assert_eq!(stats.gauge_value("http.ingress.downstream_rq_active"), Some(1));
//! info.finish();
//! assert_eq!(stats.gauge_value("http.ingress.downstream_rq_active"), Some(0));
//! ```

use http::{StatusCode, Version};

use crate::base::{
    Counter, Gauge, Histogram, RequestInfo, ResponseFlags, Stats,
    info::{FinishObserver, Record},
};

/// The counters of one listener's or one layer's requests.
#[derive(Debug)]
pub struct DownstreamStats {
    rq_total: Counter,
    rq_active: Gauge,
    rq_completed: Counter,
    rq_classes: [Counter; 5],
    rq_http1_total: Counter,
    rq_http2_total: Counter,
    rq_timeout: Counter,
    rq_idle_timeout: Counter,
    rq_rx_reset: Counter,
    no_route: Counter,
    rq_time: Histogram,
}

impl DownstreamStats {
    /// Handles under `prefix`, which ends with a dot: `http.ingress_http.`.
    pub fn new(stats: &Stats, prefix: &str) -> Self {
        let counter = |name: &str| stats.counter(format!("{prefix}{name}"));
        Self {
            rq_total: counter("downstream_rq_total"),
            rq_active: stats.gauge(format!("{prefix}downstream_rq_active")),
            rq_completed: counter("downstream_rq_completed"),
            rq_classes: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| counter(&format!("downstream_rq_{class}"))),
            rq_http1_total: counter("downstream_rq_http1_total"),
            rq_http2_total: counter("downstream_rq_http2_total"),
            rq_timeout: counter("downstream_rq_timeout"),
            rq_idle_timeout: counter("downstream_rq_idle_timeout"),
            rq_rx_reset: counter("downstream_rq_rx_reset"),
            no_route: counter("no_route"),
            rq_time: stats.histogram(format!("{prefix}downstream_rq_time")),
        }
    }

    /// A request begins.
    pub fn begin(&self) {
        self.rq_total.increment();
        self.rq_active.add(1);
    }

    fn status(&self, status: StatusCode) {
        self.rq_completed.increment();
        if let Some(class) = self.rq_classes.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            class.increment();
        }
    }

    fn flags(&self, flags: ResponseFlags) {
        for (flag, counter) in [
            (ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, &self.rq_timeout),
            (ResponseFlags::STREAM_IDLE_TIMEOUT, &self.rq_idle_timeout),
            (ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, &self.rq_rx_reset),
            (ResponseFlags::NO_ROUTE_FOUND, &self.no_route),
        ] {
            if flags.contains(flag) {
                counter.increment();
            }
        }
    }
}

impl FinishObserver for DownstreamStats {
    fn on_finish(&self, info: &RequestInfo, record: &Record) {
        self.rq_active.add(-1);
        match record.version {
            Version::HTTP_2 => self.rq_http2_total.increment(),
            _ => self.rq_http1_total.increment(),
        }
        if let Some(status) = record.status {
            self.status(status);
        }
        if !record.flags.is_empty() {
            self.flags(record.flags);
        }
        self.rq_time.record(u64::try_from(info.started().elapsed().as_millis()).unwrap_or(u64::MAX));
    }
}
