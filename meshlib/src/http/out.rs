//! What a connection of either protocol has to write, collected until the end of a turn.
//!
//! Small frames are joined; a large payload is kept as it is, and written with what surrounds it in one system call.
//! The memory goes back when everything is written, to the next connection of the thread that has something to write:
//! an idle connection holds none.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};

use super::block;
use crate::base::resources::Io;

/// Payloads below this are copied: that costs less than another slice to write.
const COPIED: usize = 4 << 10;
/// Slices in one system call.
const SLICES: usize = 16;

/// Bytes in the order in which they leave.
#[derive(Debug, Default)]
pub(crate) struct Out {
    parts: VecDeque<Bytes>,
    parts_len: usize,
    tail: BytesMut,
}

impl Out {
    pub(crate) fn len(&self) -> usize {
        self.parts_len + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where frames are appended.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        if self.tail.capacity() == 0 {
            self.tail = block::take();
        }
        &mut self.tail
    }

    /// Appends a frame: its head, and its payload.
    pub(crate) fn push(&mut self, head: &[u8], payload: Bytes) {
        self.tail().extend_from_slice(head);
        if payload.len() < COPIED {
            self.tail.extend_from_slice(&payload);
            return;
        }
        let before = self.tail.split().freeze();
        self.parts_len += before.len() + payload.len();
        self.parts.extend([before, payload]);
    }

    /// Writes until everything has left, or the socket is full.
    pub(crate) fn poll_write<T: Io>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = match self.parts.is_empty() {
                true => ready!(Pin::new(&mut *io).poll_write(cx, &self.tail))?,
                false => ready!(self.poll_write_parts(io, cx))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        block::give_back(std::mem::take(&mut self.tail));
        Poll::Ready(Ok(()))
    }

    fn poll_write_parts<T: Io>(&mut self, io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let all = self.parts.iter().map(|part| &**part).chain([&*self.tail]);
        for (slice, part) in slices.iter_mut().zip(all) {
            *slice = IoSlice::new(part);
        }
        let count = SLICES.min(self.parts.len() + 1);
        Pin::new(io).poll_write_vectored(cx, slices.get(..count).unwrap_or(&slices))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(part) = self.parts.front_mut() {
            let taken = part.len().min(written);
            part.advance(taken);
            (written, self.parts_len) = (written - taken, self.parts_len - taken);
            if !part.is_empty() {
                return;
            }
            self.parts.pop_front();
        }
        self.tail.advance(written.min(self.tail.len()));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn everything_leaves_in_order_however_little_the_socket_takes() {
        for room in [1, 7, 4096, 1 << 20] {
            let (mut near, mut far) = tokio::io::duplex(room);
            let mut out = Out::default();
            let mut expected = Vec::new();
            for turn in 0..20_usize {
                let payload = Bytes::from(vec![turn as u8; turn * 997]);
                let head = payload.len().to_be_bytes();
                expected.extend(head);
                expected.extend(&payload);
                out.push(&head, payload);
                assert_eq!(out.len(), expected.len());
            }
            let mut read = vec![0; expected.len()];
            let write = std::future::poll_fn(|cx| out.poll_write(&mut near, cx));
            let (written, _) = tokio::join!(write, far.read_exact(&mut read));
            written.unwrap();
            assert_eq!(read, expected);
            assert!(out.is_empty() && out.tail.capacity() == 0);
        }
    }

    #[tokio::test]
    async fn a_full_socket_is_waited_for() {
        let (mut near, _far) = tokio::io::duplex(4);
        let mut out = Out::default();
        out.push(b"head", Bytes::from(vec![0; 5000]));
        assert!(std::future::poll_fn(|cx| out.poll_write(&mut near, cx)).now_or_never().is_none());
        assert_eq!(out.len(), 5000);
    }
}
