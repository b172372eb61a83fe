//! A downstream HTTP/2 connection.
//!
//! One task polls the connection; each stream is a task of its own on the same worker. The drain is followed here:
//! GOAWAY twice (RFC 9113, section 6.8), then the end of the streams; a client that never answers the PING between the
//! two GOAWAYs cannot hold the connection, nor can anything beyond [`DrainPhase::Stopped`].

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
    meter::Seen,
    stream::Streams,
};
use crate::{
    base::{
        ConnectionInfo, Drain, DrainPhase,
        resources::Io,
        time::{Deadline, IdleTimer},
    },
    http::{handler::Handler, options::ServerOptions, serve::GRACE},
};

/// The length of the client preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// How long a client may take to answer the PING of a graceful shutdown, Envoy's `drain_timeout`.
const SHUTDOWN_PING: Duration = Duration::from_secs(5);
/// Bytes that a stream may hold in memory beyond the client's window.
const SEND_BUFFER: usize = 64 << 10;

/// Serves `io` until the client, the drain or idleness ends it.
pub async fn serve<T: Io, H: Handler>(
    io: T,
    connection: Arc<ConnectionInfo>,
    handler: H,
    options: &ServerOptions,
    drain: Drain,
) {
    let (adapter, flush, seen) = adapt(io, PREFACE);
    let mut handshake = std::pin::pin!(builder(options).handshake::<_, Bytes>(adapter));
    let handshake = std::future::poll_fn(|cx| {
        let handshake = handshake.as_mut().poll(cx);
        // An error of the socket shows in the handshake as well.
        let _ = flush.poll(cx);
        handshake
    });
    let Ok(Ok(h2)) = tokio::time::timeout(options.request_headers_timeout, handshake).await else { return };
    let streams = Streams {
        handler,
        connection,
        max_headers: options.max_request_headers_count,
        idle_timeout: options.stream_idle_timeout,
    };
    let mut driver = Driver {
        h2,
        flush,
        seen,
        streams: Arc::new(streams),
        idle: (!options.idle_timeout.is_zero()).then(|| IdleTimer::new(options.idle_timeout)),
        busy: false,
        begun: false,
        shutdown: Shutdown::Serving,
        draining: reached(&drain, DrainPhase::Draining),
        stopped: reached(&drain, DrainPhase::Stopped),
    };
    std::future::poll_fn(|cx| driver.poll(cx)).await;
}

fn builder(options: &ServerOptions) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(options.http2.initial_stream_window_size)
        .initial_connection_window_size(options.http2.initial_connection_window_size)
        .max_concurrent_streams(options.http2.max_concurrent_streams)
        .max_header_list_size(options.max_request_headers_bytes)
        .max_send_buffer_size(SEND_BUFFER)
        // h2's own limits count over a connection's whole life; the meter's decay.
        .max_local_error_reset_streams(None)
        .data_frame_budget(options.http2.initial_connection_window_size as usize);
    builder
}

type Reached = Pin<Box<dyn Future<Output = ()> + Send>>;

fn reached(drain: &Drain, phase: DrainPhase) -> Reached {
    let drain = drain.clone();
    Box::pin(async move { drain.reached(phase).await })
}

enum Shutdown {
    Serving,
    /// The drain has begun. The client is told once its first stream is there, or when it had the time for it: GOAWAY
    /// before would refuse what it has not sent yet.
    Late(Deadline),
    /// The first GOAWAY and the PING are out; the client has until the deadline to answer.
    Graceful(Deadline),
    /// The connection closes whatever the client does.
    Abrupt,
}

struct Driver<T: Io, H> {
    h2: Connection<Adapter<T>, Bytes>,
    flush: Flush<T>,
    seen: Arc<Seen>,
    streams: Arc<Streams<H>>,
    idle: Option<IdleTimer>,
    busy: bool,
    /// There was a stream.
    begun: bool,
    shutdown: Shutdown,
    draining: Reached,
    stopped: Reached,
}

impl<T: Io, H: Handler> Driver<T, H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_shutdown(cx);
        while let Poll::Ready(accepted) = self.h2.poll_accept(cx) {
            let Some(Ok((request, respond))) = accepted else { return Poll::Ready(()) };
            tokio::spawn(self.streams.clone().run(request, respond));
            if !std::mem::replace(&mut self.begun, true) && matches!(self.shutdown, Shutdown::Late(_)) {
                cx.waker().wake_by_ref();
            }
        }
        if self.seen.flooded() && !matches!(self.shutdown, Shutdown::Abrupt) {
            self.abrupt(Reason::ENHANCE_YOUR_CALM, cx);
        }
        self.poll_idle(cx);
        self.poll_unanswered(cx);
        // Everything written in this turn leaves now. An error shows at the next read.
        let _ = self.flush.poll(cx);
        Poll::Pending
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) {
        if matches!(self.shutdown, Shutdown::Serving) && self.draining.as_mut().poll(cx).is_ready() {
            self.shutdown = Shutdown::Late(Deadline::after(GRACE));
        }
        if let Shutdown::Late(grace) = &mut self.shutdown
            && (self.begun || Pin::new(grace).poll(cx).is_ready())
        {
            self.graceful();
        }
        let leaving = matches!(self.shutdown, Shutdown::Late(_) | Shutdown::Graceful(_));
        if leaving && self.stopped.as_mut().poll(cx).is_ready() {
            self.abrupt(Reason::NO_ERROR, cx);
        }
    }

    /// After the streams had their turn: the end of the last one wakes nobody later.
    fn poll_unanswered(&mut self, cx: &mut Context<'_>) {
        if let Shutdown::Graceful(deadline) = &mut self.shutdown
            && Pin::new(deadline).poll(cx).is_ready()
            && !self.h2.has_streams()
        {
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
        self.h2.graceful_shutdown();
        self.shutdown = Shutdown::Graceful(Deadline::after(SHUTDOWN_PING));
    }

    fn abrupt(&mut self, reason: Reason, cx: &mut Context<'_>) {
        self.h2.abrupt_shutdown(reason);
        self.shutdown = Shutdown::Abrupt;
        cx.waker().wake_by_ref();
    }
}
