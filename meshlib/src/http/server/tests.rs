//! A server in memory, its clients, and what they see.

mod age;
mod drain;
mod requests;
mod uploads;

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::Instant,
};

use super::{HttpServer, Serving};
use crate::{
    base::{BoxError, Resources, resources::BoxIo},
    http::Body,
    testkit::Testkit,
};

const GET: &str = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\n";

/// Does what the path says: `/hello`, `/wait/7` seconds before the head, `/stream/7` seconds of body, `/fail`, `/panic`.
async fn app(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let path = request.uri().path().to_owned();
    let seconds = path.rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or(0);
    match path.split('/').nth(1) {
        Some("wait") => tokio::time::sleep(Duration::from_secs(seconds)).await,
        Some("stream") => return Ok(Response::new(Body::new(Seconds::new(seconds)))),
        Some("fail") => return Err("no luck".into()),
        Some("panic") => panic!("on purpose"),
        _ => {}
    }
    Ok(Response::new(Body::from("hello")))
}

/// A body of one byte each second.
struct Seconds {
    left: u64,
    next: Pin<Box<tokio::time::Sleep>>,
}

impl Seconds {
    fn new(left: u64) -> Self {
        Self { left, next: Box::pin(tokio::time::sleep(Duration::from_secs(1))) }
    }
}

impl http_body::Body for Seconds {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.next.as_mut().poll(cx));
        let next = self.next.deadline() + Duration::from_secs(1);
        self.next.as_mut().reset(next);
        self.left -= 1;
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b".")))))
    }
}

fn start(change: impl FnOnce(HttpServer) -> HttpServer) -> (Resources, Serving) {
    let resources = Testkit::seeded(7).resources;
    let serving = change(HttpServer::new(&resources)).bind(any(), tower::service_fn(app)).unwrap();
    (resources, serving)
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn connect(resources: &Resources, serving: &Serving) -> BoxIo {
    resources.network().connect(serving.local_addr()).await.unwrap()
}

/// A client of HTTP/1.1.
struct Http1(BoxIo);

impl Http1 {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            read.push(self.0.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    /// What comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).await.unwrap();
        rest
    }
}

/// Keeps what is read.
struct Tap(BoxIo, Arc<Mutex<Vec<u8>>>);

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        self.1.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A client of HTTP/2 that sees the frames.
struct Http2 {
    send: h2::client::SendRequest<Bytes>,
    read: Arc<Mutex<Vec<u8>>>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    async fn connect(resources: &Resources, serving: &Serving) -> Self {
        let read = Arc::default();
        let io = Tap(connect(resources, serving).await, Arc::clone(&read));
        let (send, connection) = h2::client::handshake(io).await.unwrap();
        Self { send, read, connection: tokio::spawn(connection) }
    }

    /// Waits until the connection has ended, which must be in good order.
    async fn closed(&mut self) {
        (&mut self.connection).await.unwrap().unwrap();
    }

    /// The response with its body; for as long as it takes.
    async fn get(&self, path: &str) -> Result<(http::response::Parts, String), h2::Error> {
        let request = Request::get(format!("http://a{path}")).body(()).unwrap();
        let (response, _) = self.send.clone().ready().await?.send_request(request, true)?;
        let (head, mut body) = response.await?.into_parts();
        let mut text = Vec::new();
        while let Some(data) = body.data().await {
            text.extend_from_slice(&data?);
        }
        Ok((head, String::from_utf8(text).unwrap()))
    }

    /// The last stream of each GOAWAY that came (RFC 9113, section 6.8).
    fn goaways(&self) -> Vec<u32> {
        let read = self.read.lock().unwrap();
        let (mut rest, mut found) = (&read[..], Vec::new());
        while let Some((head, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            if head[3] == 7 {
                found.push(u32::from_be_bytes(after[..4].try_into().unwrap()));
            }
            rest = &after[length..];
        }
        found
    }
}

fn seconds(since: Instant) -> u64 {
    since.elapsed().as_secs()
}
