//! Floor 1: connections, without a word about what they carry.
//!
//! | module | what |
//! |---|---|
//! | [`TcpNetwork`] | the real [`Network`]: what `Resources::default()` connects and binds with |
//! | [`listen`] | accepting without ever giving up, under a limit of connections |
//! | [`tls`] | TLS towards clients, with certificates that follow their files |
//! | [`log_sink`] | log lines into files, without ever making a request wait |
//! | [`io`] | the small adapters that every codec needs |
//!
//! Clusters and servers use all of it by themselves. Take a part for a server of your own, whatever it speaks:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use meshlib::{base::resources::Network, net::{TcpNetwork, listen::{ConnectionLimit, Listener}}};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let network = TcpNetwork::new();
//! let mut listener = Listener::new(network.bind("127.0.0.1:0".parse().unwrap())?, ConnectionLimit::new(100));
//! let address = listener.local_addr()?;
//!
//! let (client, accepted) = tokio::join!(network.connect(address), listener.accept());
//! let (mut client, (accepted, _permit)) = (client?, accepted);
//! client.write_all(b"hello").await?;
//!
//! let mut server = accepted.socket.adopt()?; // on whichever runtime serves it
//! let mut read = [0; 5];
//! server.read_exact(&mut read).await?;
//! assert_eq!(&read, b"hello");
//! # Ok(())
//! # }
//! ```

mod connect;
pub mod io;
pub mod listen;
pub mod log_sink;
pub mod tls;

use std::{io::Result, net::SocketAddr};

pub use self::io::Rewind;
use crate::base::resources::{Acceptor, BoxFuture, BoxIo, Network};

/// The TCP of the operating system. Needs a tokio runtime with IO enabled wherever it is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpNetwork(());

impl TcpNetwork {
    /// The real network.
    pub const fn new() -> Self {
        Self(())
    }
}

impl Network for TcpNetwork {
    fn connect(&self, to: SocketAddr) -> BoxFuture<Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(connect::tcp(to).await?) as BoxIo) })
    }

    fn bind(&self, at: SocketAddr) -> Result<Box<dyn Acceptor>> {
        Ok(Box::new(listen::TcpAcceptor::bind(at)?))
    }
}

#[cfg(test)]
mod tests;
