//! An HTTP/2 application that does what a test tells it to.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::future::poll_fn;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Response, request, response};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::h2::read;

/// A running application. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub(crate) struct App {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<request::Parts>>>,
    task: AbortHandle,
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request, and the means to answer it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The request's head.
    pub(crate) head: request::Parts,
    /// The request's body.
    pub(crate) body: RecvStream,
    /// The response's stream.
    pub(crate) respond: SendResponse<Bytes>,
}

impl App {
    /// Listens and has each request handled by `handle`.
    pub(crate) async fn start<H, F>(handle: H) -> Self
    where
        H: Fn(Exchange) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(10_000).max_header_list_size(1 << 20);
        Self::start_with(settings, handle).await
    }

    /// The same with these settings.
    pub(crate) async fn start_with<H, F>(settings: h2::server::Builder, handle: H) -> Self
    where
        H: Fn(Exchange) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen) = (connections.clone(), requests.clone());
        let accept = async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream, settings.clone(), seen.clone(), handle.clone()));
            }
        };
        Self { address, connections, requests, task: tokio::spawn(accept).abort_handle() }
    }

    /// Answers everything with 200 and the request's body; gRPC with status 0 besides.
    pub(crate) async fn echo() -> Self {
        Self::start(|mut exchange| async move {
            let Ok(body) = read(&mut exchange.body).await else { return };
            let grpc = exchange.head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
            let trailers = grpc.then(|| HeaderMap::from_iter([header("grpc-status", "0")]));
            let kind = if grpc { "application/grpc" } else { "text/plain" };
            exchange.answer(Response::builder().header("content-type", kind), body, trailers);
        })
        .await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The heads of the requests so far.
    pub(crate) fn requests(&self) -> Vec<request::Parts> {
        self.requests.lock().expect("no panic").clone()
    }

    /// The head of the only request.
    pub(crate) fn request(&self) -> request::Parts {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

/// One header or trailer.
pub(crate) fn header(name: &'static str, value: &'static str) -> (http::HeaderName, http::HeaderValue) {
    (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
}

async fn serve<H, F>(stream: TcpStream, settings: h2::server::Builder, seen: Arc<Mutex<Vec<request::Parts>>>, handle: H)
where
    H: Fn(Exchange) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    stream.set_nodelay(true).expect("nodelay");
    let Ok(mut h2) = settings.handshake(stream).await else { return };
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = h2.accept().await {
        let (head, body) = request.into_parts();
        seen.lock().expect("no panic").push(head.clone());
        streams.spawn(handle(Exchange { head, body, respond }));
        while streams.try_join_next().is_some() {}
    }
}

impl Exchange {
    /// Sends the whole response. A proxy that has gone does not matter.
    pub(crate) fn answer(self, head: response::Builder, body: Bytes, trailers: Option<HeaderMap>) {
        let end = body.is_empty() && trailers.is_none();
        let Some(mut stream) = self.begin(head, end) else { return };
        if !body.is_empty() {
            // Without a look at the window: h2 keeps the rest.
            let _ = stream.send_data(body, trailers.is_none());
        }
        if let Some(trailers) = trailers {
            let _ = stream.send_trailers(trailers);
        }
    }

    /// Sends the head of the response.
    pub(crate) fn begin(mut self, head: response::Builder, end: bool) -> Option<SendStream<Bytes>> {
        self.respond.send_response(head.body(()).expect("a response"), end).ok()
    }

    /// Waits until the stream is reset or its connection ends.
    pub(crate) async fn gone(&mut self) {
        let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
    }
}
