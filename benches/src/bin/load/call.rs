//! One unary gRPC call to an echo, and whether its answer is the right one.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};

/// Of the prefix of a gRPC message.
const PREFIX: usize = 5;

/// The same request again and again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    request: Request<()>,
    body: Bytes,
}

/// Why a call is no good.
#[derive(Debug)]
pub(crate) enum Failure {
    Http2(h2::Error),
    Status(StatusCode),
    /// `grpc-status`, empty where there is none.
    Grpc(String),
    /// Another number of bytes than was sent.
    Length(usize),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http2(error) => write!(f, "HTTP/2: {error}"),
            Self::Status(status) => write!(f, "the status is {status}"),
            Self::Grpc(status) => write!(f, "grpc-status is {status:?}"),
            Self::Length(length) => write!(f, "{length} bytes came back"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        Self::Http2(error)
    }
}

impl Call {
    /// A call whose body has `length` bytes, the five of the message's prefix included.
    pub(crate) fn new(path: &str, length: usize) -> http::Result<Self> {
        let request = Request::post(format!("http://echo.example{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let message = length.saturating_sub(PREFIX);
        let mut body = vec![0];
        body.extend(u32::try_from(message).unwrap_or(u32::MAX).to_be_bytes());
        body.resize(PREFIX + message, b'x');
        Ok(Self { request, body: body.into() })
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// Makes the call, and reads the answer to its end.
    pub(crate) async fn make(&self, client: SendRequest<Bytes>) -> Result<(), Failure> {
        let mut client = client.ready().await?;
        let (response, mut stream) = client.send_request(self.request.clone(), false)?;
        // Not held any longer: it would keep the connection open.
        drop(client);
        stream.send_data(self.body.clone(), true)?;
        let (head, mut body) = response.await?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Failure::Status(head.status));
        }
        let mut length = 0;
        while let Some(data) = body.data().await {
            let data = data?;
            length += data.len();
            body.flow_control().release_capacity(data.len())?;
        }
        let trailers = body.trailers().await?;
        let status = grpc_status(trailers.as_ref().unwrap_or(&head.headers));
        if status != "0" {
            return Err(Failure::Grpc(status));
        }
        if length == self.body.len() { Ok(()) } else { Err(Failure::Length(length)) }
    }
}

fn grpc_status(headers: &HeaderMap) -> String {
    headers.get("grpc-status").map(|status| String::from_utf8_lossy(status.as_bytes()).into_owned()).unwrap_or_default()
}
