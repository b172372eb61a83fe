//! The IO below hyper.

use std::{
    io::{IoSlice, Result},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::state::State;
use crate::net::Rewind;

/// How hyper's own answers to heads that it cannot parse begin: 400, 414 and 431.
const OWN_ANSWER: &[u8] = b"HTTP/1.1 4";

/// A stream that notes what moves on it, and withholds what hyper says on its own account.
///
/// hyper answers malformed heads by itself, out of sight of any service. Those bytes are swallowed here, so that the
/// handler's answer goes out instead, is counted and logged. They cannot be mistaken: while all earlier responses have
/// been written and no request is in flight, hyper writes nothing else.
pub(super) struct Watched<T> {
    inner: Rewind<T>,
    state: Arc<State>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, state: Arc<State>) -> Self {
        Self { inner: Rewind::new(Bytes::new(), inner), state }
    }

    /// The same stream, from which `read` comes once more. Nothing else may be left to come once more.
    pub(super) fn rewound(self, read: Bytes) -> Self {
        let (_, inner) = self.inner.into_parts();
        Self { inner: Rewind::new(read, inner), state: self.state }
    }

    pub(super) fn into_inner(self) -> T {
        self.inner.into_parts().1
    }

    fn wrote(&self, result: Result<usize>) -> Result<usize> {
        match &result {
            Ok(_) => self.state.wrote(),
            Err(_) => self.state.lose(),
        }
        result
    }

    fn is_hypers_own(&self, bytes: &[u8]) -> bool {
        self.state.is_settled() && bytes.starts_with(OWN_ANSWER)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        match &result {
            Ok(()) => self.state.read(buf.filled().len() - before),
            Err(_) => self.state.lose(),
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        if self.is_hypers_own(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        Poll::Ready(self.wrote(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if bufs.first().is_some_and(|buf| self.is_hypers_own(buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs));
        Poll::Ready(self.wrote(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        match &result {
            Ok(()) => self.state.flushed(),
            Err(_) => self.state.lose(),
        }
        Poll::Ready(result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        // Closing comes after hyper: there may be an answer left to write.
        Poll::Ready(Ok(()))
    }
}
