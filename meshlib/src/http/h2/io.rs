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
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    limits::HeadLimits,
    meter::{FrameMeter, Role},
    seen::Seen,
};
use crate::{base::resources::Io, net::io::close_gently};

/// The most that is collected before it is written in the middle of a turn.
const COLLECT: usize = 64 << 10;

/// What `h2` reads from and writes to.
pub(super) struct Adapter<T>(Arc<Mutex<Shared<T>>>);

/// Flushes what an [`Adapter`] has collected. Held by whoever polls the connection.
pub(super) struct Flush<T>(Arc<Mutex<Shared<T>>>);

struct Shared<T> {
    io: T,
    meter: FrameMeter,
    /// The type of an empty DATA frame, whose flags have not come.
    held: Option<u8>,
    /// Inspected, and no room for it in the reader's buffer.
    left: Option<u8>,
    out: BytesMut,
    /// Something was written and not flushed yet: here, or by a TLS session below.
    dirty: bool,
    /// The host has closed: requests that have not left may be on their way elsewhere, and must not leave any more.
    over: bool,
}

/// Puts the adapter on `io`, of which `role` is our end. The peer's heads and trailers have `limits`.
pub(super) fn adapt<T: Io>(io: T, role: Role, limits: HeadLimits) -> (Adapter<T>, Flush<T>, Arc<Seen>) {
    let (meter, seen) = FrameMeter::new(role, limits);
    let out = BytesMut::new();
    let shared = Shared { io, meter, held: None, left: None, out, dirty: false, over: false };
    let shared = Arc::new(Mutex::new(shared));
    (Adapter(shared.clone()), Flush(shared), seen)
}

fn lock<T>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    // Never contended: the connection's task alone holds both ends.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Io> Flush<T> {
    /// Ends a turn: writes what was collected. Pending when the socket is full; the connection's task is woken when it
    /// is not.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        shared.meter.turn();
        if !shared.dirty {
            return Poll::Ready(Ok(()));
        }
        shared.poll_drain(cx)
    }

    /// Closes the stream once nobody else holds it, so that the peer can read what was written last. What was
    /// collected and not written by then is lost.
    pub(super) async fn close(self, within: Duration) {
        if let Some(shared) = Arc::into_inner(self.0) {
            close_gently(shared.into_inner().unwrap_or_else(PoisonError::into_inner).io, within).await;
        }
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
            self.meter.left();
        }
        self.out = BytesMut::new();
        // A TLS session may still hold records of its own.
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.dirty = false;
        Poll::Ready(Ok(()))
    }

    /// Ready when there is room to collect more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.out.len() >= COLLECT {
            ready!(self.poll_drain(cx))?;
        }
        Poll::Ready(Ok(COLLECT - self.out.len()))
    }

    /// Nothing more will be read. A client that half-closes still gets its answers; a host gets nothing more.
    fn ended(&mut self) {
        if self.meter.is_client() {
            (self.over, self.out) = (true, BytesMut::new());
        }
    }

    fn collect(&mut self, bytes: &[u8], room: &mut usize) -> usize {
        if self.over {
            return bytes.len();
        }
        let taken = bytes.get(..bytes.len().min(*room)).unwrap_or(bytes);
        self.meter.sent(taken);
        self.dirty = true;
        self.out.extend_from_slice(taken);
        *room -= taken.len();
        taken.len()
    }
}

impl<T: Io> Shared<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let begin = buf.filled().len();
        loop {
            if self.held.is_some() && buf.remaining() == 1 {
                return self.poll_held(cx, buf);
            }
            let held = self.held.take();
            buf.put_slice(held.as_slice());
            let before = buf.filled().len();
            let read = Pin::new(&mut self.io).poll_read(cx, buf);
            let end = buf.filled().len();
            if !matches!(read, Poll::Ready(Ok(()))) || end == before {
                // Nothing new. What was held back stays so; at the end of the stream it is of no use to anybody.
                buf.set_filled(begin);
                self.held = held;
                if read.is_ready() {
                    self.ended();
                }
                return read;
            }
            if held.is_some() {
                self.meter.rewind_one();
            }
            let fresh = buf.filled_mut().get_mut(begin..).unwrap_or_default();
            let passed = begin + self.meter.inspect(fresh);
            self.held = buf.filled().get(passed).copied();
            buf.set_filled(passed);
            if passed > begin {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// The byte that was held back fills what room there is, so its flags have to be read elsewhere.
    fn poll_held(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut flags = [0];
        let mut read = ReadBuf::new(&mut flags);
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, &mut read));
        let Some(held) = self.held.filter(|_| result.is_ok() && !read.filled().is_empty()) else {
            self.ended();
            return Poll::Ready(result);
        };
        let [flags] = flags;
        let mut both = [held, flags];
        self.meter.rewind_one();
        self.meter.inspect(&mut both);
        let [kind, flags] = both;
        (self.held, self.left) = (None, Some(flags));
        buf.put_slice(&[kind]);
        Poll::Ready(Ok(()))
    }
}

impl<T: Io> AsyncRead for Adapter<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shared = &mut *lock(&self.0);
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(left) = shared.left.take() {
            buf.put_slice(&[left]);
            return Poll::Ready(Ok(()));
        }
        if shared.meter.is_turn_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        shared.poll_read(cx, buf)
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
        let (mut adapter, flush, _) = adapt(near, Role::Client, HeadLimits::new(60 << 10, 100));
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
        let (mut adapter, _flush, _) = adapt(near, Role::Client, HeadLimits::new(60 << 10, 100));
        let accepted = futures_util::FutureExt::now_or_never(adapter.write_all(&[0; 256 << 10]));
        assert!(accepted.is_none());
        assert!(lock(&adapter.0).out.len() <= COLLECT);
    }

    #[tokio::test]
    async fn a_byte_that_was_held_back_comes_out_with_the_next_ones() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (mut adapter, _flush, _) = adapt(near, Role::Client, HeadLimits::new(60 << 10, 100));
        far.write_all(&[0, 0, 0, 0]).await.unwrap();
        let mut first = [0; 16];
        assert_eq!(adapter.read(&mut first).await.unwrap(), 3);
        far.write_all(&[0, 0, 0, 0, 1]).await.unwrap();
        let mut rest = [0; 16];
        assert_eq!(adapter.read(&mut rest).await.unwrap(), 6);
        assert_eq!(rest[..2], [0xfa, 0]);
    }

    #[tokio::test]
    async fn bytes_keep_their_order_however_little_room_a_reader_has() {
        // An empty DATA frame, one that ends its stream, a PING: cut everywhere, read into buffers of every size. A
        // reader that asks for the rest of a block of memory may have room for a single byte.
        let stream = [
            &[0, 0, 0, 0, 0, 0, 0, 0, 1][..],
            &[0, 0, 0, 0, 1, 0, 0, 0, 1],
            &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        ]
        .concat();
        let mut expected = stream.clone();
        expected[3] = 0xfa;
        for cut in 1..stream.len() {
            for room in 1..4 {
                let (near, mut far) = tokio::io::duplex(1024);
                let (mut adapter, _flush, _) = adapt(near, Role::Client, HeadLimits::new(60 << 10, 100));
                far.write_all(&stream[..cut]).await.unwrap();
                let mut read = Vec::new();
                let mut buf = vec![0; room];
                while let Some(Ok(n)) = futures_util::FutureExt::now_or_never(adapter.read(&mut buf)) {
                    read.extend_from_slice(&buf[..n]);
                }
                far.write_all(&stream[cut..]).await.unwrap();
                drop(far);
                loop {
                    match adapter.read(&mut buf).await.unwrap() {
                        0 => break,
                        n => read.extend_from_slice(&buf[..n]),
                    }
                }
                assert_eq!(read, expected, "cut after {cut} bytes, room for {room}");
            }
        }
    }

    #[tokio::test]
    async fn a_stream_has_left_when_the_socket_took_anything_after_it() {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (mut adapter, flush, seen) = adapt(near, Role::Client, HeadLimits::new(60 << 10, 100));
        let head = |stream| [0, 0, 1, 1, 4, 0, 0, 0, stream, 0x88];
        adapter.write_all(&[0; 24]).await.unwrap();
        adapter.write_all(&head(1)).await.unwrap();
        assert!(!seen.has_left(1), "collected is not written");
        poll_fn(|cx| flush.poll(cx)).await.unwrap();
        assert!(seen.has_left(1) && !seen.has_left(3));
        drop(far);
        adapter.write_all(&head(3)).await.unwrap();
        poll_fn(|cx| flush.poll(cx)).await.unwrap_err();
        assert!(!seen.has_left(3));
    }

    #[tokio::test]
    async fn what_has_not_left_when_the_host_closes_never_will() {
        let (near, mut far) = tokio::io::duplex(24);
        let (mut adapter, flush, seen) = adapt(near, Role::Client, HeadLimits::new(60 << 10, 100));
        let head = |stream| [0, 0, 1, 1, 4, 0, 0, 0, stream, 0x88];
        adapter.write_all(&[0; 24]).await.unwrap();
        poll_fn(|cx| flush.poll(cx)).await.unwrap();
        adapter.write_all(&head(1)).await.unwrap();
        assert!(futures_util::FutureExt::now_or_never(poll_fn(|cx| flush.poll(cx))).is_none(), "no room");
        // It reads on, and could still take what its client has given up and sent elsewhere.
        far.shutdown().await.unwrap();
        assert_eq!(adapter.read(&mut [0; 9]).await.unwrap(), 0);
        assert!(!seen.has_left(1));
        adapter.write_all(&head(3)).await.unwrap();
        let mut all = Vec::new();
        let (shut, read) = tokio::join!(adapter.shutdown(), far.read_to_end(&mut all));
        shut.unwrap();
        read.unwrap();
        assert_eq!(all, [0; 24]);
    }

    /// Takes everything at once, as a TLS session does, and hands it on when it is flushed for the second time.
    struct Session {
        held: Vec<u8>,
        sent: Arc<Mutex<Vec<u8>>>,
        full: bool,
    }

    impl AsyncRead for Session {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Session {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.held.extend_from_slice(bytes);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            if std::mem::take(&mut self.full) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let held = std::mem::take(&mut self.held);
            self.sent.lock().unwrap().extend(held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_a_session_below_still_holds_is_flushed_too() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let session = Session { held: Vec::new(), sent: sent.clone(), full: true };
        let (mut adapter, flush, _) = adapt(session, Role::Client, HeadLimits::new(60 << 10, 100));
        adapter.write_all(b"the last bytes").await.unwrap();
        poll_fn(|cx| flush.poll(cx)).await.unwrap();
        assert_eq!(*sent.lock().unwrap(), b"the last bytes");
    }
}
