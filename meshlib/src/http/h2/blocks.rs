//! What `h2` does not say of header blocks: that it has left out fields.
//!
//! Of trailers beyond its limit `h2` hands on the fields that came before it, without a word. A call would lose
//! metadata, or end as if it had succeeded. The meter below `h2` sees how long each block was on the wire; from that
//! and from what is left follows whether something may be missing.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use http::HeaderMap;

/// What every field counts beyond its name and its value (RFC 9113, section 6.5.2).
const FIELD: usize = 32;
/// The largest field that one byte on the wire can stand for: an entry of HPACK's table, which we never enlarge.
const INDEXED: usize = 4096;
/// Shorter blocks are not noted.
const SHORT: usize = 4096;
/// Notes that nobody asks for, of streams that were refused, make room for new ones.
const NOTES: usize = 64;

/// How large the headers of one message may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockLimits {
    /// What is let through, counted as `SETTINGS_MAX_HEADER_LIST_SIZE` is.
    pub(crate) list: usize,
    /// Beyond this `h2` begins to leave out. Where it equals `list`, trailers are refused from two fifths of it.
    pub(crate) h2: usize,
}

impl BlockLimits {
    /// Limits under which no message within `list` can be taken for one that was cut.
    pub(crate) fn exact(list: usize) -> Self {
        Self { list, h2: list + longest(list) + INDEXED }
    }

    /// `h2` keeps no more than what is let through.
    pub(crate) fn tight(list: usize) -> Self {
        Self { list, h2: list }
    }
}

/// The blocks of one connection that were long.
#[derive(Debug)]
pub(crate) struct Blocks {
    limits: BlockLimits,
    any: AtomicBool,
    long: Mutex<VecDeque<(u32, usize)>>,
}

impl Blocks {
    pub(crate) fn new(limits: BlockLimits) -> Self {
        Self { limits, any: AtomicBool::new(false), long: Mutex::default() }
    }

    /// A block of this stream was `length` bytes long on the wire.
    pub(crate) fn note(&self, stream: u32, length: usize) {
        if length <= SHORT {
            return;
        }
        self.any.store(true, Ordering::Relaxed);
        let mut long = self.lock();
        long.retain(|(noted, _)| *noted != stream);
        if long.len() >= NOTES {
            long.pop_front();
        }
        long.push_back((stream, length));
    }

    /// Whether these headers, the last ones that came on this stream, are within the limits and all that was sent.
    pub(crate) fn fit(&self, stream: u32, headers: &HeaderMap) -> bool {
        let list = list_size(headers);
        list <= self.limits.list && list + longest(self.take(stream)).max(INDEXED) < self.limits.h2
    }

    fn take(&self, stream: u32) -> usize {
        if !self.any.load(Ordering::Relaxed) {
            return SHORT;
        }
        let mut long = self.lock();
        let at = long.iter().position(|(noted, _)| *noted == stream);
        at.and_then(|at| long.remove(at)).map_or(SHORT, |(_, length)| length)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u32, usize)>> {
        // Never contended: a connection and its streams share a worker.
        self.long.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The largest field that fits into this many bytes on the wire: Huffman's shortest code has five bits.
fn longest(block: usize) -> usize {
    block / 5 * 8 + 8 + FIELD
}

fn list_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn headers(sizes: &[usize]) -> HeaderMap {
        let field = |size: &usize| ("x".parse().unwrap(), "v".repeat(size - 33).parse().unwrap());
        sizes.iter().map(field).fold(HeaderMap::new(), |mut headers, (name, value): (http::HeaderName, _)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn nothing_within_exact_limits_is_refused_and_nothing_that_was_cut_passes() {
        let limits = BlockLimits::exact(60 * KIB);
        for kept in (1..=60).map(|kept| kept * KIB) {
            let blocks = Blocks::new(limits);
            blocks.note(1, kept);
            assert!(blocks.fit(1, &headers(&[kept])), "{kept}: as it was sent, without Huffman");
            // The field that h2 left out is the smallest that it would, in Huffman's shortest code.
            blocks.note(1, kept * 5 / 8 + (limits.h2 - kept - FIELD) * 5 / 8);
            assert!(!blocks.fit(1, &headers(&[kept])), "{kept}: it was cut");
        }
        assert!(!Blocks::new(limits).fit(1, &headers(&[60 * KIB, 64])), "more than is let through");
    }

    #[test]
    fn tight_limits_refuse_what_may_have_been_cut() {
        let blocks = Blocks::new(BlockLimits::tight(60 * KIB));
        assert!(blocks.fit(1, &headers(&[KIB; 20])), "short on the wire");
        blocks.note(1, 20 * KIB);
        assert!(blocks.fit(1, &headers(&[20 * KIB])));
        blocks.note(1, 58 * KIB);
        assert!(!blocks.fit(1, &headers(&[KIB])));
    }

    #[test]
    fn notes_are_of_one_stream_and_few() {
        let blocks = Blocks::new(BlockLimits::tight(60 * KIB));
        blocks.note(1, 58 * KIB);
        assert!(blocks.fit(3, &headers(&[KIB])), "another stream's");
        (0..1000).for_each(|stream| blocks.note(stream, 58 * KIB));
        assert_eq!(blocks.lock().len(), NOTES);
        assert!(!blocks.fit(999, &headers(&[KIB])));
    }
}
