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
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    connection::Connection, handle::StreamRef, limits::HeadLimits, read::FLOODED, reason::Reason, role::Role,
    state::Shared, stream::Streams,
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

/// Serves `io` until the client, the drain or idleness ends it.
pub async fn serve<T: Io, H: Handler>(
    io: T,
    connection: Arc<ConnectionInfo>,
    handler: H,
    options: &ServerOptions,
    drain: Drain,
) {
    let limits = HeadLimits::new(options.max_request_headers_bytes, options.max_request_headers_count);
    let shared = Shared::new(Role::Server, &options.http2, limits);
    let mut h2 = Connection::new(io, Role::Server, shared);
    if !begin(&mut h2, options, &drain).await {
        return;
    }
    let (idle_timeout, _hold) = (options.stream_idle_timeout, drain.hold());
    let mut driver = Driver {
        h2,
        streams: Arc::new(Streams { handler, connection, idle_timeout, _hold }),
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
    let Driver { h2, .. } = driver;
    h2.close(DELAYED_CLOSE).await;
}

/// Waits for the client's preface: whether it came, and in time.
async fn begin<T: Io>(h2: &mut Connection<T>, options: &ServerOptions, drain: &Drain) -> bool {
    let preface = std::future::poll_fn(|cx| {
        let ended = h2.poll_read(cx).is_ready();
        // An error of the socket shows in the next read as well.
        let _ = h2.poll_flush(cx);
        match h2.has_preface() {
            true => Poll::Ready(true),
            false if ended => Poll::Ready(false),
            false => Poll::Pending,
        }
    });
    tokio::select! {
        biased;
        begun = in_time(options.first_timeout(), preface) => begun == Some(true),
        () = too_late(drain) => false,
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

const STOPPED: &str = "the server stops";

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
    h2: Connection<T>,
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
        let ended = self.h2.poll_read(cx).is_ready();
        self.accept();
        if self.h2.shared().lock().is_flooded() {
            self.abrupt(Reason::ENHANCE_YOUR_CALM, FLOODED);
        }
        self.poll_head(cx);
        self.poll_idle(cx);
        // Looked at before the last flush: what the last stream has said is written then.
        let is_over = ended || self.h2.shared().lock().is_done();
        // Everything written in this turn leaves now. An error shows as an end.
        let flushed = self.h2.poll_flush(cx);
        if is_over {
            ready!(self.poll_end(flushed, cx));
            return Poll::Ready(());
        }
        self.poll_shutdown(cx)
    }

    /// Each stream is a task. Not under the lock: on a runtime that has ended, what is spawned is dropped at once.
    fn accept(&mut self) {
        loop {
            let accepted = self.h2.shared().lock().accept();
            let Some((head, key, id)) = accepted else { return };
            let stream = StreamRef::adopt(self.h2.shared().clone(), key, id);
            // Boxed first: tokio moves a task's future several times, and this one has 1.6 KB.
            tokio::spawn(Box::pin(self.streams.clone().run(head, stream)));
            self.begun = true;
        }
    }

    /// Nothing more will come, and nothing more is to be said but what was collected: a client that reads nothing does
    /// not keep it for long.
    fn poll_end(&mut self, flushed: Poll<io::Result<()>>, cx: &mut Context<'_>) -> Poll<()> {
        if flushed.is_ready() {
            return Poll::Ready(());
        }
        if !matches!(self.shutdown, Shutdown::Abrupt(_)) {
            self.shutdown = Shutdown::Abrupt(Deadline::after(DELAYED_CLOSE));
        }
        self.poll_shutdown(cx)
    }

    fn poll_phases(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(phase) = self.phases.poll_next(cx) {
            match phase {
                DrainPhase::Stopped => self.abrupt(Reason::NO_ERROR, STOPPED),
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
                if Pin::new(deadline).poll(cx).is_ready() && !self.h2.shared().lock().has_streams() {
                    self.abrupt(Reason::NO_ERROR, STOPPED);
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Shutdown::Abrupt(deadline) => Pin::new(deadline).poll(cx),
        }
    }

    /// While a header block is under way nothing else can come, for any stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) {
        let (Some(timeout), Some(number)) = (self.head_timeout, self.h2.block_under_way()) else {
            self.head = None;
            return;
        };
        self.head = self.head.take().filter(|(head, _)| *head == number);
        let (_, deadline) = self.head.get_or_insert_with(|| (number, Deadline::after(timeout)));
        if Pin::new(deadline).poll(cx).is_ready() {
            self.abrupt(Reason::NO_ERROR, "a head that was not completed in time");
        }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) {
        let Some(idle) = &mut self.idle else { return };
        let busy = self.h2.shared().lock().has_streams();
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
            self.h2.shared().lock().announce_goaway();
            self.shutdown = Shutdown::Graceful(Deadline::after(self.drain_timeout));
        }
    }

    fn abrupt(&mut self, reason: Reason, why: &'static str) {
        if !matches!(self.shutdown, Shutdown::Abrupt(_)) {
            self.h2.go_away(reason, why);
            self.shutdown = Shutdown::Abrupt(Deadline::after(DELAYED_CLOSE));
        }
    }
}
