//! Calling a service that is nearly always ready.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use pin_project::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use crate::base::{BoxError, Error};

/// What tower's `Oneshot` does, but a service that is ready at once, as ours are, is called at once: the request goes
/// straight into its future, and is not moved into this one first.
#[pin_project]
pub(crate) struct Called<S: Service<R>, R>(#[pin] State<S, R>);

#[pin_project(project = StateProjection)]
enum State<S: Service<R>, R> {
    Now(#[pin] S::Future),
    /// Once it is ready.
    Later(#[pin] Oneshot<S, R>),
    Never(Option<Error>),
}

impl<S: Service<R>, R> Called<S, R>
where
    S::Error: Into<BoxError>,
{
    /// Calls `service`, now or once it is ready.
    pub(crate) fn new(mut service: S, request: R) -> Self {
        Self(match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => State::Now(service.call(request)),
            Poll::Ready(Err(error)) => State::Never(Some(Error::from_boxed(error))),
            // Asked again with a waker when this is polled.
            Poll::Pending => State::Later(Oneshot::new(service, request)),
        })
    }
}

impl<S: Service<R>, R> Future for Called<S, R>
where
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            StateProjection::Now(response) => response.poll(cx).map_err(Error::from_boxed),
            StateProjection::Later(response) => response.poll(cx).map_err(Error::from_boxed),
            // Polled after its end it waits, which is allowed.
            StateProjection::Never(error) => error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn one_that_is_ready_is_called_at_once_and_another_when_it_is() {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let count = || calls.load(std::sync::atomic::Ordering::Relaxed);
        let service = service_fn(|number: u32| {
            calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { Ok::<_, Infallible>(number) }
        });
        let limited = ServiceBuilder::new().concurrency_limit(1).service(service);
        let mut busy = limited.clone();
        busy.ready().await.unwrap();
        let waiting = Called::new(limited.clone(), 1);
        assert_eq!(count(), 0);
        assert!(waiting.now_or_never().is_none());
        let waiting = Called::new(limited.clone(), 2);
        drop(busy);
        assert_eq!(waiting.await.unwrap(), 2);
        let now = Called::new(limited, 3);
        assert_eq!(count(), 2);
        assert_eq!(now.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn one_that_failed_is_not_called() {
        #[derive(Clone)]
        struct Failed;

        impl Service<()> for Failed {
            type Response = ();
            type Error = &'static str;
            type Future = std::future::Ready<Result<(), &'static str>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
                Poll::Ready(Err("gone"))
            }

            fn call(&mut self, (): ()) -> Self::Future {
                panic!("called")
            }
        }

        assert!(Called::new(Failed, ()).await.unwrap_err().to_string().contains("gone"));
    }
}
