//! An HTTP/2 client that shows all it got and withholds what it is told to.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::poll_fn;
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response, StatusCode, request};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

use super::{tls::tls, within};

/// One connection. Dropping it cuts it.
#[derive(Debug)]
pub(crate) struct Client {
    send: SendRequest<Bytes>,
    scheme: &'static str,
    address: SocketAddr,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A response and all that came with it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// A header, or the empty string.
    pub(crate) fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }

    /// A trailer, or the empty string.
    pub(crate) fn trailer(&self, name: &str) -> &str {
        text(&self.trailers, name)
    }

    pub(crate) fn body(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// A header, or the empty string.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

/// A call under way: its request's body is still open.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) body: SendStream<Bytes>,
    pub(crate) response: Awaited,
}

/// A response that has not come yet.
#[derive(Debug)]
pub(crate) struct Awaited(h2::client::ResponseFuture);

impl Client {
    /// HTTP/2 with prior knowledge.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        Self::over(stream, address, "http").await
    }

    /// HTTP/2 over TLS, agreed on by ALPN.
    pub(crate) async fn connect_tls(address: SocketAddr) -> Self {
        Self::over(tls(&address.to_string(), &["h2"]).await, address, "https").await
    }

    async fn over<T>(io: T, address: SocketAddr, scheme: &'static str) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Larger than what a response may be, so that the limits seen are the proxy's.
        let handshake = h2::client::Builder::new().max_header_list_size(1 << 20).handshake(io);
        let (send, connection) = within("a handshake", handshake).await.expect("a handshake");
        Self { send, scheme, address, connection: tokio::spawn(connection) }
    }

    /// A request for this path on this connection.
    pub(crate) fn request(&self, method: &str, path: &str) -> request::Builder {
        Request::builder().method(method).uri(format!("{}://{}{path}", self.scheme, self.address))
    }

    /// A gRPC request.
    pub(crate) fn grpc(&self, path: &str) -> request::Builder {
        self.request("POST", path).header("content-type", "application/grpc").header("te", "trailers")
    }

    /// Sends the head of a request.
    pub(crate) async fn begin(&self, request: request::Builder) -> Call {
        let mut send = within("a free stream", self.send.clone().ready()).await.expect("an open connection");
        let request = request.body(()).expect("a request");
        let (response, body) = send.send_request(request, false).expect("the request goes out");
        Call { body, response: Awaited(response) }
    }

    /// Sends a request with this body.
    ///
    /// # Errors
    /// The stream was reset, or the connection ended.
    pub(crate) async fn call(&self, request: request::Builder, body: &'static [u8]) -> Result<Answer, h2::Error> {
        let mut send = within("a free stream", self.send.clone().ready()).await?;
        let request = request.body(()).expect("a request");
        let (response, mut stream) = send.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            // All at once: h2 keeps what the window does not allow yet.
            stream.send_data(Bytes::from_static(body), true)?;
        }
        within("an answer", receive(response)).await
    }

    /// How many streams the server takes at once.
    pub(crate) fn max_streams(&self) -> usize {
        self.send.current_max_send_streams()
    }

    /// Waits until the connection ends, and says how.
    pub(crate) async fn closed(mut self) -> Result<(), h2::Error> {
        within("the connection ends", &mut self.connection).await.expect("no panic")
    }
}

impl Call {
    /// Ends the request and reads the whole response.
    ///
    /// # Errors
    /// The stream was reset, or the connection ended.
    pub(crate) async fn finish(mut self) -> Result<Answer, h2::Error> {
        self.body.send_data(Bytes::new(), true)?;
        self.response.answer().await
    }
}

impl Awaited {
    /// The head of the response, and its body unread.
    ///
    /// # Errors
    /// The stream was reset, or the connection ended.
    pub(crate) async fn head(self) -> Result<Response<RecvStream>, h2::Error> {
        within("a response", self.0).await
    }

    /// Reads the whole response.
    ///
    /// # Errors
    /// The stream was reset, or the connection ended.
    pub(crate) async fn answer(self) -> Result<Answer, h2::Error> {
        within("an answer", receive(self.0)).await
    }
}

async fn receive(response: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let data = read(&mut body).await?;
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(Answer { status: head.status, headers: head.headers, body: data, trailers })
}

/// Reads a body to its end.
///
/// # Errors
/// The stream was reset, or the connection ended.
pub(crate) async fn read(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(all.into())
}

/// Hands over as much of `data` as the receiver's window takes now; waits until it takes some.
///
/// # Errors
/// The stream was reset, or the connection ended.
pub(crate) async fn send_some(stream: &mut SendStream<Bytes>, data: &mut Bytes) -> Result<usize, h2::Error> {
    stream.reserve_capacity(data.len());
    let capacity = poll_fn(|cx| stream.poll_capacity(cx)).await;
    let capacity = capacity.transpose()?.ok_or(h2::Error::from(h2::Reason::CANCEL))?;
    let sent = capacity.min(data.len());
    stream.send_data(data.split_to(sent), false)?;
    Ok(sent)
}
