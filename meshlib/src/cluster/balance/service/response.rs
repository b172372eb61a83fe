//! The future of a balanced request.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use super::{Made, Shared, Slot};
use crate::{
    base::{BoxError, Error, ErrorKind, resources::BoxFuture},
    cluster::{balance::PickContext, host::Host},
};

/// The response of a [`Balance`](super::Balance).
#[pin_project]
pub struct ResponseFuture<M, S, B>
where
    S: Service<Request<B>>,
{
    shared: Arc<Shared<M, S>>,
    #[pin]
    step: Step<S, S::Future, Request<B>>,
    body: PhantomData<fn(B)>,
}

impl<M, S: Service<Request<B>>, B> ResponseFuture<M, S, B> {
    pub(super) fn new(shared: Arc<Shared<M, S>>, step: Step<S, S::Future, Request<B>>) -> Self {
        Self { shared, step, body: PhantomData }
    }
}

#[pin_project(project = StepProject)]
pub(super) enum Step<S, F, R> {
    /// The discovery has not found anything yet.
    Warming { warming: BoxFuture<()>, request: Option<R> },
    /// Nothing could be picked.
    NoHost,
    /// The host's service is being made.
    Making { making: BoxFuture<Result<Made<S>, Error>>, slot: Arc<Slot<S>>, request: Option<R> },
    /// It is there; if it turns out not to work any more, another is made, once.
    Readying { made: Made<S>, slot: Arc<Slot<S>>, request: Option<R>, again: bool },
    /// It answers.
    Calling(#[pin] F),
}

impl<S, B, A> Step<S, S::Future, Request<B>>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
{
    /// Picks a host.
    pub(super) fn begin<M>(shared: &Shared<M, S>, request: Request<B>) -> Self
    where
        M: Service<Arc<Host>, Response = S> + Clone + Send + 'static,
        M::Error: Into<BoxError>,
        M::Future: Send,
    {
        let context = PickContext { headers: Some(request.headers()), ..PickContext::default() };
        let Some(picked) = shared.picks.pick(&context) else { return Self::NoHost };
        let slot = picked.item().clone();
        match slot.current() {
            Some(made) => Self::Readying { made, slot, request: Some(request), again: true },
            None => Self::Making { making: shared.make(slot.clone()), slot, request: Some(request) },
        }
    }
}

impl<M, S, B, A> Future for ResponseFuture<M, S, B>
where
    M: Service<Arc<Host>, Response = S> + Clone + Send + 'static,
    M::Error: Into<BoxError>,
    M::Future: Send,
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
{
    type Output = Result<Response<A>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepProject::Warming { warming, request } => {
                    ready!(warming.as_mut().poll(cx));
                    match request.take() {
                        Some(request) => Step::begin(this.shared, request),
                        None => return Poll::Ready(Err(Error::new(ErrorKind::Internal))),
                    }
                }
                StepProject::NoHost => return Poll::Ready(Err(Error::new(ErrorKind::NoHealthyUpstream))),
                StepProject::Making { making, slot, request } => {
                    let made = ready!(making.as_mut().poll(cx))?;
                    Step::Readying { made, slot: slot.clone(), request: request.take(), again: false }
                }
                StepProject::Readying { made, slot, request, again } => match ready!(made.service.poll_ready(cx)) {
                    Ok(()) => match request.take() {
                        Some(request) => Step::Calling(made.service.call(request)),
                        None => return Poll::Ready(Err(Error::new(ErrorKind::Internal))),
                    },
                    Err(_) if *again => {
                        slot.discard(made.generation);
                        let making = this.shared.make(slot.clone());
                        Step::Making { making, slot: slot.clone(), request: request.take() }
                    }
                    Err(error) => {
                        slot.discard(made.generation);
                        return Poll::Ready(Err(Error::from_boxed(error)));
                    }
                },
                StepProject::Calling(response) => return response.poll(cx).map_err(Error::from_boxed),
            };
            this.step.set(next);
        }
    }
}

impl<M, S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<M, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
