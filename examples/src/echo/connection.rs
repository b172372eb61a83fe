//! Accepted connections that can all be cut at once.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long accepting pauses after it failed. A lack of descriptors passes; a busy loop would not help it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// One accepted connection. It fails, and resets its peer, once the server is killed.
pub(super) struct Connection {
    stream: TcpStream,
    /// Completes when the connection must be cut; `None` from then on.
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Connection {
    fn new(stream: TcpStream, mut cut: watch::Receiver<bool>) -> Self {
        // A dropped sender is a dropped server: cut as well.
        let cut = async move {
            let _ = cut.wait_for(|cut| *cut).await;
        };
        Self { stream, cut: Some(Box::pin(cut)) }
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Some(cut) = &mut self.cut {
            if cut.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.cut = None;
            // Closing then sends RST in place of FIN, as the kernel does for a process that died with unread data.
            let _ = self.stream.set_zero_linger();
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).field("cut", &self.cut.is_none()).finish()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

/// The connections of a listener, counted. The stream never ends and never fails: it waits a little and goes on.
pub(super) fn incoming(
    listener: TcpListener,
    cut: watch::Receiver<bool>,
    accepted: Arc<AtomicU64>,
) -> impl Stream<Item = io::Result<Connection>> {
    futures_util::stream::unfold((listener, cut, accepted), |(listener, cut, accepted)| async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    accepted.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.set_nodelay(true);
                    let connection = Connection::new(stream, cut.clone());
                    return Some((Ok(connection), (listener, cut, accepted)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    })
}
