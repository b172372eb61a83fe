//! An upstream HTTP/1.1 connection: one request at a time.
//!
//! A codec of our own: heads are parsed by `httparse`, and everything around them is here. hyper's client, which this
//! was, hands each request to the connection's task and gets the response back from it; here the exchange itself writes
//! and reads: a proxied request takes 36,500 instructions, not 43,300. What a proxy owes an upstream is done on the way:
//! origin-form targets, a `host` that is the request's authority, one `cookie` field, and framing for every body, a
//! GET's too.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http::Request;
//! use meshlib::http::{Body, h1::client};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let (near, mut far) = tokio::io::duplex(1024);
//! let (client, connection) = client::handshake(Box::new(near));
//! tokio::spawn(connection);
//! let response = tokio::spawn(client.exchange(Request::get("http://a.example/b").body(Body::empty()).unwrap()));
//!
//! let mut request = [0; 36];
//! far.read_exact(&mut request).await.unwrap();
//! assert_eq!(request, *b"GET /b HTTP/1.1\r\nhost: a.example\r\n\r\n");
//! far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
//! assert_eq!(response.await.unwrap().unwrap().status(), 204);
//! # }
//! ```

mod body;
mod chunked;
mod exchange;
mod head;
mod state;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;

pub(crate) use self::body::ResponseBody;
pub use self::exchange::Exchange;
use self::state::Shared;
use crate::{
    base::{Side, resources::BoxIo},
    http::body::Body,
};

/// The sending side of a connection.
pub struct H1Client(Arc<Shared>);

/// The connection itself: a task drives it. It ends when the connection is closed: by the host, by an exchange that was
/// given up, or for want of an [`H1Client`].
pub struct H1Connection(Arc<Shared>);

/// Speaks HTTP/1.1 on `io`. Nothing is written before the first request.
pub fn handshake(io: BoxIo) -> (H1Client, H1Connection) {
    let shared = Arc::new(Shared::new(io));
    (H1Client(shared.clone()), H1Connection(shared))
}

impl H1Client {
    /// Whether a request can be sent now: the one before is complete in both directions and the host is still there.
    pub fn is_ready(&self) -> bool {
        self.0.lock().is_ready()
    }

    /// Whether the connection ended.
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed()
    }

    /// Waits until a request can be sent; `false` when the connection ended instead.
    pub async fn ready(&mut self) -> bool {
        poll_fn(|cx| self.0.lock().poll_idle(cx)).await
    }

    /// Sends a request and waits for the response's head. Dropping the future, or later the response's body before its
    /// end, closes the connection.
    ///
    /// A request comes back in [`Failed`](crate::http::Failed) when certainly nothing of it was written: the connection
    /// was closed, or is busy.
    pub fn exchange(&self, request: Request<Body>) -> Exchange {
        Exchange::begin(&self.0, request)
    }
}

impl Drop for H1Client {
    fn drop(&mut self) {
        self.0.lock().let_go();
    }
}

impl Future for H1Connection {
    /// The side that ended it.
    type Output = Side;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Side> {
        self.0.lock().poll_driver(cx)
    }
}

/// Nobody looks after the connection any more, as when its runtime has ended.
impl Drop for H1Connection {
    fn drop(&mut self) {
        self.0.lock().close();
    }
}

impl fmt::Debug for H1Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1Client").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

impl fmt::Debug for H1Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H1Connection").finish_non_exhaustive()
    }
}
