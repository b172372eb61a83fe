//! One HTTP/1.1 connection from a client.
//!
//! hyper parses and frames; what a proxy needs beyond that is here: the times (first byte, request head, idle
//! connection, idle stream), the drain, one record for each request whatever becomes of it, answers to malformed
//! heads that come from the [`Handler`] like any other, and a close that lets the client read the last answer.
//!
//! What Envoy refuses is refused: HTTP/1.0 (426), upgrades (403), a missing, repeated or malformed `host`, a `transfer-encoding` other
//! than `chunked` (400), heads beyond the limits (431), heads that take too long (408). Request trailers are dropped,
//! as Envoy drops them unless told otherwise. A client that half-closes is gone.
//!
//! ```
//! use std::sync::Arc;
//! use http::{Request, Response, request};
//! use meshlib::base::{ConnectionInfo, Drain, Error, RequestInfo};
//! use meshlib::http::{Body, h1, handler::Handler, options::ServerOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn begin(&self, _: &Arc<ConnectionInfo>) -> RequestInfo {
//!         RequestInfo::detached()
//!     }
//!     async fn call(&self, _: Request<Body>, _: RequestInfo) -> Response<Body> {
//!         Response::new(Body::from("hello"))
//!     }
//!     fn refuse(&self, _: Option<&request::Parts>, error: Error, _: &RequestInfo) -> Response<Body> {
//!         Response::builder().status(error.status()).body(Body::empty()).unwrap_or_default()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (mut client, io) = tokio::io::duplex(1024);
//! let connection = Arc::new(ConnectionInfo::new(None, None));
//! tokio::spawn(async move { h1::server::serve(io, connection, Hello, &ServerOptions::default(), Drain::new()).await });
//! client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await.unwrap();
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"));
//! # }
//! ```

mod body;
mod drive;
mod exchange;
mod head;
mod io;
mod refuse;
mod state;
mod timers;

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::http1::{Builder, Parts},
    service::{Service, service_fn},
};
use hyper_util::rt::TokioIo;

pub(crate) use self::body::RequestBody;
use self::{
    body::ResponseBody,
    drive::{Drive, End},
    exchange::Exchange,
    io::Watched,
    state::State,
};
use crate::{
    base::{ConnectionInfo, Drain, resources::Io},
    http::{handler::Handler, leave::DELAYED_CLOSE, options::ServerOptions},
    net::io::close_gently,
};

/// The least that a connection may buffer in each direction, if it fills it again and again. hyper's own default is
/// 400 KiB, Envoy's limit a MiB. 100 MB up take 45 ms of CPU with 64 KiB, 35 with this.
const BUFFER: usize = 256 << 10;

/// hyper's count of header fields below which it needs no allocation for them.
const FIELDS_ON_THE_STACK: usize = 100;

/// Serves a connection until either side is done with it. Dropping the future cuts it: the requests under way are
/// cancelled and recorded as such.
pub async fn serve<T: Io, H: Handler>(
    io: T,
    connection: Arc<ConnectionInfo>,
    handler: H,
    options: &ServerOptions,
    drain: Drain,
) {
    let state = Arc::new(State::default());
    let service = service(handler.clone(), connection.clone(), state.clone());
    let io = TokioIo::new(Watched::new(io, state.clone()));
    let mut drive = Drive::new(&state, options, &drain);
    // In a box: a future keeps the room of what is moved through it, each time.
    let mut http = Box::new(builder(options).serve_connection(io, service));
    let (end, io) = loop {
        let end = drive.serve(&mut http).await;
        // What is left of a request that was cut goes first: its record must not wait for the socket to close.
        let Parts { io, read_buf, service, .. } = http.into_parts();
        let mut io = io.into_inner();
        if !matches!(end, End::Rest) {
            break (end, io);
        }
        // What is empty still holds hyper's buffer.
        let read = match Some(read_buf).filter(|read| !read.is_empty()) {
            Some(read) => Ok(read),
            None => drive.rest(&mut io).await,
        };
        match read {
            Ok(read) => {
                let io = TokioIo::new(io.rewound(read));
                *http = builder(options).serve_connection(io, service);
            }
            Err(end) => break (end, io),
        }
    };
    let mut io = io.into_inner();
    match end {
        End::Cut => return,
        End::Closed | End::Rest => {}
        End::Refused(kind) => refuse::refuse(&mut io, &handler, &connection, kind).await,
    }
    if !state.is_gone() {
        close_gently(io, DELAYED_CLOSE).await;
    }
}

fn builder(options: &ServerOptions) -> Builder {
    let head = usize::try_from(options.max_request_headers_bytes).unwrap_or(usize::MAX);
    let mut builder = Builder::new();
    builder
        // Ours ends with an answer, and leaves idle connections alone.
        .header_read_timeout(None)
        .max_header_size(head)
        .max_buf_size(head.saturating_add(4096).max(BUFFER));
    if options.max_request_headers_count != FIELDS_ON_THE_STACK {
        builder.max_headers(options.max_request_headers_count);
    }
    builder
}

/// hyper keeps one place for the future of a connection's request in flight, so this costs no allocation for each.
fn service<H: Handler>(
    handler: H,
    connection: Arc<ConnectionInfo>,
    state: Arc<State>,
) -> impl Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible, Future: Send> {
    service_fn(move |request: Request<Incoming>| {
        // At once, not when first polled: from here on what is written is this request's answer.
        let exchange = Exchange::begin(handler.begin(&connection), state.clone(), &request);
        let answer = exchange.answer(handler.clone(), request);
        async move { Ok(answer.await) }
    })
}

#[cfg(test)]
mod tests;
