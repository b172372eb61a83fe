//! Those who read the record in the end.

use std::{fmt, sync::Arc};

use http::HeaderName;

use super::{Record, RequestInfo};

/// Reads a request's record once it is closed: an access log, a counter, a test. [`FinishLayer`] and `HttpServer` take
/// observers, and so does a file: `MeshBuilder::register_access_log`.
///
/// [`FinishLayer`]: crate::layer::finish::FinishLayer
pub trait FinishObserver: Send + Sync {
    /// Called once, when both directions have ended or either was dropped.
    ///
    /// `record` is the record of `info`, and locked meanwhile: look there for what has to do with it. Of `info` only
    /// what stands beside it may be asked, the connection, the times and the counts of bytes; `info.read`, `update`,
    /// `attempts`, `upstream_host`, `flags` and `Debug` would wait for ever. To be called on the way of a request, it
    /// must not block.
    fn on_finish(&self, info: &RequestInfo, record: &Record);

    /// The request headers that [`on_finish`](Self::on_finish) will look for.
    fn request_headers(&self) -> &[HeaderName] {
        &[]
    }

    /// The response headers that [`on_finish`](Self::on_finish) will look for.
    fn response_headers(&self) -> &[HeaderName] {
        &[]
    }
}

/// Observers, compiled once per listener or layer and shared by its requests.
#[derive(Clone, Default)]
pub struct FinishObservers {
    pub(super) observers: Arc<[Arc<dyn FinishObserver>]>,
    pub(super) request_headers: Arc<[HeaderName]>,
    pub(super) response_headers: Arc<[HeaderName]>,
}

impl FinishObservers {
    /// Compiles `observers`: the headers that any of them names are captured once.
    pub fn new(observers: impl IntoIterator<Item = Arc<dyn FinishObserver>>) -> Self {
        let observers: Arc<[_]> = observers.into_iter().collect();
        let union = |of: fn(&dyn FinishObserver) -> &[HeaderName]| {
            let mut names: Vec<HeaderName> = Vec::new();
            for name in observers.iter().flat_map(|observer| of(observer.as_ref())) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            names.into()
        };
        Self {
            request_headers: union(|observer| observer.request_headers()),
            response_headers: union(|observer| observer.response_headers()),
            observers,
        }
    }
}

impl fmt::Debug for FinishObservers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinishObservers").field("len", &self.observers.len()).finish_non_exhaustive()
    }
}
