//! What a network knows. Maps are ordered, so that whoever is woken is woken in the same order each time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::sync::mpsc;

use super::FIRST_NODE;
use crate::{
    base::resources::Accepted,
    testkit::{link::Link, pipe::Scissors},
};

/// How many connections wait to be accepted; one more stays in its connect.
const BACKLOG: usize = 4096;

/// The first port that is given out where 0 is asked for, as IANA has it.
const FIRST_PORT: u16 = 49_152;

/// An address, and the node it belongs to: 127.0.0.1 is another place on each node.
pub(super) type Place = (IpAddr, SocketAddr);

#[derive(Default)]
pub(super) struct State {
    listeners: BTreeMap<Place, mpsc::Sender<Accepted>>,
    faults: BTreeMap<Place, Fault>,
    connections: BTreeMap<Place, Vec<Connection>>,
    connects: BTreeMap<Place, u64>,
    links: BTreeMap<(IpAddr, IpAddr), Link>,
    default_link: Link,
    partitions: BTreeSet<(IpAddr, IpAddr)>,
    isolated: BTreeSet<IpAddr>,
    last_port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Refuses,
    BlackHole,
}

pub(super) struct Connection {
    pub(super) from: IpAddr,
    pub(super) scissors: Scissors,
}

/// What comes of a connect.
pub(super) enum Dialled {
    Listener { listener: mpsc::Sender<Accepted>, port: u16, link: Link },
    Refused(Duration),
    Partitioned,
    BlackHole,
}

/// Two nodes, in one order whoever is named first.
pub(super) fn pair(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    (one.min(other), one.max(other))
}

impl State {
    pub(super) fn set_fault(&mut self, place: Place, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.faults.insert(place, fault),
            None => self.faults.remove(&place),
        };
    }

    pub(super) fn set_link(&mut self, one: IpAddr, other: IpAddr, link: Link) {
        self.links.insert(pair(one, other), link);
    }

    pub(super) fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    pub(super) fn set_partition(&mut self, one: IpAddr, other: IpAddr, parted: bool) {
        let nodes = pair(one, other);
        if parted {
            self.partitions.insert(nodes)
        } else {
            self.partitions.remove(&nodes)
        };
    }

    pub(super) fn set_isolated(&mut self, node: IpAddr, isolated: bool) {
        if isolated {
            self.isolated.insert(node)
        } else {
            self.isolated.remove(&node)
        };
    }

    pub(super) fn is_parted(&self, one: IpAddr, other: IpAddr) -> bool {
        let isolated = || [one, other].iter().any(|node| self.isolated.contains(node));
        one != other && (isolated() || self.partitions.contains(&pair(one, other)))
    }

    pub(super) fn count_connect(&mut self, to: Place) {
        *self.connects.entry(to).or_default() += 1;
    }

    pub(super) fn connects(&self, to: Place) -> u64 {
        self.connects.get(&to).copied().unwrap_or(0)
    }

    pub(super) fn dial(&mut self, from: IpAddr, to: Place) -> Dialled {
        let fault = self.faults.get(&to);
        if matches!(fault, Some(Fault::BlackHole)) {
            return Dialled::BlackHole;
        }
        if self.is_parted(from, to.0) {
            return Dialled::Partitioned;
        }
        let link = self.link(from, to.0);
        match self.listener(to).filter(|_| fault.is_none()) {
            Some(listener) => Dialled::Listener { listener, port: self.next_port(), link },
            None => Dialled::Refused(link.latency),
        }
    }

    fn link(&self, one: IpAddr, other: IpAddr) -> Link {
        if one == other {
            return Link::default();
        }
        self.links.get(&pair(one, other)).copied().unwrap_or(self.default_link)
    }

    /// Remembers a connection, so that things can happen to it.
    pub(super) fn joined(&mut self, from: IpAddr, to: Place, scissors: Scissors) {
        scissors.hold(self.is_parted(from, to.0));
        let connections = self.connections.entry(to).or_default();
        connections.retain(|open| open.scissors.is_open());
        connections.push(Connection { from, scissors });
    }

    pub(super) fn all_open(&self) -> impl Iterator<Item = (&Place, &Connection)> {
        let all = self.connections.iter().flat_map(|(to, open)| open.iter().map(move |open| (to, open)));
        all.filter(|(_, open)| open.scissors.is_open())
    }

    pub(super) fn open(&self, which: impl Fn(&Place, IpAddr) -> bool) -> impl Iterator<Item = &Scissors> {
        self.all_open().filter(move |(to, open)| which(to, open.from)).map(|(_, open)| &open.scissors)
    }

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

    pub(super) fn listen(&mut self, (node, mut at): Place) -> io::Result<(SocketAddr, mpsc::Receiver<Accepted>)> {
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

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("listeners", &self.listeners.keys())
            .field("faults", &self.faults)
            .field("partitions", &self.partitions)
            .field("isolated", &self.isolated)
            .finish_non_exhaustive()
    }
}
