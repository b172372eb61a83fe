//! The byte stream inside a TLS connection.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection after its handshake: what is written is encrypted, what is read was.
///
/// Each write becomes a record of its own, 16 KiB at most, and goes to the stream below at once: collect small writes
/// above. Reads ask the stream below for 4 KiB and more: a read buffer below saves system calls. The end of the
/// stream below without TLS's own end (`close_notify`) is an `UnexpectedEof`, so that a cut is not taken for an end.
#[derive(Debug)]
pub struct TlsStream<IO>(tokio_rustls::server::TlsStream<IO>);

impl<IO> TlsStream<IO> {
    pub(super) fn new(stream: tokio_rustls::server::TlsStream<IO>) -> Self {
        Self(stream)
    }

    /// The stream below.
    pub fn get_ref(&self) -> &IO {
        self.0.get_ref().0
    }

    /// The TLS connection: cipher suite, key exchange, whether the session was resumed.
    pub fn connection(&self) -> &rustls::ServerConnection {
        self.0.get_ref().1
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
