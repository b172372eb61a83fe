//! Access logs: one line for each request, in Envoy's format language.
//!
//! A [`Format`] is compiled once. An [`AccessLog`] writes its lines into a buffer of its own and hands the buffer to
//! a [`LogSink`](crate::base::resources::LogSink) a second after its first line, or when it is full: never waiting,
//! and allocating nothing for a line.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::sync::{Arc, Mutex};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::BodyExt;
//! use meshlib::{
//!     base::{Stats, resources::LogSink},
//!     http::Body,
//!     layer::{access_log::{AccessLog, AccessLogLayer, Format}, finish::RequestBody},
//! };
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Default)]
//! struct Lines(Mutex<Vec<u8>>);
//! impl LogSink for Lines {
//!     fn write(&self, lines: Bytes) -> bool {
//!         self.0.lock().unwrap().extend_from_slice(&lines);
//!         true
//!     }
//! }
//!
//! let lines = Arc::new(Lines::default());
//! let format = Format::parse("%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %BYTES_SENT%\n").unwrap();
//! let service = ServiceBuilder::new()
//!     .layer(AccessLogLayer::new(AccessLog::new(format, lines.clone(), &Stats::new())))
//!     .service(service_fn(|_: Request<RequestBody<Body>>| async {
//!         Ok::<_, std::io::Error>(Response::new(Body::from("hello")))
//!     }));
//! service.oneshot(Request::get("/x").body(Body::empty()).unwrap()).await.unwrap().into_body().collect().await.unwrap();
//! tokio::time::sleep(std::time::Duration::from_secs(2)).await;
//! assert_eq!(*lines.0.lock().unwrap(), b"GET /x 200 5\n");
//! # }
//! ```

mod escape;
mod format;
mod operator;
mod render;
mod time;
mod writer;

use std::sync::Arc;

use tower_layer::Layer;

pub use self::{
    format::{DEFAULT_FORMAT, Format, FormatError},
    writer::AccessLog,
};
use super::finish::{Finish, FinishLayer};
use crate::base::{FinishObserver, info::FinishObservers, resources::WallClock};

/// Makes [`Finish`] services that write an access log.
#[derive(Clone, Debug)]
pub struct AccessLogLayer(FinishLayer);

impl AccessLogLayer {
    /// Writes to this log.
    pub fn new(log: AccessLog) -> Self {
        Self(FinishLayer::new(FinishObservers::new([Arc::new(log) as Arc<dyn FinishObserver>])))
    }

    /// Takes `%START_TIME%` from this clock.
    #[must_use]
    pub fn wall_clock(mut self, clock: Arc<dyn WallClock>) -> Self {
        self.0 = self.0.wall_clock(clock);
        self
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = Finish<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
