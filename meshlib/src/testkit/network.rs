//! Listeners and connections.

use std::{
    collections::HashMap,
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::sync::mpsc;

use super::pipe::{Pipe, Scissors};
use crate::base::resources::{Accepted, Acceptor, BoxFuture, BoxIo, DetachedSocket, Network};

/// How many connections wait to be accepted; one more stays in its connect.
const BACKLOG: usize = 4096;

/// The first port that is given out where 0 is asked for, as IANA has it.
const FIRST_PORT: u16 = 49_152;

/// The node of a new network.
const FIRST_NODE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Connections in memory, between any addresses. Cloning shares the network; [`at`](Self::at) moves to another node.
///
/// Each node has a loopback of its own, and listens for itself on 0.0.0.0, so that one file can run on many nodes. The
/// first node, 127.0.0.1, is the exception: what listens there on 0.0.0.0 takes connections to any address.
#[derive(Clone)]
pub struct MemoryNetwork {
    shared: Arc<Mutex<State>>,
    node: IpAddr,
}

/// An address, and the node it belongs to: 127.0.0.1 is another place on each node.
type Place = (IpAddr, SocketAddr);

#[derive(Default)]
struct State {
    listeners: HashMap<Place, mpsc::Sender<Accepted>>,
    faults: HashMap<Place, Fault>,
    connections: HashMap<Place, Vec<Scissors>>,
    connects: HashMap<Place, u64>,
    last_port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Refuses,
    BlackHole,
}

impl Default for MemoryNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryNetwork {
    /// Nobody listens. Connections come from 127.0.0.1.
    pub fn new() -> Self {
        Self { shared: Arc::default(), node: FIRST_NODE }
    }

    /// The same network as seen from the node with this address: connections come from there, and loopback addresses
    /// are that node's.
    #[must_use]
    pub fn at(&self, node: IpAddr) -> Self {
        Self { shared: self.shared.clone(), node }
    }

    /// Connections to `address` are refused, though somebody may listen there.
    pub fn refuse(&self, address: SocketAddr) {
        self.state().faults.insert(self.place(address), Fault::Refuses);
    }

    /// Connections to `address` are neither accepted nor refused, ever.
    pub fn black_hole(&self, address: SocketAddr) {
        self.state().faults.insert(self.place(address), Fault::BlackHole);
    }

    /// Connections to `address` are made again.
    pub fn restore(&self, address: SocketAddr) {
        self.state().faults.remove(&self.place(address));
    }

    /// Resets every open connection that was made to `address`; says how many there were.
    pub fn cut(&self, address: SocketAddr) -> usize {
        let open = self.state().connections.remove(&self.place(address)).unwrap_or_default();
        let open = open.iter().filter(|connection| connection.is_open());
        open.map(Scissors::cut).count()
    }

    /// How many connections to `address` are open now: made, and not closed by both ends.
    pub fn open_connections(&self, address: SocketAddr) -> usize {
        let state = self.state();
        let all = state.connections.get(&self.place(address)).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|connection| connection.is_open()).count()
    }

    /// How often somebody tried to connect to `address`, successfully or not.
    pub fn connects(&self, address: SocketAddr) -> u64 {
        self.state().connects.get(&self.place(address)).copied().unwrap_or(0)
    }

    /// Where `address` is, seen from this node.
    fn place(&self, address: SocketAddr) -> Place {
        let ip = address.ip();
        (if ip.is_loopback() || ip.is_unspecified() { self.node } else { ip }, address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who would accept, and both ends of the connection if it comes about.
    fn dial(&self, to: SocketAddr) -> io::Result<Option<(mpsc::Sender<Accepted>, SocketAddr)>> {
        let mut state = self.state();
        let place = self.place(to);
        *state.connects.entry(place).or_default() += 1;
        match state.faults.get(&place) {
            Some(Fault::BlackHole) => return Ok(None),
            Some(Fault::Refuses) => return Err(ErrorKind::ConnectionRefused.into()),
            None => {}
        }
        let listener = state.listener(place).ok_or(ErrorKind::ConnectionRefused)?;
        let port = state.next_port();
        Ok(Some((listener, SocketAddr::new(self.node, port))))
    }

    /// Joins both ends, and remembers the connection so that it can be cut.
    fn join(&self, to: SocketAddr) -> (Pipe, Pipe) {
        let (client, server) = Pipe::pair();
        let mut state = self.state();
        let connections = state.connections.entry(self.place(to)).or_default();
        connections.retain(Scissors::is_open);
        connections.push(client.scissors());
        (client, server)
    }
}

impl State {
    /// The listener on just this address, or on all of its node's, or on all.
    fn listener(&self, (node, to): Place) -> Option<mpsc::Sender<Accepted>> {
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let any = SocketAddr::new(any, to.port());
        let places = [(node, to), (node, any), (FIRST_NODE, any)];
        let listener = places.iter().find_map(|place| self.listeners.get(place))?;
        (!listener.is_closed()).then(|| listener.clone())
    }

    fn next_port(&mut self) -> u16 {
        let next = self.last_port.and_then(|port| port.checked_add(1)).unwrap_or(FIRST_PORT);
        self.last_port = Some(next);
        next
    }

    fn listen(&mut self, (node, mut at): Place) -> io::Result<(SocketAddr, mpsc::Receiver<Accepted>)> {
        self.listeners.retain(|_, listener| !listener.is_closed());
        if at.port() == 0 {
            let free = (FIRST_PORT..=u16::MAX).find_map(|_| {
                let candidate = SocketAddr::new(at.ip(), self.next_port());
                (!self.listeners.contains_key(&(node, candidate))).then_some(candidate)
            });
            at = free.ok_or(ErrorKind::AddrInUse)?;
        }
        if self.listeners.contains_key(&(node, at)) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        self.listeners.insert((node, at), sender);
        Ok((at, receiver))
    }
}

impl Network for MemoryNetwork {
    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<BoxIo>> {
        let network = self.clone();
        Box::pin(async move {
            let Some((listener, from)) = network.dial(to)? else { std::future::pending().await };
            // Ends when there is room, or with the listener.
            let place = listener.reserve().await.map_err(|_| ErrorKind::ConnectionRefused)?;
            let (client, server) = network.join(to);
            place.send(Accepted { peer: from, local: to, socket: Box::new(Detached(server)) });
            Ok(Box::new(client) as BoxIo)
        })
    }

    fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        let (local, queue) = self.state().listen(self.place(at))?;
        Ok(Box::new(MemoryAcceptor { local, queue }))
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryNetwork")
            .field("node", &self.node)
            .field("listeners", &state.listeners.keys())
            .field("faults", &state.faults)
            .finish_non_exhaustive()
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
