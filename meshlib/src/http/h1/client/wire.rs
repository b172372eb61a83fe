//! The bytes of a connection, in both directions.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::head::{MAX_HEAD, Malformed, ResponseHead, take_response};
use crate::{
    base::{Error, resources::BoxIo},
    http::{block, out::Out},
};

/// What is read at once: of a head and a small body, and of one that fills it again and again. 100 MB down take 52 ms of
/// CPU with 64 KiB, 35 with 256, 33 with 512.
const READ: usize = block::SIZE;
const MAX_READ: usize = 256 << 10;
/// The most that the first read of an exchange takes, after large ones before it.
const FIRST_READ: usize = block::KEPT;
/// Data below this is copied: shared, a byte would keep the block that it was read into.
const COPIED: usize = 2 << 10;
/// The most empty lines before a head, in bytes.
const EMPTY_LINES: usize = 1 << 10;
/// The most heads of 1xx before the response's own.
const INTERIM: u32 = 32;

/// Why there is no response, or no more of it.
#[derive(Debug)]
pub(super) enum Failure {
    /// The host closed.
    Closed,
    /// The connection broke.
    Broken(io::Error),
    /// What came is no response.
    Malformed(Malformed),
    /// The request's body failed.
    Upload(Error),
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What was read and not looked at, and what is to be written.
pub(super) struct Wire {
    io: BoxIo,
    /// What came and was not looked at.
    pub(super) read: BytesMut,
    /// How much of that is known to be no whole head.
    looked_at: usize,
    /// How many heads of 1xx have come, and bytes of empty lines.
    interim: u32,
    empty: usize,
    /// How much is read at once, and whether a block has grown for it.
    room: usize,
    has_grown: bool,
    pub(super) out: Out,
}

impl Wire {
    pub(super) fn new(io: BoxIo) -> Self {
        Self {
            io,
            read: BytesMut::new(),
            looked_at: 0,
            interim: 0,
            empty: 0,
            room: READ,
            has_grown: false,
            out: Out::default(),
        }
    }

    /// Whether every byte in either direction has been dealt with.
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty() && self.out.is_empty()
    }

    /// Before the next exchange: an idle connection keeps no memory.
    pub(super) fn rest(&mut self) {
        self.give_back();
        (self.interim, self.empty, self.room, self.has_grown) = (0, 0, self.room.min(FIRST_READ), false);
    }

    /// Waits for what a host should not do between two exchanges: say something, or close.
    pub(super) fn poll_unasked(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.io).poll_read(cx, &mut ReadBuf::new(&mut [0])).map(drop)
    }

    /// Writes what there is to write.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.out.poll_write(&mut self.io, cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Reads the response's head. An answer of 1xx comes before it, and is for nobody (RFC 9110, section 15.2).
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        while self.interim < INTERIM {
            match ready!(self.poll_one_head(cx)) {
                Ok(head) if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS => {
                    self.interim += 1;
                }
                head => return Poll::Ready(head),
            }
        }
        Poll::Ready(Err(Malformed("the host says 1xx and nothing else").into()))
    }

    fn poll_one_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Failure>> {
        loop {
            if let Some(head) = self.take_head()? {
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_fill(cx)).map_err(Failure::Broken)? == 0 {
                return Poll::Ready(Err(Failure::Closed));
            }
        }
    }

    /// Looks again at a head that was not whole only where it may have ended since: a host that sends byte by byte costs
    /// no more than others.
    fn take_head(&mut self) -> Result<Option<ResponseHead>, Malformed> {
        if self.looked_at == 0 {
            // Empty lines before a head are overlooked (RFC 9112, section 2.2), but not again with each byte.
            let empty = self.read.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.read.advance(empty);
            self.empty += empty;
            if self.empty > EMPTY_LINES {
                return Err(Malformed("the host says empty lines and nothing else"));
            }
        }
        let looked_at = std::mem::replace(&mut self.looked_at, self.read.len());
        let is_new = looked_at == 0 && !self.read.is_empty();
        if !is_new && !ends_head(&self.read, looked_at) && self.read.len() <= MAX_HEAD {
            return Ok(None);
        }
        let head = take_response(&mut self.read)?;
        if head.is_some() {
            self.looked_at = 0;
        }
        Ok(head)
    }

    /// Not a block that has grown: while somebody has data of it, it does not look so.
    fn give_back(&mut self) {
        let block = std::mem::take(&mut self.read);
        if !self.has_grown {
            block::give_back(block);
        }
    }

    /// Reads more: how much, 0 at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() == 0 && self.room == block::SIZE {
            self.read = block::take();
        }
        self.has_grown |= self.room > FIRST_READ;
        self.read.reserve(self.room);
        let read = {
            let mut room = (&mut self.read).limit(self.room);
            let read = pin!(self.io.read_buf(&mut room));
            read.poll(cx)
        };
        if read.is_pending() && self.read.is_empty() && !self.has_grown {
            // Who waits for a host holds no memory; who reads a stream would not have its block for long.
            self.give_back();
        }
        let read = ready!(read)?;
        if read == self.room {
            self.room = (2 * self.room).min(MAX_READ);
        } else if read < self.room / 4 {
            self.room = (self.room / 2).max(READ);
        }
        Poll::Ready(Ok(read))
    }
}

/// Takes so many bytes of a body.
pub(super) fn take_data(read: &mut BytesMut, length: usize) -> Bytes {
    if length >= COPIED {
        return read.split_to(length).freeze();
    }
    let data = Bytes::copy_from_slice(read.get(..length).unwrap_or_default());
    read.advance(length);
    data
}

/// Whether a head, or trailers, may end beyond `looked_at`.
pub(super) fn ends_head(read: &[u8], looked_at: usize) -> bool {
    let new = read.get(looked_at.saturating_sub(2)..).unwrap_or_default();
    new.windows(2).any(|two| two == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}
