//! One request and its response.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response};

use super::{
    body::ResponseBody,
    head::{Framing, ResponseHead, put_request, request_framing},
    state::Shared,
    upload::Upload,
    wire::Failure,
};
use crate::{
    base::{Error, ErrorKind, Retry, task::AbortOnDropHandle},
    http::{body::Body, service::Failed},
};

impl Failure {
    pub(super) fn error(self) -> Error {
        let gone = Error::new(ErrorKind::UpstreamConnectionTermination);
        match self {
            Self::Closed => gone.with_detail("the host closed the connection"),
            Self::Broken(error) => gone.with_source(error),
            Self::Malformed(malformed) => malformed.error(),
            Self::Upload(error) => error,
        }
    }
}

/// The future of [`H1Client::exchange`](super::H1Client::exchange).
pub struct Exchange(Phase);

enum Phase {
    Failed(Option<Box<Failed>>),
    Waiting(Waiting),
}

struct Waiting {
    shared: Arc<Shared>,
    upload: Option<Upload>,
    /// The response to a HEAD has no body, whatever it says.
    to_head: bool,
    is_answered: bool,
}

impl Exchange {
    pub(super) fn begin(shared: &Arc<Shared>, request: Request<Body>) -> Self {
        Self(match Waiting::begin(shared, request) {
            Ok(waiting) => Phase::Waiting(waiting),
            Err(failed) => Phase::Failed(Some(failed)),
        })
    }
}

impl Waiting {
    /// Collects the head; it leaves with the beginning of the body.
    fn begin(shared: &Arc<Shared>, request: Request<Body>) -> Result<Self, Box<Failed>> {
        let (head, body) = request.into_parts();
        let framing = request_framing(&head, &body).map_err(|error| Box::new(error.into()))?;
        let mut state = shared.lock();
        let Some(wire) = state.begin() else {
            let busy = "the connection is busy with another request";
            let closed = "the host closed the connection before the request";
            let error = Error::new(ErrorKind::UpstreamConnectionTermination)
                .with_retry(Retry::NotProcessed)
                .with_detail(if state.is_closed() { closed } else { busy });
            return Err(Box::new(Failed { error, request: Some(Request::from_parts(head, body)) }));
        };
        let is_last = put_request(&head, framing, wire.out.tail());
        if is_last {
            state.is_last();
        }
        drop(state);
        let upload = Some(Upload::new(shared.clone(), body, framing));
        Ok(Self { shared: shared.clone(), upload, to_head: head.method == Method::HEAD, is_answered: false })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Body>, Error>> {
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(uploaded) = upload.poll(cx)
        {
            uploaded?;
            self.upload = None;
        }
        let head = ready!(self.shared.lock().poll_head(cx)).map_err(Failure::error)?;
        Poll::Ready(self.answered(head))
    }

    fn answered(&mut self, head: ResponseHead) -> Result<Response<Body>, Error> {
        let mut state = self.shared.lock();
        let framing = head.framing(self.to_head).map_err(|malformed| {
            state.closed_by_host();
            malformed.error()
        })?;
        if framing == Framing::Close || !head.keeps_alive() {
            state.is_hosts_last();
        }
        self.is_answered = true;
        let body = if framing == Framing::None {
            state.received();
            drop(state);
            // An upload that is still unfinished ends here, and the connection with it: nobody waits for it.
            self.upload = None;
            Body::empty()
        } else {
            drop(state);
            let upload = self.upload.take().map(|upload| AbortOnDropHandle::spawn(upload.finish()));
            Body::h1(ResponseBody::new(self.shared.clone(), framing, upload))
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.version_mut()) = (head.status, head.version);
        *response.headers_mut() = head.headers;
        Ok(response)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.lock().close();
        }
    }
}

impl Future for Exchange {
    type Output = Result<Response<Body>, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Phase::Waiting(waiting) => waiting.poll(cx).map_err(Failed::from),
            Phase::Failed(failed) => {
                let again = || Error::new(ErrorKind::Internal).with_detail("an exchange was polled after its end");
                Poll::Ready(Err(failed.take().map_or_else(|| again().into(), |failed| *failed)))
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}
