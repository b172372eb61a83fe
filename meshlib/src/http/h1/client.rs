//! An upstream HTTP/1.1 connection: one request at a time.
//!
//! hyper frames the messages; this module adds what a proxy owes an upstream: origin-form targets, a `host` that is
//! the request's authority, one `cookie` field, and framing for every body, a GET's too.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::Request;
//! use meshlib::http::{Body, h1::client};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let (near, mut far) = tokio::io::duplex(1024);
//! let (mut client, connection) = client::handshake(Box::new(near)).await.unwrap();
//! tokio::spawn(connection);
//! let response = tokio::spawn(client.exchange(Request::get("http://a.example/b").body(Body::empty()).unwrap()));
//!
//! let mut request = [0; 36];
//! far.read_exact(&mut request).await.unwrap();
//! assert_eq!(request, *b"GET /b HTTP/1.1\r\nhost: a.example\r\n\r\n");
//! far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
//! assert_eq!(response.await.unwrap().unwrap().status(), 204);
//! # }
//! ```

#[cfg(test)]
mod tests;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, uri};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;

use super::IncomingBody;
use crate::{
    base::{Error, ErrorKind, Retry, resources::BoxIo},
    http::{body::Body, service::Failed},
};

/// The largest response head taken from a host, Envoy's 60 KiB.
const MAX_RESPONSE_HEADERS: usize = 60 << 10;

/// The sending side of a connection.
pub struct H1Client(http1::SendRequest<Body>);

/// The connection itself: a task drives it. It ends when the host closes it, or when its [`H1Client`] is gone.
pub struct H1Connection(http1::Connection<TokioIo<BoxIo>, Body>);

/// Speaks HTTP/1.1 on `io`. Nothing is written before the first request.
///
/// # Errors
///
/// None today: HTTP/1.1 has no handshake.
pub async fn handshake(io: BoxIo) -> Result<(H1Client, H1Connection), Error> {
    let (send, connection) = http1::Builder::new()
        .max_header_size(MAX_RESPONSE_HEADERS)
        .handshake(TokioIo::new(io))
        .await
        .map_err(upstream)?;
    Ok((H1Client(send), H1Connection(connection)))
}

impl H1Client {
    /// Whether a request can be sent now: the one before is complete in both directions and the host is still there.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    /// Whether the connection ended.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until a request can be sent; `false` when the connection ended instead.
    pub async fn ready(&mut self) -> bool {
        self.0.ready().await.is_ok()
    }

    /// Sends a request and waits for the response's head. Dropping the future, or later the response's body before its
    /// end, closes the connection.
    ///
    /// A request comes back in [`Failed`] when certainly nothing of it was written.
    pub fn exchange(
        &mut self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Failed>> + Send + use<> {
        // Combinators, not an async block, which would hold the request's place twice.
        match prepare(&mut request) {
            Ok(()) => self.0.try_send_request(request).map(outcome).left_future(),
            Err(error) => std::future::ready(Err(error.into())).right_future(),
        }
    }
}

#[expect(clippy::result_large_err, reason = "a failure gives the request back")]
fn outcome(sent: Result<Response<Incoming>, TrySendError<Request<Body>>>) -> Result<Response<Body>, Failed> {
    match sent {
        Ok(response) => {
            check(&response)?;
            Ok(response.map(|body| Body::h1(IncomingBody::new(body, upstream))))
        }
        Err(mut failed) => match failed.take_message() {
            Some(request) => {
                let error = Error::new(ErrorKind::UpstreamConnectionTermination)
                    .with_retry(Retry::NotProcessed)
                    .with_source(failed.into_error());
                Err(Failed { error, request: Some(request) })
            }
            None => Err(upstream(failed.into_error()).into()),
        },
    }
}

impl Future for H1Connection {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(upstream)
    }
}

/// Makes a request what goes on the wire of an HTTP/1.1 connection to a host.
fn prepare(request: &mut Request<Body>) -> Result<(), Error> {
    if request.method() == Method::CONNECT {
        return Err(Error::new(ErrorKind::DownstreamProtocol).with_detail("CONNECT is not supported"));
    }
    *request.version_mut() = Version::HTTP_11;
    let target = std::mem::take(request.uri_mut()).into_parts();
    set_host(request.headers_mut(), target.authority.as_ref())?;
    *request.uri_mut() = target.path_and_query.map_or_else(|| Uri::from_static("/"), Uri::from);
    join_cookies(request.headers_mut());
    // hyper leaves out the body of a GET or HEAD whose length it does not know.
    let unknown = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    if unknown && !request.headers().contains_key(header::CONTENT_LENGTH) {
        request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(())
}

/// The authority of the target stands above a `host` field (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1). Without
/// either, `host` is empty.
fn set_host(headers: &mut HeaderMap, authority: Option<&uri::Authority>) -> Result<(), Error> {
    let host = match authority {
        Some(authority) => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            HeaderValue::from_str(host).map_err(|error| {
                Error::new(ErrorKind::DownstreamProtocol)
                    .with_detail("the request has no usable authority")
                    .with_source(error)
            })?
        }
        None if headers.contains_key(header::HOST) => return Ok(()),
        None => HeaderValue::from_static(""),
    };
    headers.insert(header::HOST, host);
    Ok(())
}

/// HTTP/2 may split `cookie` into crumbs, HTTP/1.1 may not (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    if (crumbs.next(), crumbs.next()).1.is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // Values that were valid apart are valid together.
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Refuses what hyper lets through although readers differ over where such a response ends (RFC 9112, section 6.3).
fn check<B>(response: &Response<B>) -> Result<(), Error> {
    let headers = response.headers();
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let detail = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        "the host switched protocols without being asked to"
    } else if lengths.next().is_some() || length.is_some_and(|length| length.as_bytes().contains(&b',')) {
        "the host's response has more than one length"
    } else if coding.is_some() && length.is_some() {
        "the host's response has a length and a transfer coding"
    } else if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || codings.next().is_some()
    {
        "the host's response has a transfer coding that is not chunked"
    } else if response.status() == StatusCode::NO_CONTENT
        && (coding.is_some() || length.is_some_and(|length| length != "0"))
    {
        "the host's response without content has a length"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::UpstreamProtocol).with_detail(detail))
}

/// What an error on a connection to a host means.
fn upstream(error: hyper::Error) -> Error {
    let kind = if error.is_parse() {
        ErrorKind::UpstreamProtocol
    } else if error.is_user() {
        // The request's own body failed, and it knows why.
        let body = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>());
        body.map_or(ErrorKind::UpstreamConnectionTermination, Error::kind)
    } else {
        ErrorKind::UpstreamConnectionTermination
    };
    Error::new(kind).with_source(error)
}

impl fmt::Debug for H1Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1Client").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

impl fmt::Debug for H1Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1Connection").finish_non_exhaustive()
    }
}
