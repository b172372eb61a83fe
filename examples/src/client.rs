//! A client of the echo application that shows all it got: the answer, the headers and the trailers.
//!
//! `http://` is HTTP/2 with prior knowledge; `https://` is TLS that **accepts any certificate**, as `grpcurl -insecure`
//! does. That is for demonstrations and tests only.
//!
//! ```no_run
//! # async fn example() -> Result<(), meshlib_examples::client::ClientError> {
//! let client = meshlib_examples::client::EchoClient::connect("https://127.0.0.1:8443").await?;
//! let reply = client.echo("hello").await?;
//! println!("{} from {:?}", reply.content, reply.hostname());
//! # Ok(())
//! # }
//! ```

mod tls;

pub use self::tls::any_certificate;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::proto::{EchoRequest, EchoResponse};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to an echo application, or to a proxy in front of one. Clones share it; it connects again when it was
/// lost.
#[derive(Clone, Debug)]
pub struct EchoClient {
    channel: Channel,
}

/// What one call brought.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The content of the answer.
    pub content: String,
    /// The response's headers (initial metadata).
    pub headers: MetadataMap,
    /// The response's trailers, `grpc-status` included.
    pub trailers: MetadataMap,
}

impl Reply {
    /// The host that answered, from the header `hostname`.
    pub fn hostname(&self) -> Option<&str> {
        self.headers.get("hostname")?.to_str().ok()
    }
}

/// Why there is no reply. Its text is one line with all causes.
#[derive(Debug)]
pub enum ClientError {
    /// The address is not a URL with scheme `http` or `https`, a host and a port.
    Address(String),
    /// No connection: refused, timed out, or no TLS.
    Connect(Box<dyn Error + Send + Sync>),
    /// The call ended with a status other than OK.
    Status(Box<Status>),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(reason) => write!(f, "{reason}"),
            Self::Connect(error) => {
                // tonic's own text is "transport error": the reason is further down, at times twice.
                let mut text = error.to_string();
                write!(f, "cannot connect: {text}")?;
                let mut source = error.source();
                while let Some(error) = source {
                    let former = std::mem::replace(&mut text, error.to_string());
                    if text != former {
                        write!(f, ": {text}")?;
                    }
                    source = error.source();
                }
                Ok(())
            }
            Self::Status(status) => {
                write!(f, "grpc-status {} ({:?}): {}", i32::from(status.code()), status.code(), status.message())
            }
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Address(_) => None,
            Self::Connect(error) => Some(error.as_ref()),
            Self::Status(status) => Some(status.as_ref()),
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl EchoClient {
    /// Connects to `http://host:port` or `https://host:port`, within 5 s. TLS offers `h2` by ALPN.
    ///
    /// # Errors
    /// [`ClientError::Address`] and [`ClientError::Connect`].
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::connect_with_alpn(url, &["h2"]).await
    }

    /// As [`connect`](Self::connect), offering these protocols by ALPN; with none, no ALPN is sent at all, as old
    /// gRPC clients do. HTTP/2 is spoken whatever the server chose.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with_alpn(url: &str, alpn: &[&str]) -> Result<Self, ClientError> {
        let endpoint = endpoint(url)?.connect_timeout(CONNECT_TIMEOUT);
        let connector = tls::connector(alpn).map_err(|error| ClientError::Connect(error.into()))?;
        let channel = endpoint.connect_with_connector(connector).await;
        Ok(Self { channel: channel.map_err(|error| ClientError::Connect(error.into()))? })
    }

    /// The connection, for other generated clients (health, streams).
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// One call of `api.Echo/Echo`.
    ///
    /// # Errors
    /// [`ClientError::Status`]: whatever was not OK. A lost connection is a status as well (UNAVAILABLE).
    pub async fn echo(&self, content: &str) -> Result<Reply, ClientError> {
        let request = Request::new(EchoRequest { content: content.to_owned() });
        // Called as a stream of answers: a unary call would mix the headers and the trailers into one map.
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| ClientError::Connect(error.into()))?;
        let path = PathAndQuery::from_static("/api.Echo/Echo");
        let codec = tonic_prost::ProstCodec::<EchoRequest, EchoResponse>::default();
        let (headers, mut answers, _) = grpc.server_streaming(request, path, codec).await?.into_parts();
        let answer = answers.message().await?;
        // Reads on: the status comes after the message.
        let trailers = answers.trailers().await?.unwrap_or_default();
        let answer = answer.ok_or_else(|| Status::internal("the status is OK and there is no message"))?;
        Ok(Reply { content: answer.content, headers, trailers })
    }
}

fn endpoint(url: &str) -> Result<Endpoint, ClientError> {
    let wrong = |reason: &str| ClientError::Address(format!("{url}: {reason}; expected https://host:port"));
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong("not a URL"))?;
    let uri = endpoint.uri();
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(_) => return Err(wrong("the scheme is neither http nor https")),
        None => return Err(wrong("no scheme")),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("no host"));
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests;
