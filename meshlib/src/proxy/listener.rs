//! A listener: one accept point, every worker serving.
//!
//! The accept loop hands detached sockets to the least loaded worker, so that a few long-lived gRPC connections spread
//! evenly and a second process on the same port fails with "address in use".

use std::{net::SocketAddr, sync::Arc};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    bind_error,
    connection_manager::HttpConnectionManager,
    port::Port,
    worker::{Load, Worker},
};
use crate::{
    base::{
        ConnectionInfo, Counter, Drain, DrainPhase, Error, Gauge, Resources, Stats,
        drain::DrainHold,
        resources::{Accepted, BoxIo, Random},
    },
    http::{cut, options::ServerOptions, serve::serve_connection},
    net::listen::{ConnectionLimit, ConnectionPermit, Listener as Accepting},
};
#[cfg(feature = "tls")]
use crate::{http::too_late, net::tls::TlsAcceptor};

/// A listener that is bound and does not accept yet.
pub(crate) struct Listener {
    accepting: Accepting,
    local_addr: SocketAddr,
    stats: ListenerStats,
}

/// What one worker does with a listener's connections.
#[derive(Clone)]
pub(crate) struct ConnectionStack {
    /// TLS, where the listener has it.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsAcceptor>,
    /// What answers the requests.
    pub(crate) manager: HttpConnectionManager,
    /// The limits of each connection.
    pub(crate) options: Arc<ServerOptions>,
    /// What the jitter of each connection's longest life is drawn from.
    pub(crate) random: Random,
}

/// `listener.<address>.`
#[derive(Clone, Debug)]
struct ListenerStats {
    downstream_cx_total: Counter,
    downstream_cx_destroy: Counter,
    downstream_cx_active: Gauge,
}

impl ListenerStats {
    fn new(stats: &Stats, prefix: &str) -> Self {
        Self {
            downstream_cx_total: stats.counter(format!("{prefix}downstream_cx_total")),
            downstream_cx_destroy: stats.counter(format!("{prefix}downstream_cx_destroy")),
            downstream_cx_active: stats.gauge(format!("{prefix}downstream_cx_active")),
        }
    }
}

/// `listener.0.0.0.0_443.`, as Envoy writes addresses in stats: colons become underscores.
pub(crate) fn stat_prefix(address: SocketAddr) -> String {
    format!("listener.{}.", address.to_string().replace(':', "_"))
}

impl Listener {
    /// Binds `address`; its stats begin with `stat_prefix`. The port is closed with the listener, or with what comes
    /// beside it, whichever goes first.
    pub(crate) fn bind(
        address: SocketAddr,
        stat_prefix: &str,
        limit: ConnectionLimit,
        resources: &Resources,
    ) -> Result<(Self, Port), Error> {
        let acceptor = resources.network().bind(address).map_err(|error| bind_error::explain(address, &error))?;
        let (port, acceptor) = Port::new(acceptor);
        let accepting = Accepting::new(acceptor, limit);
        let local_addr = accepting.local_addr().map_err(|error| bind_error::explain(address, &error))?;
        Ok((Self { accepting, local_addr, stats: ListenerStats::new(resources.stats(), stat_prefix) }, port))
    }

    /// Where it listens; the real port where 0 was asked for.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts until the drain tells connections to go. Each worker serves what it is handed with its own stack.
    pub(crate) fn start(self, workers: &[(Worker, ConnectionStack)], drain: &Drain, tasks: &mut JoinSet<()>) {
        let mut queues = Vec::with_capacity(workers.len());
        for (worker, stack) in workers {
            // Not bounded here: the connection limit bounds what can be in it.
            let (queue, handed_over) = mpsc::unbounded_channel();
            worker.spawn(tasks, serve(handed_over, stack.clone(), drain.clone(), self.stats.clone()));
            queues.push((worker.clone(), queue));
        }
        // A drain is not over while its port is open: who waits for the end may bind it again.
        let (drain, hold) = (drain.clone(), drain.hold());
        let accept = async move {
            let stop = drain.reached(DrainPhase::Draining);
            self.accepting.run(stop, |accepted, permit| hand_over(&queues, accepted, permit, &drain)).await;
            drop(hold);
        };
        tasks.spawn(accept);
    }
}

/// A connection on its way to a worker.
struct Handed {
    accepted: Accepted,
    _permit: ConnectionPermit,
    _load: Load,
    /// From here on, not from its worker's next turn: a drain that ends waits for handshakes too.
    _hold: DrainHold,
}

fn hand_over(
    queues: &[(Worker, mpsc::UnboundedSender<Handed>)],
    accepted: Accepted,
    permit: ConnectionPermit,
    drain: &Drain,
) {
    let least = queues.iter().min_by_key(|(worker, _)| worker.connections());
    if let Some((worker, queue)) = least {
        // A worker that is gone drops the connection, as it dropped all of its own.
        let _ = queue.send(Handed { accepted, _permit: permit, _load: worker.load(), _hold: drain.hold() });
    }
}

/// Serves what is handed over, until there is nothing more to come and nothing left.
async fn serve(
    mut handed_over: mpsc::UnboundedReceiver<Handed>,
    stack: ConnectionStack,
    drain: Drain,
    stats: ListenerStats,
) {
    let mut connections = JoinSet::new();
    loop {
        // In this order, not at random: a run under a paused clock repeats itself.
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            handed = handed_over.recv() => match handed {
                Some(handed) => {
                    connections.spawn(serve_one(handed, stack.clone(), drain.clone(), stats.clone()));
                }
                None => break,
            },
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve_one(handed: Handed, stack: ConnectionStack, drain: Drain, stats: ListenerStats) {
    stats.downstream_cx_total.increment();
    let _active = stats.downstream_cx_active.enter();
    let connection = ConnectionInfo::new(Some(handed.accepted.peer), Some(handed.accepted.local));
    let served = async {
        match handed.accepted.socket.adopt() {
            Ok(io) => stack.serve(io, connection, drain.clone()).await,
            Err(error) => tracing::warn!(%error, "an accepted socket cannot be served"),
        }
    };
    tokio::select! {
        biased;
        () = served => {}
        () = cut(&drain) => {}
    }
    stats.downstream_cx_destroy.increment();
}

impl ConnectionStack {
    async fn serve(self, io: BoxIo, connection: ConnectionInfo, drain: Drain) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let accepted = tokio::select! {
                biased;
                // The acceptor counts its own failures.
                // In a box, whose room is free once it is done.
                accepted = Box::pin(tls.accept(io)) => accepted.ok(),
                () = too_late(&drain) => None,
            };
            if let Some((io, info)) = accepted {
                self.serve_http(Box::new(io), connection.with_tls(info), drain).await;
            }
            return;
        }
        self.serve_http(io, connection, drain).await;
    }

    async fn serve_http(self, io: BoxIo, connection: ConnectionInfo, drain: Drain) {
        let _open = self.manager.open(&connection);
        let options = self.options.for_connection(&self.random);
        serve_connection(io, Arc::new(connection), self.manager, options, drain).await;
    }
}
