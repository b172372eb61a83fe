//! The adapter under every HTTP/2 connection: meters what is read, collects what is written.
//!
//! `h2` writes into a buffer and believes that it was flushed. Whoever polls the connection flushes for it, once, when
//! everything of this turn has been written: [`Flush::poll`]. The buffer is bounded; a full one writes through and
//! pushes back. It is given back to the allocator whenever it is empty.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    blocks::BlockLimits,
    meter::{FrameMeter, Seen},
};
use crate::base::resources::Io;

/// The most that is collected before it is written in the middle of a turn.
const COLLECT: usize = 64 << 10;

/// What `h2` reads from and writes to.
pub(super) struct Adapter<T>(Arc<Mutex<Shared<T>>>);

/// Flushes what an [`Adapter`] has collected. Held by whoever polls the connection.
pub(super) struct Flush<T>(Arc<Mutex<Shared<T>>>);

struct Shared<T> {
    io: T,
    meter: FrameMeter,
    held: Option<u8>,
    out: BytesMut,
}

/// Puts the adapter on `io`; `preface` bytes of what is read come before the first frame.
pub(super) fn adapt<T: Io>(io: T, preface: usize, limits: BlockLimits) -> (Adapter<T>, Flush<T>, Arc<Seen>) {
    let (meter, seen) = FrameMeter::new(preface, limits);
    let shared = Arc::new(Mutex::new(Shared { io, meter, held: None, out: BytesMut::new() }));
    (Adapter(shared.clone()), Flush(shared), seen)
}

fn lock<T>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    // Never contended: the connection's task alone holds both ends.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Io> Flush<T> {
    /// Writes what was collected. Pending when the socket is full; the connection's task is woken when it is not.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        if shared.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        shared.poll_drain(cx)
    }
}

impl<T: Io> Shared<T> {
    /// Writes out everything and gives the buffer back.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        self.out = BytesMut::new();
        // A TLS session may still hold records of its own.
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Ready when there is room to collect more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.out.len() >= COLLECT {
            ready!(self.poll_drain(cx))?;
        }
        Poll::Ready(Ok(COLLECT - self.out.len()))
    }

    fn collect(&mut self, bytes: &[u8], room: &mut usize) -> usize {
        let taken = bytes.get(..bytes.len().min(*room)).unwrap_or(bytes);
        self.out.extend_from_slice(taken);
        *room -= taken.len();
        taken.len()
    }
}

impl<T: Io> AsyncRead for Adapter<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        let begin = buf.filled().len();
        loop {
            let held = shared.held.take_if(|_| buf.remaining() > 1);
            buf.put_slice(held.as_slice());
            let before = buf.filled().len();
            let read = Pin::new(&mut shared.io).poll_read(cx, buf);
            let end = buf.filled().len();
            if !matches!(read, Poll::Ready(Ok(()))) || end == before {
                // Nothing new. What was held back stays so; at the end of the stream it is of no use to anybody.
                buf.set_filled(begin);
                shared.held = held.or(shared.held);
                return read;
            }
            if held.is_some() {
                shared.meter.rewind_one();
            }
            let fresh = buf.filled_mut().get_mut(begin..).unwrap_or_default();
            let passed = begin + shared.meter.inspect(fresh);
            shared.held = buf.filled().get(passed).copied();
            buf.set_filled(passed);
            if passed > begin {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: Io> AsyncWrite for Adapter<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shared = &mut *lock(&self.0);
        let mut room = ready!(shared.poll_room(cx))?;
        Poll::Ready(Ok(shared.collect(bytes, &mut room)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let shared = &mut *lock(&self.0);
        let mut room = ready!(shared.poll_room(cx))?;
        Poll::Ready(Ok(slices.iter().map(|slice| shared.collect(slice, &mut room)).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Answers Ready without writing: [`Flush::poll`] does it at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        ready!(shared.poll_drain(cx))?;
        Pin::new(&mut shared.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn writes_leave_together_and_the_buffer_is_given_back() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (mut adapter, flush, _) = adapt(near, 0, BlockLimits::tight(1024));
        adapter.write_all(b"one ").await.unwrap();
        adapter.write_all(b"two").await.unwrap();
        adapter.flush().await.unwrap();
        let mut nothing = [0; 1];
        assert!(futures_util::FutureExt::now_or_never(far.read(&mut nothing)).is_none(), "written before its time");
        poll_fn(|cx| flush.poll(cx)).await.unwrap();
        let mut both = [0; 7];
        assert_eq!(far.read(&mut both).await.unwrap(), 7);
        assert_eq!(&both, b"one two");
        assert_eq!(lock(&flush.0).out.capacity(), 0);
    }

    #[tokio::test]
    async fn a_full_socket_pushes_back() {
        let (near, _far) = tokio::io::duplex(1024);
        let (mut adapter, _flush, _) = adapt(near, 0, BlockLimits::tight(1024));
        let accepted = futures_util::FutureExt::now_or_never(adapter.write_all(&[0; 256 << 10]));
        assert!(accepted.is_none());
        assert!(lock(&adapter.0).out.len() <= COLLECT);
    }

    #[tokio::test]
    async fn a_byte_that_was_held_back_comes_out_with_the_next_ones() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (mut adapter, _flush, _) = adapt(near, 0, BlockLimits::tight(1024));
        far.write_all(&[0, 0, 0, 0]).await.unwrap();
        let mut first = [0; 16];
        assert_eq!(adapter.read(&mut first).await.unwrap(), 3);
        far.write_all(&[0, 0, 0, 0, 1]).await.unwrap();
        let mut rest = [0; 16];
        assert_eq!(adapter.read(&mut rest).await.unwrap(), 6);
        assert_eq!(rest[..2], [0xfa, 0]);
    }
}
