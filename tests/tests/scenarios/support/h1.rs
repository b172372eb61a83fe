//! HTTP/1.1 as text: a client, and an application.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::{tls::tls, within};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The first line and the fields, each ended by CRLF.
    pub(crate) head: String,
    /// The body, unchunked.
    pub(crate) body: String,
}

impl Message {
    /// The first line.
    pub(crate) fn first(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of a field, in order.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The names of all fields, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut names: Vec<_> = fields.map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        names
    }
}

/// Any stream of bytes.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One side of a connection.
pub(crate) struct Connection {
    io: Box<dyn Stream>,
    /// Read and not used yet.
    rest: Vec<u8>,
}

impl Connection {
    /// To `address`, in plain text.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        Self::over(stream)
    }

    /// To `address`, over TLS that offers these protocols.
    pub(crate) async fn open_tls(address: SocketAddr, alpn: &[&str]) -> Self {
        Self::over(tls(&address.to_string(), alpn).await)
    }

    fn over(io: impl Stream + 'static) -> Self {
        Self { io: Box::new(io), rest: Vec::new() }
    }

    pub(crate) async fn write(&mut self, text: impl AsRef<[u8]>) {
        self.try_write(text).await.expect("the other side reads");
    }

    /// # Errors
    /// The other side has closed.
    pub(crate) async fn try_write(&mut self, text: impl AsRef<[u8]>) -> std::io::Result<()> {
        within("writing", async {
            self.io.write_all(text.as_ref()).await?;
            self.io.flush().await
        })
        .await
    }

    /// The next message, but not its body.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.rest, b"\r\n\r\n") {
                let head = self.rest.drain(..end + 4).collect::<Vec<_>>();
                return Some(String::from_utf8_lossy(&head[..end + 2]).into_owned());
            }
            if !self.more().await {
                assert!(self.rest.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.rest));
                return None;
            }
        }
    }

    /// The next message; `None` once the other side has closed.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let head = self.head().await?;
        let message = Message { head, body: String::new() };
        let length = message.fields("content-length").first().map(|length| length.parse().expect("a length"));
        let chunked = message.fields("transfer-encoding") == ["chunked"];
        let body = match length {
            _ if chunked => self.chunks().await,
            Some(length) => self.exactly(length).await,
            None => String::new(),
        };
        Some(Message { body, ..message })
    }

    async fn chunks(&mut self) -> String {
        let mut body = String::new();
        loop {
            let length = self.line().await;
            let length = usize::from_str_radix(length.trim(), 16).expect("a length");
            body.push_str(&self.exactly(length).await);
            // The end of the chunk; the last one has no trailers here.
            assert_eq!(self.line().await, "");
            if length == 0 {
                return body;
            }
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.rest, b"\r\n") {
                let line = self.rest.drain(..end + 2).collect::<Vec<_>>();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            assert!(self.more().await, "closed in the middle");
        }
    }

    async fn exactly(&mut self, length: usize) -> String {
        while self.rest.len() < length {
            assert!(self.more().await, "closed in the middle");
        }
        String::from_utf8(self.rest.drain(..length).collect()).expect("text")
    }

    /// Reads once; `false` at the end. A side that closes without ceremony is no failure here.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        match within("reading", self.io.read(&mut bytes)).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.rest.extend_from_slice(&bytes[..length]);
                true
            }
        }
    }

    /// Everything until the other side closes.
    pub(crate) async fn read_to_end(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

fn find(bytes: &[u8], end: &[u8]) -> Option<usize> {
    bytes.windows(end.len()).position(|window| window == end)
}

/// Sends one request on a connection of its own, and reads the response.
pub(crate) async fn call(address: SocketAddr, request: &str) -> Message {
    let mut connection = Connection::open(address).await;
    connection.write(request).await;
    connection.next().await.expect("a response")
}

/// An application. Dropping it closes its port and its connections.
#[derive(Debug)]
pub(crate) struct TextApp {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Message>>>,
    task: AbortHandle,
}

impl Drop for TextApp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TextApp {
    /// Answers each request with the text that `answer` makes of it; an empty text closes the connection.
    pub(crate) async fn start(answer: impl Fn(&Message) -> String + Clone + Send + 'static) -> Self {
        Self::serving(usize::MAX, answer).await
    }

    /// The same, but closes each connection after its first answer, without a word.
    pub(crate) async fn closing(answer: impl Fn(&Message) -> String + Clone + Send + 'static) -> Self {
        Self::serving(1, answer).await
    }

    /// Serves so many requests on each connection.
    async fn serving(most: usize, answer: impl Fn(&Message) -> String + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, seen) = (connections.clone(), requests.clone());
        let accept = async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (seen, answer) = (seen.clone(), answer.clone());
                open.spawn(async move {
                    let mut connection = Connection::over(stream);
                    for _ in 0..most {
                        let Some(request) = connection.next().await else { return };
                        let text = answer(&request);
                        seen.lock().expect("no panic").push(request);
                        if text.is_empty() || connection.try_write(text).await.is_err() {
                            return;
                        }
                    }
                });
            }
        };
        Self { address, connections, requests, task: tokio::spawn(accept).abort_handle() }
    }

    /// Answers with 200 and the request's body.
    pub(crate) async fn echo() -> Self {
        Self::start(|request| {
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", request.body.len(), request.body)
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

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.requests.lock().expect("no panic").clone()
    }

    /// The only request.
    pub(crate) fn request(&self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}
