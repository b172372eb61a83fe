//! One request and its response, with the record that closes whatever happens.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;

use super::{
    body::{RequestBody, ResponseBody},
    head,
    state::State,
};
use crate::{
    base::{Error, ErrorKind, RequestInfo, ResponseFlags},
    http::{Body, handler::Handler, headers::content_length},
};

/// Closes the record when dropped: first with the future that answers, then with the response's body.
pub(super) struct Exchange {
    pub(super) info: RequestInfo,
    pub(super) state: Arc<State>,
    is_head: bool,
    version: Version,
    /// The response is complete, or its own side failed: the client is not to blame.
    ended: bool,
}

impl Exchange {
    pub(super) fn begin(info: RequestInfo, state: Arc<State>, request: &Request<Incoming>) -> Self {
        state.begin();
        Self { info, state, is_head: request.method() == Method::HEAD, version: request.version(), ended: false }
    }

    /// Has the request answered by `handler`.
    pub(super) async fn answer<H: Handler>(self, handler: H, request: Request<Incoming>) -> Response<ResponseBody> {
        let (mut parts, body) = request.into_parts();
        // hyper leaves its upgrade handle here.
        parts.extensions.clear();
        if let Err(error) = head::admit(&mut parts) {
            // What comes after a refused request cannot be trusted.
            self.state.close();
            let reply = handler.refuse(Some(&parts), error, &self.info);
            return self.respond(reply);
        }
        if parts.method == Method::CONNECT {
            // There are no tunnels, and what follows may be meant for one.
            self.state.close();
        }
        let body = RequestBody::of(body, &self.info, &self.state);
        let mut call = pin!(handler.call(Request::from_parts(parts, body), self.info.clone()));
        let answered =
            poll_fn(
                |cx: &mut Context<'_>| {
                    if self.state.has_timed_out() { Poll::Ready(None) } else { call.as_mut().poll(cx).map(Some) }
                },
            );
        match answered.await {
            Some(response) => self.respond(response),
            None => {
                let reply = self.timed_out(&handler);
                self.respond(reply)
            }
        }
    }

    /// The answer to a stream that stood still: 504, or 408 when it is the client's upload that did.
    fn timed_out<H: Handler>(&self, handler: &H) -> Response<Body> {
        self.state.close();
        let uploading = self.state.is_uploading();
        let kind = if uploading { ErrorKind::RequestIdleTimeout } else { ErrorKind::StreamIdleTimeout };
        handler.refuse(None, Error::new(kind), &self.info)
    }

    fn respond(mut self, mut response: Response<Body>) -> Response<ResponseBody> {
        // Framing is the codec's own: it follows from the body and from `content-length`.
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        if response.status() == StatusCode::NO_CONTENT {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        // HTTP/1.0 only ever gets a refusal; saying so keeps hyper from adding `keep-alive` to it.
        *response.version_mut() = self.version;
        if self.state.is_closing() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        self.ended = self.is_head || bodiless || http_body::Body::is_end_stream(response.body());
        self.state.respond();
        let length = response.headers().get(header::CONTENT_LENGTH).and_then(content_length);
        response.map(|body| ResponseBody::new(body, length, self))
    }

    /// The response needs nothing more.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The response's own body failed: `error` says why.
    pub(super) fn fail(&mut self, error: &Error) {
        self.ended = true;
        self.info.update(|record| record.flags |= error.flags());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.ended {
            let flag = if self.state.has_timed_out() {
                ResponseFlags::STREAM_IDLE_TIMEOUT
            } else {
                ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION
            };
            self.info.update(|record| record.flags |= flag);
        }
        self.state.end();
        // What is left of it is for nobody, though it may still be on its way.
        self.info.note_request_end();
        self.info.finish();
    }
}
