//! Gives every request an `x-request-id` (Envoy's `generate_request_id`).
//!
//! An id that is there is kept: the first proxy chooses, the others pass it on. Ids are marked as not to be indexed, so
//! that a value that never comes again does not push useful ones out of the HPACK table.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{base::resources::Random, layer::request_id::RequestIdLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new().layer(RequestIdLayer::new(&Random::new())).service_fn(
//!     |request: Request<()>| async move {
//!         Ok::<_, std::convert::Infallible>(Response::new(request.headers()["x-request-id"].clone()))
//!     },
//! );
//! let id = service.oneshot(Request::new(())).await.unwrap().into_body();
//! assert_eq!(id.len(), 36);
//! # }
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header::Entry};
use tower_layer::Layer;
use tower_service::Service;

use crate::{base::resources::Random, http::headers::X_REQUEST_ID};

/// Makes request ids: random UUIDs of version 4 (RFC 9562, section 5.4).
#[derive(Clone)]
pub struct RequestIds(Arc<Mutex<fastrand::Rng>>);

impl RequestIds {
    /// Ids from a generator of one's own; the mutex is contended only if clones are shared by workers.
    pub fn new(random: &Random) -> Self {
        Self(Arc::new(Mutex::new(random.fork())))
    }

    /// Keeps the id that is there, or makes one.
    pub fn ensure(&self, headers: &mut HeaderMap) {
        match headers.entry(X_REQUEST_ID) {
            Entry::Occupied(mut entry) => entry.get_mut().set_sensitive(true),
            Entry::Vacant(entry) => {
                let random = self.0.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
                if let Some(id) = uuid(random) {
                    entry.insert(id);
                }
            }
        }
    }
}

impl fmt::Debug for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestIds")
    }
}

/// The text of a UUID of version 4, variant 1. One allocation.
fn uuid(random: u128) -> Option<HeaderValue> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = Vec::with_capacity(36);
    for nibble in (0..32).rev() {
        if matches!(nibble, 23 | 19 | 15 | 11) {
            text.push(b'-');
        }
        let digit = (bits >> (nibble * 4)) & 0xf;
        text.extend(DIGITS.get(digit as usize));
    }
    let mut value = HeaderValue::from_maybe_shared(Bytes::from(text)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Makes [`RequestId`]s.
#[derive(Clone, Debug)]
pub struct RequestIdLayer(RequestIds);

impl RequestIdLayer {
    /// Ids drawn from `random`.
    pub fn new(random: &Random) -> Self {
        Self(RequestIds::new(random))
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> RequestId<S> {
        RequestId { ids: self.0.clone(), inner }
    }
}

/// Gives every request an id.
#[derive(Clone, Debug)]
pub struct RequestId<S> {
    ids: RequestIds,
    inner: S,
}

impl<S, B> Service<Request<B>> for RequestId<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.ids.ensure(request.headers_mut());
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_4_and_differ() {
        let ids = RequestIds::new(&Random::seeded(1));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut headers = HeaderMap::new();
            ids.ensure(&mut headers);
            let id = headers[X_REQUEST_ID].to_str().unwrap().to_owned();
            let dashes: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
            assert_eq!(dashes, [8, 13, 18, 23], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn an_id_that_is_there_is_kept_and_not_indexed() {
        let mut headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("mine"))]);
        RequestIds::new(&Random::new()).ensure(&mut headers);
        assert_eq!(headers[X_REQUEST_ID], "mine");
        assert!(headers[X_REQUEST_ID].is_sensitive());
    }
}
