//! The admin interface: Envoy's paths, Envoy's texts, so that scripts and dashboards go on working.
//!
//! | path | answers |
//! |---|---|
//! | `/ready` | `LIVE` with 200; `DRAINING`, `INITIALIZING` or `PRE_INITIALIZING` with 503 |
//! | `/clusters` | hosts, their numbers and their health; `?filter=regex`, `?format=json` |
//! | `/stats` | every stat; `?usedonly`, `?filter=regex`, `?type=`, `?format=text\|json\|prometheus` |
//! | `/stats/prometheus` | the same for Prometheus, with Envoy's tag extraction |
//! | `/server_info` | version, state, uptime, command line and node as JSON |
//! | `POST /healthcheck/fail`, `POST /healthcheck/ok` | make health checks of this process fail, or pass again |
//! | `POST /quitquitquit` | ends the process |
//! | `/help`, `/` | this list |
//!
//! [`Admin`] is a tower service over an [`AdminState`] and needs nothing else of meshlib's assembly; [`stack`] wraps it
//! into tower-http's trace, timeout and catch-panic layers and erases it. Serving it is the server's part: a listener
//! (loopback, unless configured otherwise), at most [`MAX_CONNECTIONS`] connections, and the codec's limits on heads.
//! As in Envoy, the access log lines of the admin interface carry the peer's address as `x-forwarded-for`: whoever
//! serves this stack sets that header on the request before it is recorded.
//!
//! Nobody has to log in, so the address decides who may use it. Answers are plain text or JSON, never HTML, never
//! sniffed, and never repeat a path; what changes state takes POST alone.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::Request;
//! use http_body_util::BodyExt;
//! use meshlib::{
//!     base::{Drain, Stats},
//!     http::Body,
//!     proxy::admin::{Admin, AdminState, ServerState, ServerStats},
//! };
//! use tower::ServiceExt;
//!
//! let (stats, server) = (Stats::new(), ServerState::new(Drain::new()));
//! let admin = Admin::new(AdminState::new(stats.clone(), ServerStats::new(&stats, server.clone(), 2)));
//! server.set_initialized();
//!
//! let response = admin.oneshot(Request::get("/ready").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "LIVE\n");
//! # }
//! ```

mod clusters;
mod commands;
mod json;
mod prometheus;
mod query;
mod server_info;
mod service;
mod state;
mod stats_json;
mod stats_text;
mod tags;

use std::time::Duration;

use http::StatusCode;
use tower::ServiceBuilder;
use tower_http::{catch_panic::CatchPanicLayer, timeout::TimeoutLayer, trace::TraceLayer};

pub use self::{
    clusters::AdminCluster,
    server_info::CommandLineOptions,
    service::{Admin, AdminFuture},
    state::{AdminState, ServerPhase, ServerState, ServerStats},
};
use crate::http::ArcService;

/// How many admin connections may be open at once. A scraper, a kubelet and a few people need less.
pub const MAX_CONNECTIONS: usize = 64;

/// How many bytes of body an admin request may have; beyond it 413. No command reads its body.
pub const MAX_BODY_BYTES: usize = 64 << 10;

/// How long a request's body may take to arrive; beyond it 408.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The admin service as a server serves it: traced (spans and events of tower-http at debug level), bounded in time,
/// a panic answered with 500.
pub fn stack(state: AdminState) -> ArcService {
    ArcService::new(
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(CatchPanicLayer::new())
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT))
            .service(Admin::new(state)),
    )
}
