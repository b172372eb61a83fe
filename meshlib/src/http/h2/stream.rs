//! One stream of a downstream connection: its task, from the request's head to the response's end.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header::CONTENT_LENGTH, request};
use http_body::Body as _;

use super::{
    handle::StreamRef,
    head::Head,
    reason::Reason,
    recv::RecvBody,
    send::{Observe, SendBody, Sent},
};
use crate::{
    base::{ConnectionInfo, Error, ErrorKind, RequestInfo, ResponseFlags, drain::DrainHold, time::Deadline},
    http::{body::Body, grpc, handler::Handler, headers::take_expectation},
};

/// What a client is told when the rest of a response will not come. Not `NO_ERROR`: that says that it is whole.
const FAILED: Reason = Reason::INTERNAL_ERROR;

/// What the streams of a connection share.
pub(super) struct Streams<H> {
    pub(super) handler: H,
    pub(super) connection: Arc<ConnectionInfo>,
    pub(super) idle_timeout: Duration,
    /// A drain waits for the streams too: their records come a moment after the connection's end.
    pub(super) _hold: DrainHold,
}

impl<H: Handler> Streams<H> {
    /// Drives one stream to its end.
    pub(super) async fn run(self: Arc<Self>, request: Head<request::Parts>, stream: StreamRef) {
        let info = self.handler.begin(&self.connection);
        let mut finish = Finish { info: &info, complete: false };
        let mut idle = StreamIdle::new(info.clone(), self.idle_timeout);
        let is_head = request.parts.method == Method::HEAD;
        let Some(response) = self.respond(request, &stream, &info, &mut idle).await else { return };
        let (mut head, body) = response.into_parts();
        if head.status == StatusCode::NO_CONTENT {
            head.headers.remove(CONTENT_LENGTH);
        }
        let bodiless = is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let end = bodiless || body.is_end_stream();
        if !stream.respond(&head, end) {
            return; // The client has gone meanwhile.
        }
        finish.complete = end || send(SendBody::new(stream, body, FAILED), &info, &mut idle).await;
    }

    /// The response; `None` if the client went away before there was one.
    async fn respond(
        &self,
        request: Head<request::Parts>,
        stream: &StreamRef,
        info: &RequestInfo,
        idle: &mut StreamIdle,
    ) -> Option<Response<Body>> {
        let Head { mut parts, is_over, .. } = request;
        if is_over {
            return Some(self.handler.refuse(Some(&parts), Error::new(ErrorKind::HeadersTooLarge), info));
        }
        let expects_continue = take_expectation(&mut parts.headers);
        let body = if stream.is_read() {
            info.note_request_end();
            Body::empty()
        } else {
            Body::h2(RecvBody::request(stream.clone(), info.clone(), expects_continue))
        };
        tokio::select! {
            biased;
            // First, so that a stream that was given up before its turn came makes no work anywhere.
            () = poll_fn(|cx| stream.poll_gone(cx)) => None,
            response = self.handler.call(Request::from_parts(parts, body), info.clone()) => Some(response),
            uploading = idle.request(info) => {
                let kind = if uploading { ErrorKind::RequestIdleTimeout } else { ErrorKind::StreamIdleTimeout };
                Some(self.handler.refuse(None, Error::new(kind), info))
            }
        }
    }
}

/// Sends the response's body. Answers whether the client got it all.
async fn send(mut body: SendBody, info: &RequestInfo, idle: &mut StreamIdle) -> bool {
    let mut counted = Counted(info);
    let sent = poll_fn(|cx| {
        if let Poll::Ready(sent) = body.poll(cx, &mut counted) {
            return Poll::Ready(Some(sent));
        }
        idle.poll(cx).map(|()| None)
    })
    .await;
    match sent {
        Some(Sent::Complete) => true,
        Some(Sent::Refused) => false,
        Some(Sent::BodyFailed(error)) => {
            info.update(|record| record.flags |= error.flags());
            true
        }
        None => {
            body.reset(FAILED);
            info.update(|record| record.flags |= ResponseFlags::STREAM_IDLE_TIMEOUT);
            true
        }
    }
}

/// Closes the record when the stream's task ends, however it ends.
struct Finish<'a> {
    info: &'a RequestInfo,
    complete: bool,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        if !self.complete {
            self.info.update(|record| record.flags |= ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
        }
        // What is left of it is for nobody, though it may still be on its way.
        self.info.note_request_end();
        self.info.finish();
    }
}

struct Counted<'a>(&'a RequestInfo);

impl Observe for Counted<'_> {
    fn data(&mut self, data: &Bytes) {
        self.0.add_bytes_sent(data.len() as u64);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.0.update(|record| record.grpc_status = grpc::code_in(trailers).map(|code| code.0));
    }
}

/// How many times a stream is looked at within its idle timeout.
const SAMPLES: u32 = 4;

/// Ends a stream on which nothing moves. It compares byte counts four times within the timeout instead of noting each
/// frame's time, so that frames cost nothing; a stream is found idle after 1 to 1.25 times the timeout.
struct StreamIdle {
    info: RequestInfo,
    period: Duration,
    seen: (u64, u64),
    still: u32,
    deadline: Option<Deadline>,
}

impl StreamIdle {
    fn new(info: RequestInfo, timeout: Duration) -> Self {
        let period = timeout / SAMPLES;
        let deadline = (!timeout.is_zero()).then(|| Deadline::at(info.started() + period));
        Self { info, period, seen: (0, 0), still: 0, deadline }
    }

    /// Waits until the stream is found idle; answers whether the request was still on its way then.
    async fn request(&mut self, info: &RequestInfo) -> bool {
        poll_fn(|cx| self.poll(cx)).await;
        // Now: a request that is dropped has ended.
        info.request_end().is_none()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = &mut self.deadline else { return Poll::Pending };
        while Pin::new(&mut *deadline).poll(cx).is_ready() {
            let moved = (self.info.bytes_received(), self.info.bytes_sent());
            self.still = if moved == self.seen { self.still + 1 } else { 0 };
            self.seen = moved;
            if self.still >= SAMPLES {
                return Poll::Ready(());
            }
            *deadline = Deadline::at(deadline.instant() + self.period);
        }
        Poll::Pending
    }
}
