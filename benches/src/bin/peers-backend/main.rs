//! What stands behind the proxies in `benches/peers`: HTTP/1.1 and HTTP/2 (prior knowledge) on one thread, able to echo,
//! to take and to give long bodies without ever holding one.
//!
//! ```text
//! cargo run --release -p meshlib-benches --bin peers-backend -- http2=127.0.0.1:9001 http1=127.0.0.1:9002
//! ```
//!
//! The end of a path says what is wanted: see [`work::Work`].

mod http1;
mod http2;
mod work;

use std::io;

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What a listener speaks.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listeners = JoinSet::new();
        for argument in std::env::args().skip(1) {
            let (protocol, address) = parse(&argument)?;
            listeners.spawn(accept(TcpListener::bind(address).await?, protocol));
        }
        while let Some(ended) = listeners.join_next().await {
            ended??;
        }
        Ok(())
    })
}

fn parse(argument: &str) -> io::Result<(Protocol, &str)> {
    match argument.split_once('=') {
        Some(("http1", address)) => Ok((Protocol::Http1, address)),
        Some(("http2", address)) => Ok((Protocol::Http2, address)),
        _ => Err(io::Error::other(format!("{argument:?} is neither http1=ADDRESS nor http2=ADDRESS"))),
    }
}

async fn accept(listener: TcpListener, protocol: Protocol) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(socket, protocol));
    }
}

/// A connection's error is its client's affair.
async fn serve(socket: TcpStream, protocol: Protocol) {
    match protocol {
        Protocol::Http1 => drop(http1::serve(socket).await),
        Protocol::Http2 => drop(http2::serve(socket).await),
    }
}
