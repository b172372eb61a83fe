//! A proxy between a client that writes bytes by hand and a host that answers by hand.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use meshlib::{
    base::Resources,
    cluster::config::{ClusterConfig, DiscoveryConfig, StaticEndpoint},
    proxy::{
        config::{FilterChainConfig, HttpConnectionManagerConfig, ListenerConfig, MeshConfig},
        server::Server,
    },
    route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
};

/// How long something that has to happen may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A proxy whose every route leads to the host at `upstream`.
pub(crate) async fn proxy(upstream: SocketAddr, http2: bool) -> Server {
    let route = RouteConfig::new(RouteMatch::prefix("/"), RouteAction::cluster("host"));
    let http = HttpConnectionManagerConfig::new("http", RouteTableConfig::any_host("local", vec![route]));
    let cluster = ClusterConfig::new("host", DiscoveryConfig::Static(vec![StaticEndpoint::new(upstream)]));
    let cluster = if http2 { cluster.http2() } else { cluster };
    let listener = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), FilterChainConfig::plain(http));
    let config = MeshConfig::default().listener(listener.name("http")).cluster(cluster);
    Server::start(config, Resources::default()).await.expect("the proxy starts")
}

pub(crate) fn address(server: &Server) -> SocketAddr {
    server.local_addr("http").expect("a listener")
}

/// Fails when it takes too long.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length");
    [&length.to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literal fields that nobody remembers.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        assert!(text.len() < 127);
        let bytes: Vec<u8> = text.chars().map(|char| u8::try_from(u32::from(char)).expect("Latin-1")).collect();
        [&[u8::try_from(bytes.len()).expect("short")], &bytes[..]].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// `GET http://h<path>`.
pub(crate) fn get(path: &str) -> Vec<u8> {
    block(&[(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "h")])
}

/// One frame of the other side.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Reads frames.
pub(crate) struct Frames(OwnedReadHalf);

/// Writes frames. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Mutex<OwnedWriteHalf>>);

impl Frames {
    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next one of this type; `None` when the connection ends first.
    pub(crate) async fn find(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let next = within("a frame, or the end", self.next()).await?;
            if next.kind == kind {
                return Some(next);
            }
        }
    }

    /// The first bytes of a host's connection.
    pub(crate) async fn preface(&mut self) -> Option<()> {
        self.0.read_exact(&mut [0; 24]).await.ok().map(drop)
    }
}

impl Writer {
    /// Writes; whether the other side still takes it.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.lock().await.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Says that nothing more comes.
    pub(crate) async fn end(&self) {
        let _ = self.0.lock().await.shutdown().await;
    }
}

fn split(stream: TcpStream) -> (Frames, Writer) {
    stream.set_nodelay(true).expect("nodelay");
    let (read, write) = stream.into_split();
    (Frames(read), Writer(Arc::new(Mutex::new(write))))
}

/// An HTTP/2 connection to the proxy.
pub(crate) async fn http2(server: &Server) -> (Frames, Writer) {
    let (frames, writer) = split(TcpStream::connect(address(server)).await.expect("a connection"));
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, b"")].concat();
    assert!(writer.send(preface).await);
    (frames, writer)
}

/// A host of whose connections each is `served`.
pub(crate) async fn host<F: Future<Output = ()> + Send + 'static>(
    served: impl Fn(Frames, Writer) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (frames, writer) = split(stream);
            tokio::spawn(served(frames, writer));
        }
    });
    address
}

/// A host that speaks HTTP/1.1, answers everything with 200, and keeps what it was sent, head by head.
pub(crate) async fn text_host() -> (SocketAddr, Arc<std::sync::Mutex<Vec<String>>>) {
    let heads: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let kept = heads.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, kept.clone()));
        }
    });
    (address, heads)
}

async fn answer(mut stream: TcpStream, kept: Arc<std::sync::Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
        let chunked = text.contains("transfer-encoding: chunked\r\n");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|n| n.parse().ok());
        kept.lock().expect("the list").push(text);
        let mut body = Vec::new();
        while chunked && !body.ends_with(b"0\r\n\r\n") || !chunked && body.len() < length.unwrap_or(0) {
            let Ok(byte) = stream.read_u8().await else { return };
            body.push(byte);
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}
