//! The handlers of `api.Echo` and `api.StreamEcho`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::proto::echo_server::Echo;
use crate::proto::stream_echo_server::StreamEcho;
use crate::proto::{EchoRequest, EchoResponse, RepeatRequest};

/// The longest text that `Join` collects.
const MAX_JOINED: usize = 16 * 1024 * 1024;
const MAX_REPEATS: u32 = 1_000_000;
const MAX_PAUSE_MS: u32 = 60_000;
/// Not a gRPC status: no failure is asked for.
const NO_FAILURE: i32 = -1;

/// What all connections of one application share.
#[derive(Debug)]
pub(super) struct Application {
    hostname: MetadataValue<Ascii>,
    calls: AtomicU64,
    delay_ms: AtomicU64,
    failure: AtomicI32,
}

impl Application {
    /// # Errors
    /// When the name holds what a header value may not.
    pub(super) fn new(hostname: &str) -> io::Result<Self> {
        let hostname = hostname.parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{hostname:?} cannot be sent as a header value"))
        })?;
        Ok(Self {
            hostname,
            calls: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
            failure: AtomicI32::new(NO_FAILURE),
        })
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_failure(&self, failure: Option<Code>) {
        self.failure.store(failure.map_or(NO_FAILURE, i32::from), Ordering::Relaxed);
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn respond<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        response.metadata_mut().insert("hostname", self.hostname.clone());
        response
    }

    async fn wait(&self) {
        let delay = self.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }

    fn fail_if_told(&self) -> Result<(), Status> {
        match self.failure.load(Ordering::Relaxed) {
            NO_FAILURE => Ok(()),
            code => {
                let mut status = Status::new(Code::from(code), "failing as told");
                status.metadata_mut().insert("hostname", self.hostname.clone());
                Err(status)
            }
        }
    }
}

/// The service: the application behind an `Arc`, cloned for each connection.
#[derive(Clone, Debug)]
pub(super) struct Service(pub(super) Arc<Application>);

#[tonic::async_trait]
impl Echo for Service {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        self.0.count();
        self.0.wait().await;
        self.0.fail_if_told()?;
        Ok(self.0.respond(EchoResponse { content: request.into_inner().content }))
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<EchoResponse, Status>> + Send>>;

#[tonic::async_trait]
impl StreamEcho for Service {
    type RepeatStream = Answers;
    type ChatStream = Answers;

    async fn repeat(&self, request: Request<RepeatRequest>) -> Result<Response<Answers>, Status> {
        self.0.count();
        let request = request.into_inner();
        if request.count > MAX_REPEATS || request.pause_ms > MAX_PAUSE_MS {
            return Err(Status::invalid_argument("at most 1,000,000 answers and a pause of at most 60,000 ms"));
        }
        let pause = Duration::from_millis(request.pause_ms.into());
        let answers = futures_util::stream::unfold(0, move |sent| {
            let content = (sent < request.count).then(|| request.content.clone());
            async move {
                let content = content?;
                if sent > 0 && !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                Some((Ok(EchoResponse { content }), sent + 1))
            }
        });
        Ok(self.0.respond(Box::pin(answers)))
    }

    async fn join(&self, request: Request<Streaming<EchoRequest>>) -> Result<Response<EchoResponse>, Status> {
        self.0.count();
        let mut requests = request.into_inner();
        let mut content = String::new();
        while let Some(request) = requests.message().await? {
            if content.len() + request.content.len() > MAX_JOINED {
                return Err(Status::resource_exhausted("more than 16 MiB to join"));
            }
            content.push_str(&request.content);
        }
        Ok(self.0.respond(EchoResponse { content }))
    }

    async fn chat(&self, request: Request<Streaming<EchoRequest>>) -> Result<Response<Answers>, Status> {
        self.0.count();
        let answers = request.into_inner().map(|request| Ok(EchoResponse { content: request?.content }));
        Ok(self.0.respond(Box::pin(answers)))
    }
}
