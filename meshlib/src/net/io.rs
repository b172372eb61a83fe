//! Adapters of byte streams.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use meshlib::net::io::Rewind;
//! use tokio::io::AsyncReadExt;
//!
//! let (mut peer, io) = tokio::io::duplex(64);
//! tokio::io::AsyncWriteExt::write_all(&mut peer, b" / HTTP/1.1").await.unwrap();
//! let mut io = Rewind::new("GET".into(), io); // read while looking at the protocol, given back
//! let mut read = [0; 14];
//! io.read_exact(&mut read).await.unwrap();
//! assert_eq!(&read, b"GET / HTTP/1.1");
//! # }
//! ```

use std::{
    io::{IoSlice, Result},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes that were read already, then the stream that they came from. Writes pass through, vectored ones too.
#[derive(Debug)]
pub struct Rewind<T> {
    prefix: Bytes,
    inner: T,
}

impl<T> Rewind<T> {
    /// Gives `prefix` back to the readers of `inner`.
    pub fn new(prefix: Bytes, inner: T) -> Self {
        Self { prefix, inner }
    }

    /// What has not been read again yet, and the stream.
    pub fn into_parts(self) -> (Bytes, T) {
        (self.prefix, self.inner)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let length = self.prefix.len().min(buf.remaining());
        buf.put_slice(&self.prefix.split_to(length));
        if self.prefix.is_empty() {
            // The empty remainder would keep the allocation for the connection's life.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Rewind<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Closes a connection so that the peer still reads what was written last.
///
/// A socket closed with unread bytes is reset, and a reset throws away what the peer has not read yet: the very
/// answer that says why. So this ends the writing side, then reads and discards until the peer closes too, `within`
/// at most (Envoy's `delayed_close_timeout`). Errors end it: there is nobody left to tell.
pub async fn close_gently<T: AsyncRead + AsyncWrite + Unpin>(mut io: T, within: Duration) {
    let close = pin!(async {
        io.shutdown().await?;
        // Not in the future, which is part of the connection's for as long as that lives.
        let mut discarded = vec![0; 4096];
        while io.read(&mut discarded).await? > 0 {}
        Result::Ok(())
    });
    // Neither the time running out nor an error leaves anything to do: dropping the stream closes it.
    let _ = tokio::time::timeout(within, close).await;
}

/// Reads up to `prefix.len()` bytes as long as `more` wants them, and says how many there are: fewer than wanted when
/// the peer stopped writing. Never reads more than one byte beyond what decides, if the peer sends them one by one.
pub(crate) async fn read_while<T: AsyncRead + Unpin>(
    io: &mut T,
    prefix: &mut [u8],
    more: impl Fn(&[u8]) -> bool,
) -> Result<usize> {
    let mut buf = ReadBuf::new(prefix);
    std::future::poll_fn(|cx| {
        while buf.remaining() > 0 && more(buf.filled()) {
            let before = buf.filled().len();
            ready!(Pin::new(&mut *io).poll_read(cx, &mut buf))?;
            if buf.filled().len() == before {
                break;
            }
        }
        Poll::Ready(Ok(buf.filled().len()))
    })
    .await
}
