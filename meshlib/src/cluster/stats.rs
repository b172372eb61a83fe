//! A cluster's stats under Envoy's names, `cluster.<name>.…`: one data path's share of them.
//!
//! ```
//! use meshlib::{base::Stats, cluster::stats::ClusterStats};
//!
//! let registry = Stats::new();
//! let stats = ClusterStats::new(&registry, "echo");
//! let active = stats.upstream_rq_active.enter(); // until dropped
//! stats.completed(http::StatusCode::OK);
//! assert_eq!(registry.counter_value("cluster.echo.upstream_rq_2xx"), Some(1));
//! assert_eq!(registry.counter_value("cluster.echo.upstream_rq_200"), Some(1));
//! ```

use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use crate::base::{Counter, Gauge, Histogram, Stats};

macro_rules! cluster_stats {
    ($($(#[$doc:meta])* $field:ident: $kind:ident / $make:ident;)*) => {
        /// The handles of one data path.
        #[derive(Debug)]
        pub struct ClusterStats {
            $($(#[$doc])* pub $field: $kind,)*
            /// `upstream_rq_1xx` to `upstream_rq_5xx`.
            classes: [Counter; 5],
            /// `upstream_rq_<code>` for the few codes that were seen.
            codes: Mutex<Vec<(StatusCode, Counter)>>,
            registry: Stats,
            prefix: String,
        }

        impl ClusterStats {
            /// The stats of the cluster `name`.
            pub fn new(registry: &Stats, name: &str) -> Self {
                let prefix = format!("cluster.{name}.");
                Self {
                    $($field: registry.$make(format!("{prefix}{}", stringify!($field))),)*
                    classes: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                        .map(|class| registry.counter(format!("{prefix}upstream_rq_{class}"))),
                    codes: Mutex::default(),
                    registry: registry.clone(),
                    prefix,
                }
            }
        }
    };
}

cluster_stats! {
    /// Connections ever begun.
    upstream_cx_total: Counter / counter;
    /// Connections open or being made.
    upstream_cx_active: Gauge / gauge;
    /// Of these, HTTP/1.1 ones.
    upstream_cx_http1_total: Counter / counter;
    /// Of these, HTTP/2 ones.
    upstream_cx_http2_total: Counter / counter;
    /// Connections that could not be made, for whatever reason.
    upstream_cx_connect_fail: Counter / counter;
    /// Of these, those that took too long.
    upstream_cx_connect_timeout: Counter / counter;
    /// How long connecting took, in milliseconds.
    upstream_cx_connect_ms: Histogram / histogram;
    /// Connections that ended.
    upstream_cx_destroy: Counter / counter;
    /// Of these, those that this side closed.
    upstream_cx_destroy_local: Counter / counter;
    /// Of these, those that the host closed.
    upstream_cx_destroy_remote: Counter / counter;
    /// Connections closed because nothing happened on them.
    upstream_cx_idle_timeout: Counter / counter;
    /// Connections not opened because of `max_connections`.
    upstream_cx_overflow: Counter / counter;
    /// Requests for which there was no host.
    upstream_cx_none_healthy: Counter / counter;
    /// Requests given to a connection.
    upstream_rq_total: Counter / counter;
    /// Requests on a connection now.
    upstream_rq_active: Gauge / gauge;
    /// Requests that had to wait for a connection.
    upstream_rq_pending_total: Counter / counter;
    /// Requests that wait for a connection now.
    upstream_rq_pending_active: Gauge / gauge;
    /// Requests refused because of `max_pending_requests` or `max_requests`.
    upstream_rq_pending_overflow: Counter / counter;
    /// Requests that waited for a connection which could not be made.
    upstream_rq_pending_failure_eject: Counter / counter;
    /// Requests dropped before they got a connection.
    upstream_rq_cancelled: Counter / counter;
    /// Requests answered, be it by this side.
    upstream_rq_completed: Counter / counter;
    /// Retries, those unasked included.
    upstream_rq_retry: Counter / counter;
    /// Retries not made because of `max_retries`.
    upstream_rq_retry_overflow: Counter / counter;
    /// From the pick to the end of the response, in milliseconds.
    upstream_rq_time: Histogram / histogram;
    /// Picks that ignored health because too few hosts have it.
    lb_healthy_panic: Counter / counter;
}

impl ClusterStats {
    /// Counts a response, or the one that this side makes of an error.
    pub fn completed(&self, status: StatusCode) {
        self.upstream_rq_completed.increment();
        if let Some(class) = usize::from(status.as_u16() / 100).checked_sub(1).and_then(|class| self.classes.get(class))
        {
            class.increment();
        }
        // A handful of codes at most, and a lock that this data path shares with nobody.
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        match codes.iter().find(|(code, _)| *code == status) {
            Some((_, counter)) => counter.increment(),
            None => {
                let counter = self.registry.counter(format!("{}upstream_rq_{}", self.prefix, status.as_u16()));
                counter.increment();
                codes.push((status, counter));
            }
        }
    }
}
