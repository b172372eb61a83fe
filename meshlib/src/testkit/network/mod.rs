//! Listeners and connections.

mod faults;
mod state;

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

use self::state::{Dialled, Place, State};
use super::{link::Link, pipe::Pipe, trace::Trace};
use crate::base::resources::{Accepted, Acceptor, BoxFuture, BoxIo, DetachedSocket, Network};

/// The node of a new network.
const FIRST_NODE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Connections in memory, between any addresses. Cloning shares the network; [`at`](Self::at) moves to another node.
///
/// Each node has a loopback of its own, and listens for itself on 0.0.0.0, so that one file can run on many nodes. The
/// first node, 127.0.0.1, is the exception: what listens there on 0.0.0.0 takes connections to any address.
///
/// Between nodes there are [`Link`]s, which may be slow; what goes wrong is scripted. Faults of an address are seen by
/// whoever connects to it, faults of nodes by everything between them:
///
/// | fault | new connections | open ones |
/// |---|---|---|
/// | [`refuse`](Self::refuse) | are refused | go on |
/// | [`black_hole`](Self::black_hole) | hang for ever | go on |
/// | [`cut`](Self::cut), [`cut_node`](Self::cut_node) | go on | are reset |
/// | [`half_open`](Self::half_open) | go on | carry nothing more, and nobody is told |
/// | [`partition`](Self::partition), [`isolate`](Self::isolate) | hang until it heals | carry nothing until it heals |
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
    node: IpAddr,
}

struct Shared {
    state: Mutex<State>,
    /// A partition healed.
    healed: Notify,
    trace: Trace,
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryNetwork {
    /// Nobody listens. Connections come from 127.0.0.1.
    pub fn new() -> Self {
        Self::traced(Trace::new())
    }

    /// The same, with its connections told to `trace`.
    pub fn traced(trace: Trace) -> Self {
        let shared = Shared { state: Mutex::default(), healed: Notify::new(), trace };
        Self { shared: Arc::new(shared), node: FIRST_NODE }
    }

    /// The same network as seen from the node with this address: connections come from there, and loopback addresses
    /// are that node's.
    #[must_use]
    pub fn at(&self, node: IpAddr) -> Self {
        Self { shared: self.shared.clone(), node }
    }

    /// How many connections to `address` are open now: made, and not closed by both ends.
    pub fn open_connections(&self, address: SocketAddr) -> usize {
        self.state().open(|place, _| *place == self.place(address)).count()
    }

    /// How many connections are open in the whole network.
    pub fn all_open_connections(&self) -> usize {
        self.state().open(|_, _| true).count()
    }

    /// How often somebody tried to connect to `address`, successfully or not.
    pub fn connects(&self, address: SocketAddr) -> u64 {
        self.state().connects(self.place(address))
    }

    /// Where `address` is, seen from this node.
    fn place(&self, address: SocketAddr) -> Place {
        let ip = address.ip();
        (if ip.is_loopback() || ip.is_unspecified() { self.node } else { ip }, address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who would accept, and from where the connection comes; waits while a partition lasts.
    async fn dial(&self, to: SocketAddr) -> io::Result<(mpsc::Sender<Accepted>, SocketAddr, Link)> {
        self.state().count_connect(self.place(to));
        loop {
            let healed = self.shared.healed.notified();
            let dialled = self.state().dial(self.node, self.place(to));
            match dialled {
                Dialled::Listener { listener, port, link } => {
                    return Ok((listener, SocketAddr::new(self.node, port), link));
                }
                Dialled::Refused(latency) => {
                    pass(latency * 2).await;
                    return Err(ErrorKind::ConnectionRefused.into());
                }
                Dialled::Partitioned => healed.await,
                Dialled::BlackHole => std::future::pending().await,
            }
        }
    }

    async fn make(&self, to: SocketAddr) -> io::Result<Pipe> {
        let (listener, from, link) = self.dial(to).await?;
        pass(link.latency).await;
        // Ends when there is room, or with the listener.
        let room = listener.reserve().await.map_err(|_| ErrorKind::ConnectionRefused)?;
        let (client, server) = Pipe::pair();
        let scissors = client.scissors();
        scissors.set_link(link);
        self.state().joined(self.node, self.place(to), scissors);
        room.send(Accepted { peer: from, local: to, socket: Box::new(Detached(server)) });
        pass(link.latency).await;
        Ok(client)
    }
}

/// Lets time pass, or nothing happen at all.
async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

impl Network for MemoryNetwork {
    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<BoxIo>> {
        let network = self.clone();
        Box::pin(async move {
            let made = network.make(to).await;
            network.shared.trace.note(|| match &made {
                Ok(_) => format!("{} connects to {to}", network.node),
                Err(error) => format!("{} cannot connect to {to}: {error}", network.node),
            });
            made.map(|client| Box::new(client) as BoxIo)
        })
    }

    fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        let (local, queue) = self.state().listen(self.place(at))?;
        Ok(Box::new(MemoryAcceptor { local, queue }))
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork").field("node", &self.node).field("state", &*self.state()).finish()
    }
}

/// Dropping it closes the port; what waited in its queue is reset.
struct MemoryAcceptor {
    local: SocketAddr,
    queue: mpsc::Receiver<Accepted>,
}

impl Acceptor for MemoryAcceptor {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        // The sender lives in the network as long as this receiver does.
        Poll::Ready(ready!(self.queue.poll_recv(cx)).ok_or_else(|| ErrorKind::NotConnected.into()))
    }

    fn shed(&mut self, _: &mut Context<'_>) -> usize {
        std::iter::from_fn(|| self.queue.try_recv().ok()).count()
    }
}

struct Detached(Pipe);

impl DetachedSocket for Detached {
    fn adopt(self: Box<Self>) -> io::Result<BoxIo> {
        Ok(Box::new(self.0))
    }
}
