//! Connecting over TCP.

use std::{io, net::SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

/// Connects to `to` with `TCP_NODELAY` set. There is no time limit: the caller has one.
///
/// # Errors
/// What the operating system answers: refused, unreachable, out of descriptors or of ports.
pub(super) async fn tcp(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    socket.connect(to).await
}
