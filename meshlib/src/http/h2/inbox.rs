//! What has arrived on a stream and was not read yet.
//!
//! Frames are copied out of the buffer that they were read into, which all connections of a worker share. Small ones
//! are joined where nobody has read the ones before: a reader that stands still holds little more than its window,
//! however small the frames (RUSTSEC-2026-0258).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Frames below this are joined, into pieces of this size.
const SMALL: usize = 1 << 10;
const PIECE: usize = 16 << 10;

/// Bytes in order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// The oldest piece, where a unary message has its only one.
    first: Bytes,
    rest: VecDeque<Bytes>,
    /// Small frames behind all others.
    joined: BytesMut,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.rest.is_empty() && self.joined.is_empty()
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        if self.is_empty() {
            self.first = Bytes::copy_from_slice(data);
        } else if data.len() >= SMALL && self.joined.is_empty() {
            self.rest.push_back(Bytes::copy_from_slice(data));
        } else {
            self.joined.extend_from_slice(data);
            if self.joined.len() >= PIECE {
                self.rest.push_back(std::mem::take(&mut self.joined).freeze());
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        self.rest
            .pop_front()
            .or_else(|| Some(std::mem::take(&mut self.joined).freeze()).filter(|data| !data.is_empty()))
    }

    /// Throws everything away, and says how much that was.
    pub(super) fn clear(&mut self) -> u32 {
        let Self { first, rest, joined } = std::mem::take(self);
        let length = first.len() + rest.iter().map(Bytes::len).sum::<usize>() + joined.len();
        // Never more than a window.
        u32::try_from(length).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let mut inbox = Inbox::default();
        let (mut pushed, mut popped) = (Vec::new(), Vec::new());
        for turn in 0..500_usize {
            let data = vec![turn as u8; 1 + turn * 7919 % 3000];
            inbox.push(&data);
            pushed.extend(data);
            if turn % 7 == 0 {
                popped.extend(inbox.pop().unwrap());
            }
        }
        while let Some(piece) = inbox.pop() {
            assert!(!piece.is_empty());
            popped.extend(piece);
        }
        assert_eq!(pushed, popped);
        assert!(inbox.is_empty());
    }

    #[test]
    fn frames_of_a_byte_are_joined() {
        let mut inbox = Inbox::default();
        (0..200_000).for_each(|_| inbox.push(b"x"));
        assert!(inbox.rest.len() <= 200_000 / PIECE);
        assert_eq!(inbox.clear(), 200_000);
        assert!(inbox.is_empty());
    }
}
