//! A server that runs: its accept loop, its connections, its end.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    base::{
        ConnectionInfo, Drain, DrainPhase, DrainTimes,
        drain::DrainHold,
        resources::{Accepted, BoxIo, Random},
    },
    http::{cut, handler::Handler, options::ServerOptions, serve::serve_connection},
    net::listen::{ConnectionPermit, Listener},
};
#[cfg(feature = "tls")]
use crate::{http::too_late, net::tls::TlsAcceptor};

/// What each connection is served with.
#[derive(Clone)]
pub(super) struct Stack<H> {
    pub(super) app: H,
    pub(super) options: Arc<ServerOptions>,
    pub(super) random: Random,
    pub(super) drain: Drain,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsAcceptor>,
}

/// A server that runs. It ends with its [`Drain`]; dropping it closes the port and cuts every connection.
#[derive(Debug)]
#[must_use = "dropping it closes the port and cuts every connection"]
pub struct Serving {
    local_addr: SocketAddr,
    drain: Drain,
    runtime: Handle,
    tasks: Mutex<JoinSet<()>>,
}

impl Serving {
    pub(super) fn start<H: Handler>(listener: Listener, stack: Stack<H>) -> io::Result<Self> {
        let (local_addr, drain) = (listener.local_addr()?, stack.drain.clone());
        // Not bounded here: the connection limit bounds what can be in it.
        let (queue, accepted) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(accepted, stack));
        let draining = drain.clone();
        tasks.spawn(async move {
            let stop = draining.reached(DrainPhase::Draining);
            // Held from here on: handshakes are waited for too. Nobody to serve it is left only when all of this is
            // being dropped.
            let take =
                |accepted, permit| drop(queue.send((accepted, Place { _permit: permit, _hold: draining.hold() })));
            listener.run(stop, take).await;
        });
        Ok(Self { local_addr, drain, runtime: Handle::current(), tasks: Mutex::new(tasks) })
    }

    /// Where it listens; the real port where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Begins to drain all that follows the same [`Drain`]: health checks fail at once, accepting goes on for a while,
    /// then the port closes and clients are told to go, at last what is left is cut. A second call changes nothing.
    /// From any thread.
    pub fn drain(&self, times: DrainTimes) {
        let _entered = self.runtime.enter();
        self.drain.start(times);
    }

    /// Stops now all that follows the same [`Drain`]: what is still open is cut.
    pub fn stop(&self) {
        self.drain.enter(DrainPhase::Stopped);
    }

    /// Waits until the drain has closed the port and the last connection has ended, or was cut.
    pub async fn finished(&self) {
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }
}

/// What a connection occupies from when it is accepted: its permit, and the drain's end.
struct Place {
    _permit: ConnectionPermit,
    _hold: DrainHold,
}

/// Serves what is accepted, until there is nothing more to come and nothing left.
async fn serve<H: Handler>(mut accepted: mpsc::UnboundedReceiver<(Accepted, Place)>, stack: Stack<H>) {
    let mut connections = JoinSet::new();
    loop {
        // In this order, not at random: a run under a paused clock repeats itself.
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            next = accepted.recv() => match next {
                Some((accepted, place)) => drop(connections.spawn(stack.clone().serve(accepted, place))),
                None => break,
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

impl<H: Handler> Stack<H> {
    async fn serve(self, accepted: Accepted, _place: Place) {
        let drain = self.drain.clone();
        let connection = ConnectionInfo::new(Some(accepted.peer), Some(accepted.local));
        let served = async {
            match accepted.socket.adopt() {
                Ok(io) => self.serve_io(io, connection).await,
                Err(error) => tracing::warn!(%error, "an accepted socket cannot be served"),
            }
        };
        tokio::select! {
            biased;
            () = served => {}
            () = cut(&drain) => {}
        }
    }

    async fn serve_io(self, io: BoxIo, connection: ConnectionInfo) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let accepted = tokio::select! {
                biased;
                // The acceptor counts its own failures.
                accepted = tls.accept(io) => accepted.ok(),
                () = too_late(&self.drain) => None,
            };
            if let Some((io, info)) = accepted {
                self.serve_http(Box::new(io), connection.with_tls(info)).await;
            }
            return;
        }
        self.serve_http(io, connection).await;
    }

    async fn serve_http(self, io: BoxIo, connection: ConnectionInfo) {
        let options = self.options.for_connection(&self.random);
        serve_connection(io, Arc::new(connection), self.app, options, self.drain).await;
    }
}
