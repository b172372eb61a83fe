//! Clients: gRPC over HTTP/2, and bare bytes for what no good client does.

use std::{io, net::SocketAddr, time::Duration};

use http::{HeaderMap, Request};
use meshlib::{
    base::{
        Error,
        resources::{BoxIo, Network},
    },
    http::Body,
    testkit::{self, OpenCall, client::grpc_message},
};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::coarse;

/// A connection that speaks HTTP/2, ended by dropping the last clone.
#[derive(Clone)]
pub(crate) struct Client(testkit::Client);

/// An answer, or what came of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    /// What broke the body off.
    pub(crate) broken: Option<Error>,
    /// From the request's head to the response's end, to a tenth of a second.
    pub(crate) took: Duration,
    grpc_status: Option<u32>,
    grpc_message: String,
    hostname: String,
}

impl From<testkit::Reply> for Reply {
    fn from(reply: testkit::Reply) -> Self {
        Self {
            grpc_status: reply.grpc_status().map(|code| code.0),
            grpc_message: reply.grpc_message().to_owned(),
            hostname: reply.hostname().to_owned(),
            took: coarse(reply.took),
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
            trailers: reply.trailers,
            broken: reply.broken,
        }
    }
}

impl Reply {
    /// From the trailers, or from the headers of a response that has nothing else.
    pub(crate) fn grpc_status(&self) -> Option<u32> {
        self.grpc_status
    }

    pub(crate) fn grpc_message(&self) -> &str {
        &self.grpc_message
    }

    /// The pod that answered.
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }
}

/// A call whose request is not over.
pub(crate) struct Open(OpenCall);

impl Client {
    pub(crate) fn over(io: BoxIo) -> Self {
        Self(testkit::Client::over(io))
    }

    /// Whether the connection is over.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// A gRPC call that begins.
    pub(crate) fn open(&self, method: &str) -> Open {
        Open(self.0.open(request(method, "application/grpc")))
    }

    /// A unary gRPC call.
    pub(crate) async fn echo(&self) -> Result<Reply, Error> {
        self.unary("Echo").await
    }

    /// Who answers this many calls, in alphabetical order.
    pub(crate) async fn answered_by(&self, calls: usize) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..calls {
            names.push(self.echo().await.expect("an answer").hostname().to_owned());
        }
        names.sort();
        names
    }

    pub(crate) async fn unary(&self, method: &str) -> Result<Reply, Error> {
        self.whole(request(method, "application/grpc")).await
    }

    /// The same for a client that does not speak gRPC.
    pub(crate) async fn post(&self, method: &str) -> Result<Reply, Error> {
        self.whole(request(method, "text/plain")).await
    }

    async fn whole(&self, request: Request<()>) -> Result<Reply, Error> {
        self.0.call(request.map(|()| Body::from(grpc_message(b"hello")))).await.map(Reply::from)
    }
}

fn request(method: &str, content_type: &str) -> Request<()> {
    Request::post(format!("http://edge.test/api.Echo/{method}"))
        .header("content-type", content_type)
        .header("te", "trailers")
        .header("user-agent", "virtual-time")
        .body(())
        .expect("a request")
}

impl Open {
    /// Sends a message of the request.
    pub(crate) fn say(&mut self, message: &str, last: bool) {
        self.0.say(message, last);
    }

    /// The response, when it has ended. The request may go on until then.
    pub(crate) async fn reply(self) -> Result<Reply, Error> {
        self.0.reply().await.map(Reply::from)
    }
}

/// Bytes, as they are.
pub(crate) struct Raw {
    io: BoxIo,
    pub(crate) read: Vec<u8>,
}

impl Raw {
    pub(crate) fn over(io: BoxIo) -> Self {
        Self { io, read: Vec::new() }
    }

    pub(crate) async fn connect(network: &dyn Network, to: SocketAddr) -> io::Result<Self> {
        network.connect(to).await.map(Self::over)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.expect("the other side still reads");
    }

    /// An HTTP/1.1 request without a body.
    pub(crate) async fn get(&mut self, path: &str, headers: &str) {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: edge.test\r\n{headers}\r\n").as_bytes()).await;
    }

    /// Reads until the other side closes; an end without ceremony is one too.
    pub(crate) async fn rest(&mut self) -> String {
        let _ = self.io.read_to_end(&mut self.read).await;
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// Reads until what was read ends with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        while !self.read.ends_with(end.as_bytes()) {
            let more = self.io.read_buf(&mut self.read).await.expect("more");
            assert!(more > 0, "it ended with {:?}", String::from_utf8_lossy(&self.read));
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Begins HTTP/2, with the acknowledgement of the SETTINGS that will come.
    pub(crate) async fn preface(&mut self) {
        self.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        self.write(&frame(SETTINGS, 0, 0, &[])).await;
        self.write(&frame(SETTINGS, ACK, 0, &[])).await;
    }

    /// The next HTTP/2 frame: type, flags, stream and payload; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.io.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.io.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, u32::from_be_bytes(stream), payload))
    }

    /// The next frame of this type; `None` at the end.
    pub(crate) async fn frame_of(&mut self, kind: u8) -> Option<(u8, u32, Vec<u8>)> {
        loop {
            let (found, flags, stream, payload) = self.frame().await?;
            if found == kind {
                return Some((flags, stream, payload));
            }
        }
    }
}

pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// An HTTP/2 frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of `GET path` as HPACK writes it without compressing anything (RFC 7541, section 6.2.2).
pub(crate) fn head_of_get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86]; // :method GET, :scheme http
    for (index, value) in [(0x04, path), (0x01, "edge.test")] {
        block.push(index);
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    block
}

/// TLS over `io`, as a client that trusts just this certificate.
pub(crate) async fn tls(io: BoxIo, certificate: &CertificateDer<'static>, alpn: &[&str]) -> io::Result<BoxIo> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    testkit::client::tls(io, "edge.test", std::slice::from_ref(certificate), alpn, &provider).await.map(|(io, _)| io)
}
