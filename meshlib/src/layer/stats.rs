//! Counts requests and responses under Envoy's names, `http.<prefix>.downstream_*`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{base::Stats, http::Body, layer::{finish::RequestBody, stats::StatsLayer}};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let stats = Stats::new();
//! let service = ServiceBuilder::new().layer(StatsLayer::new(&stats, "ingress")).service(service_fn(
//!     |_: Request<RequestBody<Body>>| async { Ok::<_, std::io::Error>(Response::new(Body::empty())) },
//! ));
//! service.oneshot(Request::new(Body::empty())).await.unwrap();
//! assert_eq!(stats.counter_value("http.ingress.downstream_rq_2xx"), Some(1));
//! # }
//! ```

use std::sync::Arc;

use http::Version;
use tower_layer::Layer;

use super::finish::{Finish, FinishLayer};
use crate::base::{
    Counter, FinishObserver, Gauge, Histogram, RequestInfo, ResponseFlags, Stats,
    info::{FinishObservers, Record},
};

/// The request stats of one listener, as one worker sees them.
///
/// [`begin`](Self::begin) and [`on_finish`](FinishObserver::on_finish) are called once for each request. As in Envoy,
/// a health check is no completed response, and the time of a request whose client went away is not recorded.
#[derive(Clone, Debug)]
pub struct HttpStats {
    total: Counter,
    http1: Counter,
    http2: Counter,
    active: Gauge,
    completed: Counter,
    /// 1xx to 5xx.
    classes: [Counter; 5],
    time: Histogram,
}

impl HttpStats {
    /// A shard of the stats `http.<prefix>.downstream_*`: `rq_total`, `rq_http1_total`, `rq_http2_total`, `rq_active`,
    /// `rq_completed`, `rq_1xx` to `rq_5xx` and `rq_time` (milliseconds).
    pub fn new(stats: &Stats, prefix: &str) -> Self {
        let name = |name: &str| format!("http.{prefix}.downstream_{name}");
        Self {
            total: stats.counter(name("rq_total")),
            http1: stats.counter(name("rq_http1_total")),
            http2: stats.counter(name("rq_http2_total")),
            active: stats.gauge(name("rq_active")),
            completed: stats.counter(name("rq_completed")),
            classes: std::array::from_fn(|class| stats.counter(name(&format!("rq_{}xx", class + 1)))),
            time: stats.histogram(name("rq_time")),
        }
    }

    /// Counts a request that has begun. [`on_finish`](FinishObserver::on_finish) must follow.
    pub fn begin(&self) {
        self.total.increment();
        self.active.add(1);
    }
}

impl FinishObserver for HttpStats {
    fn on_finish(&self, info: &RequestInfo, record: &Record) {
        self.active.add(-1);
        if record.captured {
            if record.version < Version::HTTP_2 { &self.http1 } else { &self.http2 }.increment();
        }
        let gone = record.flags.contains(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
        if !gone {
            self.time.record(u64::try_from(info.duration().as_millis()).unwrap_or(u64::MAX));
        }
        let Some(status) = record.status.filter(|_| !record.health_check) else { return };
        self.completed.increment();
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(class) = class.and_then(|class| self.classes.get(class)) {
            class.increment();
        }
    }
}

/// Makes [`Finish`] services that count into [`HttpStats`].
#[derive(Clone, Debug)]
pub struct StatsLayer(FinishLayer);

impl StatsLayer {
    /// Counts under `http.<prefix>.`.
    pub fn new(stats: &Stats, prefix: &str) -> Self {
        let stats = Arc::new(HttpStats::new(stats, prefix));
        let observers = FinishObservers::new([stats.clone() as Arc<dyn FinishObserver>]);
        Self(FinishLayer::new(observers).on_begin(move || stats.begin()))
    }
}

impl<S> Layer<S> for StatsLayer {
    type Service = Finish<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use http::{Request, Response};
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::{base::stats::StatValue, http::Body, layer::finish::RequestBody};

    #[tokio::test(start_paused = true)]
    async fn every_request_is_counted_and_the_gauge_comes_down() {
        let stats = Stats::new();
        let service = ServiceBuilder::new().layer(StatsLayer::new(&stats, "a")).service(service_fn(
            |request: Request<RequestBody<Body>>| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let status: u16 = request.uri().path().trim_start_matches('/').parse().unwrap();
                Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
            },
        ));
        let value = |name: &str| stats.counter_value(&format!("http.a.downstream_rq_{name}"));
        let active = || stats.gauge_value("http.a.downstream_rq_active");
        let send = |path: &'static str| service.clone().oneshot(Request::get(path).body(Body::empty()).unwrap());
        for path in ["/200", "/204", "/503"] {
            send(path).await.unwrap();
        }
        let mut gone = Box::pin(send("/200"));
        assert!(futures_util::poll!(&mut gone).is_pending());
        assert_eq!(active(), Some(1));
        drop(gone);
        assert_eq!(active(), Some(0));
        assert_eq!((value("total"), value("completed"), value("http1_total")), (Some(4), Some(3), Some(4)));
        assert_eq!((value("2xx"), value("5xx"), value("4xx")), (Some(2), Some(1), Some(0)));
        let time = stats.snapshot().into_iter().find(|(name, _)| name.ends_with("rq_time")).unwrap();
        let StatValue::Histogram(time) = time.1 else { panic!("a histogram") };
        assert_eq!((time.count(), time.sum()), (3, 60));
    }

    #[test]
    fn a_health_check_is_no_completed_response() {
        let stats = Stats::new();
        let http = HttpStats::new(&stats, "a");
        http.begin();
        let info = RequestInfo::detached();
        info.capture_response(http::StatusCode::OK, &http::HeaderMap::new());
        info.update(|record| record.health_check = true);
        info.read(|record| http.on_finish(&info, record));
        let value = |name: &str| stats.counter_value(&format!("http.a.downstream_rq_{name}"));
        assert_eq!((value("total"), value("completed"), value("2xx")), (Some(1), Some(0), Some(0)));
    }
}
