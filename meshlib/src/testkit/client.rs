//! Clients.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use http::{Request, Response};
//! use meshlib::{http::{Body, server::HttpServer}, testkit::{self, client::Client}};
//!
//! let resources = testkit::resources();
//! let app = tower::service_fn(|request: Request<Body>| async { Ok::<_, meshlib::base::Error>(Response::new(request.into_body())) });
//! let server = HttpServer::new(&resources).bind("127.0.0.1:0".parse()?, app)?;
//!
//! let client = Client::over(resources.network().connect(server.local_addr()).await?);
//! let reply = client.call(Request::post("http://app/").body(Body::from("hello"))?).await?;
//! assert_eq!(reply.body, b"hello");
//! # Ok(())
//! # }
//! ```

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use crate::{
    base::{Error, ErrorKind, resources::BoxIo, task::AbortOnDropHandle},
    http::{
        Body,
        grpc::{Code, code_in},
        h1,
        h2::client::{H2Client, handshake},
        options::Http2Options,
    },
};

/// A connection that speaks HTTP/2. It ends with its last clone, once its calls have.
#[derive(Clone)]
pub struct Client {
    h2: H2Client,
    driver: Arc<JoinHandle<Result<(), Error>>>,
}

/// An answer, or what came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// The head's fields.
    pub headers: HeaderMap,
    /// As much of the body as came.
    pub body: Vec<u8>,
    /// The trailers; empty without any.
    pub trailers: HeaderMap,
    /// What broke the body off.
    pub broken: Option<Error>,
    /// From the request's head to the response's end.
    pub took: Duration,
}

impl Reply {
    /// From the trailers, or from the head of a response that has nothing else.
    pub fn grpc_status(&self) -> Option<Code> {
        code_in(&self.trailers).or_else(|| code_in(&self.headers))
    }

    /// From the trailers, or from the head of a response that has nothing else; percent-encoded as it came.
    pub fn grpc_message(&self) -> &str {
        let message = self.trailers.get("grpc-message").or_else(|| self.headers.get("grpc-message"));
        message.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The application that answered: [`App`](super::App) says so.
    pub fn hostname(&self) -> &str {
        self.headers.get("hostname").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A call whose request goes on. Dropping it gives the call up.
pub struct OpenCall {
    upload: Option<mpsc::UnboundedSender<Bytes>>,
    exchange: AbortOnDropHandle<Result<Reply, Error>>,
}

impl Client {
    /// Speaks HTTP/2 with prior knowledge, within a runtime. Whether the peer does too shows in the first call.
    pub fn over(io: BoxIo) -> Self {
        let (h2, connection) = handshake(io, &Http2Options::upstream());
        Self { h2, driver: Arc::new(tokio::spawn(connection)) }
    }

    /// Whether the connection is over, its calls too.
    pub fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    /// Whether the connection takes another call: it does not once it ended or was told to go.
    pub fn is_open(&self) -> bool {
        !self.h2.is_closed() && !self.is_closed()
    }

    /// A whole call: to the end of the response.
    ///
    /// # Errors
    /// There is no response: the connection broke, or the stream was reset.
    pub async fn call(&self, request: Request<Body>) -> Result<Reply, Error> {
        let begin = Instant::now();
        let exchange = self.h2.exchange(request);
        collect(begin, exchange.await.map_err(|failed| failed.error)?).await
    }

    /// A call that begins; its body follows by [`OpenCall::say`].
    pub fn open(&self, request: Request<()>) -> OpenCall {
        let (upload, messages) = mpsc::unbounded_channel();
        let frames = stream::unfold(messages, |mut messages| async move {
            let message = messages.recv().await?;
            Some((Ok::<_, Error>(Frame::data(message)), messages))
        });
        let request = request.map(|()| Body::new(StreamBody::new(Box::pin(frames))));
        // Its head is on its way at once.
        let (begin, exchange) = (Instant::now(), self.h2.exchange(request));
        let call = async move { collect(begin, exchange.await.map_err(|failed| failed.error)?).await };
        OpenCall { upload: Some(upload), exchange: AbortOnDropHandle::spawn(call) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.h2).finish()
    }
}

impl OpenCall {
    /// Sends a message of gRPC; with the last one the request ends. Nobody hears what is said after that.
    pub fn say(&mut self, message: &str, last: bool) {
        if let Some(upload) = &self.upload {
            // Its receiver goes with the call.
            let _ = upload.send(grpc_message(message.as_bytes()));
        }
        if last {
            self.upload = None;
        }
    }

    /// The response, when it has ended. The request may go on until then.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn reply(self) -> Result<Reply, Error> {
        let ended = self.exchange.await;
        ended.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal).with_detail("the call ended").with_source(error))
        })
    }
}

impl fmt::Debug for OpenCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenCall").field("ended", &self.exchange.is_finished()).finish_non_exhaustive()
    }
}

/// A message of gRPC, uncompressed: a zero, its length, itself.
pub fn grpc_message(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat().into()
}

/// One request of HTTP/1.1 on a connection of its own.
///
/// # Errors
/// There is no response.
pub async fn http1(io: BoxIo, request: Request<Body>) -> Result<Reply, Error> {
    let begin = Instant::now();
    let (client, connection) = h1::client::handshake(io);
    let _driver = AbortOnDropHandle::spawn(connection);
    collect(begin, client.exchange(request).await.map_err(|failed| failed.error)?).await
}

async fn collect(begin: Instant, response: Response<Body>) -> Result<Reply, Error> {
    let (head, mut rest) = response.into_parts();
    let (mut body, mut trailers, mut broken) = (Vec::new(), HeaderMap::new(), None);
    while let Some(frame) = rest.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().unwrap_or_default(),
            Err(error) => broken = Some(error),
        }
    }
    let (status, headers) = (head.status.as_u16(), head.headers);
    Ok(Reply { status, headers, body, trailers, broken, took: begin.elapsed() })
}

/// TLS over `io`, as a client that trusts just these certificates; with the certificate that the server showed.
///
/// # Errors
/// The handshake's.
#[cfg(feature = "tls")]
pub async fn tls(
    io: BoxIo,
    name: &str,
    trusted: &[rustls::pki_types::CertificateDer<'static>],
    alpn: &[&str],
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> std::io::Result<(BoxIo, Option<rustls::pki_types::CertificateDer<'static>>)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).map_err(std::io::Error::other)?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, io).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
    Ok((Box::new(stream), shown.map(rustls::pki_types::CertificateDer::into_owned)))
}
