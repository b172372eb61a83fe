//! A client of raw bytes over an in-memory pipe, a handler that does what a test says, and the records it leaves.

mod bodies;
mod cancel;
mod drain;
mod refusals;
mod requests;
mod size;
mod times;

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use http::{Request, Response, request};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::Instant,
};

use super::serve;
use crate::{
    base::{
        ConnectionInfo, Drain, Error, FinishObserver, RequestInfo,
        info::{FinishObservers, Record},
        resources::{BoxFuture, Io},
    },
    http::{Body, handler::Handler, options::ServerOptions},
    testkit::Pipe,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

/// What a request left: status, flags, bytes received, bytes sent.
type Line = (Option<u16>, String, u64, u64);

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Line>>>);

impl Records {
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl FinishObserver for Records {
    fn on_finish(&self, info: &RequestInfo, record: &Record) {
        let status = record.status.map(|status| status.as_u16());
        let line = (status, record.flags.to_string(), info.bytes_received(), info.bytes_sent());
        self.0.lock().unwrap().push(line);
    }
}

type Answer = dyn Fn(Request<Body>, RequestInfo) -> BoxFuture<Response<Body>> + Send + Sync;

#[derive(Clone)]
struct Scripted {
    answer: Arc<Answer>,
    observers: FinishObservers,
}

impl Handler for Scripted {
    fn begin(&self, connection: &Arc<ConnectionInfo>) -> RequestInfo {
        let observers = self.observers.clone();
        let start_time = SystemTime::UNIX_EPOCH;
        RequestInfo::served(connection.clone(), Instant::now(), start_time, observers)
    }

    async fn call(&self, request: Request<Body>, info: RequestInfo) -> Response<Body> {
        let response = (self.answer)(request, info.clone()).await;
        info.capture_response(response.status(), response.headers());
        response
    }

    fn refuse(&self, _: Option<&request::Parts>, error: Error, info: &RequestInfo) -> Response<Body> {
        let mut response = Response::new(Body::from(error.reply_text()));
        *response.status_mut() = error.status();
        response.headers_mut().insert("server", "test".parse().unwrap());
        info.update(|record| record.flags |= error.flags());
        info.capture_response(response.status(), response.headers());
        response
    }
}

struct Peer<T = Pipe> {
    client: T,
    records: Records,
    drain: Drain,
    server: JoinHandle<()>,
}

fn start_on<T, F>(
    io: impl Io,
    client: T,
    options: ServerOptions,
    answer: impl Fn(Request<Body>, RequestInfo) -> F + Send + Sync + 'static,
) -> Peer<T>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let records = Records::default();
    let observer: Arc<dyn FinishObserver> = Arc::new(records.clone());
    let handler = Scripted {
        answer: Arc::new(move |request, info| Box::pin(answer(request, info))),
        observers: FinishObservers::new([observer]),
    };
    let drain = Drain::new();
    let (served, connection) = (drain.clone(), Arc::new(ConnectionInfo::new(None, None)));
    let server = tokio::spawn(async move { serve(io, connection, handler, &options, served).await });
    Peer { client, records, drain, server }
}

fn start<F>(answer: impl Fn(Request<Body>, RequestInfo) -> F + Send + Sync + 'static) -> Peer
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let (client, io) = Pipe::pair();
    start_on(io, client, ServerOptions::default(), answer)
}

async fn hello(_: Request<Body>, _: RequestInfo) -> Response<Body> {
    Response::new(Body::from("hello"))
}

async fn never(_: Request<Body>, _: RequestInfo) -> Response<Body> {
    std::future::pending().await
}

impl<T: AsyncRead + tokio::io::AsyncWrite + Unpin> Peer<T> {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until what was read ends with `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let byte = self.client.read_u8().await;
            read.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&read))));
        }
        String::from_utf8(read).unwrap()
    }

    /// Reads until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.client.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// Waits for the server's end.
    async fn finish(&mut self) {
        (&mut self.server).await.unwrap();
    }
}

/// Lets everything else run that can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn line(status: u16, flags: &str, received: u64, sent: u64) -> Line {
    (Some(status), flags.to_owned(), received, sent)
}

fn seconds(since: Instant) -> f64 {
    Duration::as_secs_f64(&since.elapsed())
}
