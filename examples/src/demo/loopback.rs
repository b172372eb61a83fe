//! Loopback addresses that look like pods: several addresses, one port.
//!
//! A name server gives addresses only, so all pods of a service share one port number, as in Kubernetes. On Linux all
//! of 127.0.0.0/8 is the loopback interface. On macOS each address but 127.0.0.1 must be added first
//! (`sudo ifconfig lo0 alias 127.1.2.11 up`).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// How many ports are tried until one is free on every address.
const TRIES: usize = 50;

/// A network 127.x.y.0/24, chosen by chance, so that two demonstrations can run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loopback {
    second: u8,
    third: u8,
}

impl Loopback {
    /// Chooses a network. Should two copies choose the same, their ports still differ: see [`Loopback::reserve`].
    pub fn choose() -> Self {
        // The standard library's hasher keys are random; nothing else is needed from a generator here.
        let [second, third, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
        // 127.0.0.x is where other programs listen.
        Self { second: second.max(1), third }
    }

    /// One address of the network. Host 0 and 255 are addresses like any other on the loopback interface.
    pub fn host(&self, host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.second, self.third, host))
    }

    /// Finds a port that is free on each of these addresses, and keeps it from others until the reservation is
    /// dropped.
    ///
    /// # Errors
    /// When an address does not exist on this machine, or no common port was found.
    pub fn reserve(hosts: &[IpAddr]) -> io::Result<Reserved> {
        let mut tries = 1;
        loop {
            match reserve_once(hosts) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }
}

/// A port that is kept free on several addresses.
///
/// The sockets are bound and do not listen. With `SO_REUSEADDR`, which listeners set on Unix, a server of this user
/// can bind and listen beside them; the kernel gives the port to nobody who asks for any port.
#[derive(Debug)]
pub struct Reserved {
    port: u16,
    hosts: Vec<IpAddr>,
    _sockets: Vec<TcpSocket>,
}

impl Reserved {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The addresses with the port, in the order of the hosts.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.hosts.iter().map(|host| SocketAddr::new(*host, self.port))
    }
}

fn reserve_once(hosts: &[IpAddr]) -> io::Result<Reserved> {
    let mut port = 0;
    let mut sockets = Vec::with_capacity(hosts.len());
    for host in hosts {
        let socket = bind(SocketAddr::new(*host, port), port != 0)?;
        port = socket.local_addr()?.port();
        sockets.push(socket);
    }
    Ok(Reserved { port, hosts: hosts.to_vec(), _sockets: sockets })
}

/// Binds without listening. A port given by number is first bound alone, so that a reservation of somebody else is
/// found; only then is it shared.
fn bind(address: SocketAddr, check: bool) -> io::Result<TcpSocket> {
    let socket = |reuse: bool| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(reuse)?;
        socket.bind(address).map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        io::Result::Ok(socket)
    };
    if check {
        drop(socket(false)?);
    }
    socket(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[cfg(target_os = "linux")]
    fn hosts() -> Vec<IpAddr> {
        let network = Loopback::choose();
        vec![network.host(11), network.host(12), network.host(13)]
    }

    #[cfg(not(target_os = "linux"))]
    fn hosts() -> Vec<IpAddr> {
        vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
    }

    #[tokio::test]
    async fn a_server_can_listen_where_a_place_is_reserved() {
        let reserved = Loopback::reserve(&hosts()).unwrap();
        for address in reserved.addresses() {
            let listener = TcpListener::bind(address).await.unwrap();
            assert_eq!(listener.local_addr().unwrap(), address);
            assert_eq!(TcpListener::bind(address).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[tokio::test]
    async fn two_copies_on_the_same_addresses_get_different_ports() {
        let hosts = hosts();
        let all: Vec<_> = (0..20).map(|_| Loopback::reserve(&hosts).unwrap()).collect();
        let ports: std::collections::BTreeSet<u16> = all.iter().map(Reserved::port).collect();
        assert_eq!(ports.len(), all.len());
    }

    #[test]
    fn an_address_that_is_not_here_is_an_error_with_its_name() {
        let error = Loopback::reserve(&["192.0.2.1".parse().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
    }
}
