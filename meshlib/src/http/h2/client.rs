//! An upstream HTTP/2 connection.
//!
//! An exchange costs no task and no channel: the caller's own task sends the request, pumps its body and receives the
//! response. Only an upload that goes on when the response has begun gets a task, which ends with the response's body.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use http_body_util::BodyExt;
//! use meshlib::http::{Body, h2, options::Http2Options, server::HttpServer};
//! # use meshlib::testkit;
//!
//! # let resources = testkit::resources();
//! let app = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) });
//! let server = HttpServer::new(&resources).bind("127.0.0.1:0".parse()?, app)?;
//!
//! let io = resources.network().connect(server.local_addr()).await?;
//! let (client, connection) = h2::client::handshake(io, &Http2Options::upstream());
//! tokio::spawn(connection);
//! let request = Request::get("http://a.example/").body(Body::empty())?;
//! let response = client.exchange(request).await.map_err(|failed| failed.error)?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! # Ok(())
//! # }
//! ```

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, Version, header, request, response, uri};
use http_body::Body as _;

use super::{
    connection::Connection,
    error::{self, Failure},
    handle::StreamRef,
    head::Head,
    limits::HeadLimits,
    read::FLOODED,
    reason::Reason,
    recv::RecvBody,
    replay,
    role::Role,
    send::{Copy, SendBody, Sent},
    state::Shared,
};
use crate::{
    base::{Error, ErrorKind, Retry, resources::BoxIo, task::AbortOnDropHandle, time::Deadline},
    http::{body::Body, headers::X_FORWARDED_PROTO, options::Http2Options, service::Failed},
};

/// The largest response head taken from a host, Envoy's 60 KiB.
const MAX_RESPONSE_HEADERS: u32 = 60 << 10;
/// The most response header fields, Envoy's 100.
const MAX_RESPONSE_FIELDS: usize = 100;
/// How long the last frames of a connection that nobody uses may take.
const CLOSE: Duration = Duration::from_secs(1);
/// A handle of an upstream connection. Cloning shares the connection, which ends once every handle and stream is gone.
#[derive(Clone)]
pub struct H2Client(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    max_streams: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.clients -= 1;
        state.notify();
    }
}

/// The connection itself: a task drives it.
pub struct H2Connection {
    h2: Connection<BoxIo>,
    closing: Option<Deadline>,
}

/// Speaks HTTP/2 with prior knowledge on `io`, once the connection is driven. Whether the host does too shows in the
/// first exchange.
pub fn handshake(io: BoxIo, options: &Http2Options) -> (H2Client, H2Connection) {
    let limits = HeadLimits::new(MAX_RESPONSE_HEADERS, MAX_RESPONSE_FIELDS);
    let shared = Shared::new(Role::Client, options, limits);
    shared.lock().clients = 1;
    let max_streams = options.max_concurrent_streams as usize;
    let h2 = Connection::new(io, Role::Client, shared.clone());
    (H2Client(Arc::new(Handle { shared, max_streams })), H2Connection { h2, closing: None })
}

impl Future for H2Connection {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = self.h2.poll_read(cx);
        if self.h2.shared().lock().is_flooded() {
            self.h2.go_away(Reason::ENHANCE_YOUR_CALM, FLOODED);
        }
        // Looked at before the last flush: what the last stream has said is written then.
        let over = self.over(ended);
        // Everything written in this turn leaves now. An error shows as an end.
        let flushed = self.h2.poll_flush(cx);
        match over {
            Some(over) => self.poll_end(flushed, cx).map(|()| over),
            None => Poll::Pending,
        }
    }
}

impl H2Connection {
    /// How the connection ends, where it does. One that nobody can use any more ends itself.
    fn over(&mut self, ended: Poll<Failure>) -> Option<Result<(), Error>> {
        let (is_unused, is_done) = {
            let state = self.h2.shared().lock();
            (state.is_unused(), state.is_done())
        };
        match ended {
            Poll::Ready(Failure::Closed(None) | Failure::Ended(Reason::NO_ERROR, _)) => Some(Ok(())),
            Poll::Ready(failure) => Some(Err(failure.upstream())),
            Poll::Pending if is_unused => {
                self.h2.go_away(Reason::NO_ERROR, "nobody uses the connection");
                Some(Ok(()))
            }
            Poll::Pending => is_done.then_some(Ok(())),
        }
    }

    /// Closes the connection, but does not wait long for a host that reads nothing.
    fn poll_end(&mut self, flushed: Poll<io::Result<()>>, cx: &mut Context<'_>) -> Poll<()> {
        let closed = match flushed {
            Poll::Ready(Ok(())) => self.h2.poll_shutdown(cx).is_ready(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        let closing = self.closing.get_or_insert_with(|| Deadline::after(CLOSE));
        if closed { Poll::Ready(()) } else { Pin::new(closing).poll(cx) }
    }
}

impl H2Client {
    /// How many more streams may be opened now.
    pub fn available_streams(&self) -> usize {
        if self.is_closed() {
            return 0;
        }
        self.max_streams().saturating_sub(self.active_streams())
    }

    /// How many streams may be open at once: the host's limit, or ours where it is lower.
    pub fn max_streams(&self) -> usize {
        self.0.shared.status.max_streams.load(Ordering::Relaxed).min(self.0.max_streams)
    }

    /// Whether the host has said how many streams it takes. Until then [`available_streams`](Self::available_streams)
    /// is a guess.
    pub fn is_settled(&self) -> bool {
        self.0.shared.status.is_settled.load(Ordering::Relaxed)
    }

    /// How many streams are open.
    pub fn active_streams(&self) -> usize {
        self.0.shared.status.exchanges.load(Ordering::Relaxed)
    }

    /// Whether the connection takes no new streams: it ended, or the host said GOAWAY.
    pub fn is_closed(&self) -> bool {
        self.0.shared.status.is_closed.load(Ordering::Relaxed)
    }

    /// Sends a request. Its head is on its way when this returns; the future pumps the body and waits for the
    /// response's head. Dropping the future, or later the response's body, resets the stream.
    ///
    /// A request comes back in [`Failed`] when the host certainly did not process it and all of it is still there.
    pub fn exchange(&self, request: Request<Body>) -> Exchange {
        let (mut head, body) = request.into_parts();
        head.version = Version::HTTP_2;
        if let Err(error) = complete_target(&mut head.uri, &mut head.headers) {
            return Exchange(Phase::Failed(Some(error.into())));
        }
        // Asked once: a body from another thread's connection may end between two looks.
        let end = body.is_end_stream();
        match self.open(&head, end) {
            Ok(stream) => {
                let upload = (!end).then(|| Pump::new(SendBody::new(stream.clone(), body, Reason::CANCEL)));
                Exchange(Phase::Waiting(Waiting { stream, upload, head }))
            }
            Err(error) => {
                let error = error.with_retry(Retry::NotProcessed);
                Exchange(Phase::Failed(Some(Failed { error, request: Some(Request::from_parts(head, body)) })))
            }
        }
    }

    fn open(&self, head: &request::Parts, end: bool) -> Result<StreamRef, Error> {
        if self.is_closed() {
            return Err(Failure::Closed(None).upstream());
        }
        let mut state = self.0.shared.lock();
        // Under the lock, so that two do not take the last place.
        if self.available_streams() == 0 {
            return Err(Error::new(ErrorKind::UpstreamRefusedStream).with_detail("the host takes no more streams"));
        }
        let key = state.request(head, end).map_err(Failure::upstream)?;
        let id = state.hold(key);
        if state.is_exhausted() {
            self.0.shared.status.is_closed.store(true, Ordering::Relaxed);
        }
        self.0.shared.status.exchanges.fetch_add(1, Ordering::Relaxed);
        drop(state);
        Ok(StreamRef::adopt(self.0.shared.clone(), key, id))
    }
}

impl fmt::Debug for H2Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Client")
            .field("active_streams", &self.active_streams())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for H2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Connection").finish_non_exhaustive()
    }
}

/// HTTP/2 needs scheme and authority; a request that came by HTTP/1 has its authority in `host`, and the scheme that
/// the client used in `x-forwarded-proto`.
fn complete_target(target: &mut Uri, headers: &mut http::HeaderMap) -> Result<(), Error> {
    let host = headers.remove(header::HOST);
    if target.scheme().is_some() && target.authority().is_some() {
        return Ok(());
    }
    let mut parts = std::mem::take(target).into_parts();
    parts.scheme.get_or_insert_with(|| match headers.get(X_FORWARDED_PROTO) {
        Some(proto) if proto.as_bytes().eq_ignore_ascii_case(b"https") => uri::Scheme::HTTPS,
        _ => uri::Scheme::HTTP,
    });
    if parts.authority.is_none() {
        parts.authority = host.as_ref().map(HeaderValue::as_bytes).and_then(|host| uri::Authority::try_from(host).ok());
    }
    parts.path_and_query.get_or_insert_with(|| uri::PathAndQuery::from_static("/"));
    *target = Uri::from_parts(parts).map_err(|error| {
        Error::new(ErrorKind::DownstreamProtocol).with_detail("the request has no usable authority").with_source(error)
    })?;
    Ok(())
}

/// A request's body on its way.
struct Pump {
    body: SendBody,
    sent: Copy,
}

impl Pump {
    fn new(body: SendBody) -> Self {
        Self { body, sent: Copy::new() }
    }

    /// Sends what can be sent; fails only when the body itself does.
    fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        if self.body.is_done() {
            return Ok(());
        }
        match self.body.poll(cx, &mut self.sent) {
            // What is not wanted needs not be sent: the response says why.
            Poll::Pending | Poll::Ready(Sent::Complete | Sent::Refused) => Ok(()),
            Poll::Ready(Sent::BodyFailed(error)) => Err(error),
        }
    }

    /// Sends the rest of the body.
    async fn finish(mut self) {
        std::future::poll_fn(|cx| match self.poll(cx) {
            Ok(()) if !self.body.is_done() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// The whole body as it was, if all of it is still there.
    fn into_body(self) -> Option<Body> {
        let sent = self.sent.into_sent()?;
        let (pending, rest) = self.body.into_rest()?;
        Some(replay::body([sent, pending], rest))
    }
}

/// The future of [`H2Client::exchange`].
pub struct Exchange(Phase);

enum Phase {
    Failed(Option<Failed>),
    Waiting(Waiting),
}

struct Waiting {
    stream: StreamRef,
    upload: Option<Pump>,
    head: request::Parts,
}

impl Future for Exchange {
    type Output = Result<Response<Body>, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waiting = match &mut self.0 {
            Phase::Waiting(waiting) => waiting,
            Phase::Failed(failed) => {
                let again = || Error::new(ErrorKind::Internal).with_detail("an exchange was polled after its end");
                return Poll::Ready(Err(failed.take().unwrap_or_else(|| again().into())));
            }
        };
        if let Some(Err(error)) = waiting.upload.as_mut().map(|pump| pump.poll(cx)) {
            return Poll::Ready(Err(error.into()));
        }
        let received = ready!(waiting.stream.poll_response(cx));
        let Phase::Waiting(waiting) = std::mem::replace(&mut self.0, Phase::Failed(None)) else {
            return Poll::Pending;
        };
        Poll::Ready(match received {
            Ok((head, end)) => waiting.answered(head, end).map_err(Failed::from),
            Err(failure) => Err(waiting.failed(failure.upstream())),
        })
    }
}

impl Waiting {
    fn answered(self, response: Head<response::Parts>, end: bool) -> Result<Response<Body>, Error> {
        let Head { parts, is_over, .. } = response;
        if is_over {
            return Err(Error::new(error::OVERSIZE).with_detail("the response's headers are too large"));
        }
        if end {
            // An upload that is still unfinished ends here: nobody waits for it.
            return Ok(Response::from_parts(parts, Body::empty()));
        }
        let upload = self.upload.filter(|pump| !pump.body.is_done());
        let upload = upload.map(|pump| AbortOnDropHandle::spawn(pump.finish()));
        Ok(Response::from_parts(parts, Body::h2(RecvBody::response(self.stream, upload))))
    }

    fn failed(self, mut error: Error) -> Failed {
        let ended = error.kind() == ErrorKind::UpstreamConnectionTermination;
        if ended && !self.stream.status().has_left(self.stream.id()) {
            error = error.with_retry(Retry::NotProcessed);
        }
        let body = match self.upload {
            _ if error.retry() != Retry::NotProcessed => None,
            Some(pump) => pump.into_body(),
            None => Some(Body::empty()),
        };
        Failed { error, request: body.map(|body| Request::from_parts(self.head, body)) }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}
