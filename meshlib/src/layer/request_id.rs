//! Gives a request an id that all its hops and log lines share.
//!
//! Put it outside of an access log that prints the id.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::{Request, Response};
//! use meshlib::{base::resources::Random, layer::request_id::RequestIdLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! let service = ServiceBuilder::new().layer(RequestIdLayer::new(&Random::seeded(1))).service(service_fn(
//!     |request: Request<()>| async move { Ok::<_, std::convert::Infallible>(Response::new(request.headers()["x-request-id"].clone())) },
//! ));
//! let id = service.oneshot(Request::new(())).await.unwrap().into_body();
//! assert_eq!(id.len(), 36); // a UUID
//! # }
//! ```

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Request, header::Entry};
use tower_layer::Layer;
use tower_service::Service;
use uuid::{Builder, Uuid};

use crate::{
    base::resources::{Random, Rng},
    http::headers::X_REQUEST_ID,
};

/// Makes [`RequestId`] services. Each layer draws from a generator of its own, which its services share: the lock
/// around it is contended only where several threads share one layer.
#[derive(Clone, Debug)]
pub struct RequestIdLayer(Arc<Mutex<Rng>>);

impl RequestIdLayer {
    /// Ids from this source of randomness.
    pub fn new(random: &Random) -> Self {
        Self(Arc::new(Mutex::new(random.fork())))
    }

    /// Keeps the id that is there, or makes one.
    pub fn apply(&self, headers: &mut HeaderMap) {
        if let Entry::Vacant(entry) = headers.entry(X_REQUEST_ID) {
            let random = self.0.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
            entry.insert(uuid(random));
        }
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestId<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestId { inner, ids: self.clone() }
    }
}

/// Adds `x-request-id`, a random UUID, to requests that have none; keeps one that is there.
#[derive(Clone, Debug)]
pub struct RequestId<S> {
    inner: S,
    ids: RequestIdLayer,
}

impl<S, B> Service<Request<B>> for RequestId<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    // The response passes untouched.
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.ids.apply(request.headers_mut());
        self.inner.call(request)
    }
}

/// A version 4 UUID (RFC 9562) of these random bits.
fn uuid(random: u128) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = Builder::from_random_bytes(random.to_be_bytes()).into_uuid().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef), "01234567-89ab-4def-8123-456789abcdef");
    }

    #[tokio::test]
    async fn made_when_absent_kept_when_there() {
        let service = ServiceBuilder::new().layer(RequestIdLayer::new(&Random::seeded(3))).service(service_fn(
            |request: Request<()>| async move { Ok::<_, Infallible>(request.headers()["x-request-id"].clone()) },
        ));
        let one = service.clone().oneshot(Request::new(())).await.unwrap();
        let other = service.clone().oneshot(Request::new(())).await.unwrap();
        assert_ne!(one, other);
        let kept = Request::builder().header("x-request-id", "mine").body(()).unwrap();
        assert_eq!(service.oneshot(kept).await.unwrap(), "mine");
    }
}
