//! What a request wants.

use bytes::Bytes;

/// A piece of a long body.
const PIECE: &[u8] = &[b'x'; 64 * 1024];

/// What a request wants, by the end of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `.../source/N`: a body of N bytes.
    Source(u64),
    /// `.../sink/N`: status 200 if the request's body has N bytes, 500 otherwise; no body.
    Sink(u64),
    /// `.../Check`: the answer of gRPC's health service.
    Check,
    /// Anything else: the request's body.
    Echo,
}

impl Work {
    /// What this path stands for.
    pub(crate) fn of(path: &str) -> Self {
        let mut ends = path.rsplit('/');
        let (last, before) = (ends.next().unwrap_or(""), ends.next().unwrap_or(""));
        match (before, last.parse()) {
            ("source", Ok(length)) => Self::Source(length),
            ("sink", Ok(length)) => Self::Sink(length),
            _ if last == "Check" => Self::Check,
            _ => Self::Echo,
        }
    }
}

/// The next piece of a body that has `left` bytes to go; empty at its end.
pub(crate) fn piece(left: u64) -> Bytes {
    let mut piece = Bytes::from_static(PIECE);
    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
    piece
}
