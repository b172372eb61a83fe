//! A downstream HTTP/2 connection.
//!
//! One task polls the connection; each stream is a task of its own on the same worker. The drain, and the connection's own age, are followed here:
//! GOAWAY twice (RFC 9113, section 6.8), then the end of the streams; a client that never answers the PING between the
//! two GOAWAYs cannot hold the connection, nor can anything beyond [`DrainPhase::Stopped`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::sync::Arc;
//! use http::{Request, Response, request};
//! use meshlib::base::{ConnectionInfo, Drain, DrainPhase, Error, RequestInfo};
//! use meshlib::http::{Body, h2, handler::Handler, options::ServerOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! #[derive(Clone)]
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn begin(&self, _: &Arc<ConnectionInfo>, _: bool) -> RequestInfo {
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
//! let (mut client, io) = tokio::io::duplex(1024);
//! let (connection, drain) = (Arc::new(ConnectionInfo::new(None, None)), Drain::new());
//! let served = drain.clone();
//! tokio::spawn(async move { h2::server::serve(io, connection, Hello, &ServerOptions::default(), served).await });
//!
//! client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap(); // and empty SETTINGS
//! drain.enter(DrainPhase::Draining);
//! let mut frames = Vec::new();
//! client.read_to_end(&mut frames).await.unwrap(); // its SETTINGS, the GOAWAYs, the end
//! assert_eq!(frames[3], 4);
//! # }
//! ```

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, server::Connection};

use super::{
    io::{Adapter, Flush, adapt},
    limits::HeadLimits,
    meter::Role,
    seen::Seen,
    stream::Streams,
};
use crate::{
    base::{
        ConnectionInfo, Drain, DrainPhase,
        resources::Io,
        time::{Deadline, IdleTimer},
    },
    http::{
        handler::Handler,
        leave::{DELAYED_CLOSE, GRACE, Phases, too_late},
        options::ServerOptions,
    },
};

/// Bytes that a stream may hold in memory beyond the client's window.
const SEND_BUFFER: usize = 64 << 10;
/// Streams that a client may give up before they were looked at, all in one turn. The meter limits how often.
const PENDING_RESETS: usize = 1000;
/// Streams that we reset and whose late frames are ignored in silence.
const REMEMBERED_RESETS: usize = 256;

/// Serves `io` until the client, the drain or idleness ends it.
pub async fn serve<T: Io, H: Handler>(
    io: T,
    connection: Arc<ConnectionInfo>,
    handler: H,
    options: &ServerOptions,
    drain: Drain,
) {
    let limits = HeadLimits::new(options.max_request_headers_bytes, options.max_request_headers_count);
    let (adapter, flush, seen) = adapt(io, Role::Server, limits);
    let Some(h2) = Box::pin(begin(adapter, &flush, options, &limits, &drain)).await else { return };
    let streams = Streams {
        handler,
        connection,
        seen: seen.clone(),
        idle_timeout: options.stream_idle_timeout,
        _hold: drain.hold(),
    };
    let mut driver = Driver {
        h2,
        flush,
        seen,
        streams: Arc::new(streams),
        idle: enabled(options.idle_timeout).map(IdleTimer::new),
        head_timeout: enabled(options.request_headers_timeout),
        head: None,
        busy: false,
        begun: false,
        shutdown: Shutdown::Serving,
        phases: Phases::new(&drain, options),
        drain_timeout: options.drain_timeout,
    };
    std::future::poll_fn(|cx| driver.poll(cx)).await;
    let flush = driver.end();
    flush.close(DELAYED_CLOSE).await;
}

/// The connection after its preface; `None` when that does not come, or not in time.
async fn begin<T: Io>(
    adapter: Adapter<T>,
    flush: &Flush<T>,
    options: &ServerOptions,
    limits: &HeadLimits,
    drain: &Drain,
) -> Option<Connection<Adapter<T>, Bytes>> {
    let mut handshake = std::pin::pin!(builder(options, limits).handshake(adapter));
    let handshake = std::future::poll_fn(|cx| {
        let handshake = handshake.as_mut().poll(cx);
        // An error of the socket shows in the handshake as well.
        let _ = flush.poll(cx);
        handshake
    });
    tokio::select! {
        biased;
        begun = in_time(options.first_timeout(), handshake) => begun?.ok(),
        () = too_late(drain) => None,
    }
}

/// Zero disables a time.
fn enabled(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

async fn in_time<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

fn builder(options: &ServerOptions, limits: &HeadLimits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(options.http2.initial_stream_window_size)
        .initial_connection_window_size(options.http2.initial_connection_window_size)
        .max_concurrent_streams(options.http2.max_concurrent_streams)
        .max_header_list_size(limits.decoded())
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        // h2's own limits count over a connection's whole life; the meter's decay.
        .max_local_error_reset_streams(None)
        // Small frames are joined instead.
        .data_frame_budget(usize::MAX);
    builder
}

enum Shutdown {
    Serving,
    /// The drain has begun. The client is told once its first stream is there, or when it had the time for it: GOAWAY
    /// before would refuse what it has not sent yet.
    Late(Deadline),
    /// The first GOAWAY and the PING are out; the client has until the deadline to answer.
    Graceful(Deadline),
    /// The connection closes whatever the client does: at the deadline even if it reads nothing.
    Abrupt(Deadline),
}

struct Driver<T: Io, H> {
    h2: Connection<Adapter<T>, Bytes>,
    flush: Flush<T>,
    seen: Arc<Seen>,
    streams: Arc<Streams<H>>,
    idle: Option<IdleTimer>,
    head_timeout: Option<Duration>,
    /// The header block under way, and when it has to be complete.
    head: Option<(u32, Deadline)>,
    busy: bool,
    /// There was a stream.
    begun: bool,
    shutdown: Shutdown,
    phases: Phases,
    /// How long a client without streams may take to answer the PING of a graceful shutdown.
    drain_timeout: Duration,
}

impl<T: Io, H: Handler> Driver<T, H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_phases(cx);
        while let Poll::Ready(accepted) = self.h2.poll_accept(cx) {
            let Some(Ok((request, respond))) = accepted else { return Poll::Ready(()) };
            // Boxed first: tokio moves a task's future several times, and this one has 1.6 KB.
            tokio::spawn(Box::pin(self.streams.clone().run(request, respond)));
            self.begun = true;
        }
        if self.seen.flooded() {
            self.abrupt(Reason::ENHANCE_YOUR_CALM, cx);
        }
        self.poll_head(cx);
        self.poll_idle(cx);
        self.seen.tidy();
        // Everything written in this turn leaves now. An error shows at the next read.
        let _ = self.flush.poll(cx);
        self.poll_shutdown(cx)
    }

    /// The connection and its streams are over; what is left to do is to close the socket.
    fn end(self) -> Flush<T> {
        self.flush
    }

    fn poll_phases(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(phase) = self.phases.poll_next(cx) {
            match phase {
                DrainPhase::Stopped => self.abrupt(Reason::NO_ERROR, cx),
                _ if self.begun => self.graceful(),
                _ if matches!(self.shutdown, Shutdown::Serving) => {
                    self.shutdown = Shutdown::Late(Deadline::after(GRACE));
                }
                _ => {}
            }
        }
    }

    /// After the streams have been looked at, whose ends nobody else tells us.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.shutdown {
            Shutdown::Serving => Poll::Pending,
            Shutdown::Late(grace) => {
                if self.begun || Pin::new(grace).poll(cx).is_ready() {
                    self.graceful();
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Shutdown::Graceful(deadline) => {
                if Pin::new(deadline).poll(cx).is_ready() && !self.h2.has_streams() {
                    self.abrupt(Reason::NO_ERROR, cx);
                }
                Poll::Pending
            }
            Shutdown::Abrupt(deadline) => Pin::new(deadline).poll(cx),
        }
    }

    /// While a header block is under way nothing else can come, for any stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) {
        let (Some(timeout), Some(number)) = (self.head_timeout, self.seen.reading_head()) else {
            self.head = None;
            return;
        };
        self.head = self.head.take().filter(|(head, _)| *head == number);
        let (_, deadline) = self.head.get_or_insert_with(|| (number, Deadline::after(timeout)));
        if Pin::new(deadline).poll(cx).is_ready() {
            self.abrupt(Reason::NO_ERROR, cx);
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) {
        let Some(idle) = &mut self.idle else { return };
        let busy = self.h2.has_streams();
        if busy || self.busy {
            idle.touch();
        }
        self.busy = busy;
        if !matches!(self.shutdown, Shutdown::Serving) {
            return;
        }
        while idle.poll_idle(cx).is_ready() {
            if !busy {
                self.graceful();
                cx.waker().wake_by_ref();
                return;
            }
            idle.touch();
        }
    }

    fn graceful(&mut self) {
        if matches!(self.shutdown, Shutdown::Serving | Shutdown::Late(_)) {
            self.h2.graceful_shutdown();
            self.shutdown = Shutdown::Graceful(Deadline::after(self.drain_timeout));
        }
    }

    fn abrupt(&mut self, reason: Reason, cx: &mut Context<'_>) {
        if !matches!(self.shutdown, Shutdown::Abrupt(_)) {
            self.h2.abrupt_shutdown(reason);
            self.shutdown = Shutdown::Abrupt(Deadline::after(DELAYED_CLOSE));
            cx.waker().wake_by_ref();
        }
    }
}
