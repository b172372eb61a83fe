//! The real network, and which threads use its sockets.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread::{self, ThreadId},
};

use meshlib::{
    base::resources::{Accepted, Acceptor, BoxFuture, BoxIo, DetachedSocket, Network},
    net::TcpNetwork,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Which threads used which socket.
#[derive(Clone, Default)]
pub(crate) struct Uses {
    threads: Arc<Mutex<BTreeMap<usize, HashSet<ThreadId>>>>,
    next: Arc<AtomicUsize>,
}

impl Uses {
    fn watch(&self, io: BoxIo) -> BoxIo {
        Box::new(Watched { io, number: self.next.fetch_add(1, Ordering::Relaxed), uses: self.clone() })
    }

    /// The one thread of each socket, in the order of the sockets.
    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        let uses = self.threads.lock().expect("no panic");
        let one = |threads: &HashSet<ThreadId>| {
            assert_eq!(threads.len(), 1, "a socket was used by several threads");
            *threads.iter().next().expect("one")
        };
        uses.values().map(one).collect()
    }
}

struct Watched {
    io: BoxIo,
    number: usize,
    uses: Uses,
}

impl Watched {
    fn used(&mut self) -> Pin<&mut BoxIo> {
        let mut uses = self.uses.threads.lock().expect("no panic");
        uses.entry(self.number).or_default().insert(thread::current().id());
        Pin::new(&mut self.io)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.used().poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.used().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.used().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.used().poll_shutdown(cx)
    }
}

/// The real network, watched.
#[derive(Default)]
pub(crate) struct WatchedNetwork {
    tcp: TcpNetwork,
    pub(crate) downstream: Uses,
    pub(crate) upstream: Uses,
}

impl Network for WatchedNetwork {
    fn connect(&self, to: SocketAddr) -> BoxFuture<io::Result<BoxIo>> {
        let (connecting, uses) = (self.tcp.connect(to), self.upstream.clone());
        Box::pin(async move { Ok(uses.watch(connecting.await?)) })
    }

    fn bind(&self, at: SocketAddr) -> io::Result<Box<dyn Acceptor>> {
        Ok(Box::new(WatchedAcceptor { acceptor: self.tcp.bind(at)?, uses: self.downstream.clone() }))
    }
}

struct WatchedAcceptor {
    acceptor: Box<dyn Acceptor>,
    uses: Uses,
}

impl Acceptor for WatchedAcceptor {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let uses = self.uses.clone();
        self.acceptor.poll_accept(cx).map_ok(|Accepted { peer, local, socket, .. }| {
            let socket = Box::new(WatchedSocket { socket, uses });
            Accepted::new(peer, local, socket)
        })
    }

    fn shed(&mut self, cx: &mut Context<'_>) -> usize {
        self.acceptor.shed(cx)
    }
}

struct WatchedSocket {
    socket: Box<dyn DetachedSocket>,
    uses: Uses,
}

impl DetachedSocket for WatchedSocket {
    fn adopt(self: Box<Self>) -> io::Result<BoxIo> {
        Ok(self.uses.watch(self.socket.adopt()?))
    }
}
