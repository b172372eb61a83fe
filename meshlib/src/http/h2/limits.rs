//! How large a header block may be.

use http::{HeaderMap, Uri};

use super::seen::LONG_BLOCK;
use crate::http::headers::list_size;

/// The limits of request heads, response heads and trailers of one connection.
///
/// `h2` cuts trailers that are too large without saying so, so it is told a larger limit than ours: whatever it may
/// have cut is beyond ours for certain, and heads beyond ours are answered, counted and logged like any request.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    bytes: usize,
    fields: usize,
}

/// The largest field that can come from the dynamic table (RFC 7541, section 4.2), at its default size.
const LARGEST_ENTRY: usize = 4096;
/// What a field counts beside its bytes (RFC 9113, section 6.5.2).
const OVERHEAD: usize = 32;
/// What a block's frames may have beside its fields: padding, a priority, changes of the table's size.
const FRAMING: usize = 512;

impl HeadLimits {
    pub(super) fn new(bytes: u32, fields: usize) -> Self {
        Self { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), fields }
    }

    /// What `h2` has to take, so that [`allow_trailers`](Self::allow_trailers) never refuses what is within the
    /// limits: trailers of this size, and after them a field as long as a block of this size can hold.
    pub(super) fn decoded(&self) -> u32 {
        let block = self.bytes.max(LONG_BLOCK).saturating_add(FRAMING);
        u32::try_from(self.bytes.saturating_add(longest_field(block)).saturating_add(1)).unwrap_or(u32::MAX)
    }

    /// Whether a head with these fields is within the limits; `target` counts as its pseudo-fields do.
    pub(super) fn allow_head(&self, headers: &HeaderMap, target: Option<&Uri>) -> bool {
        headers.len() <= self.fields && list_size(headers).saturating_add(target.map_or(0, target_size)) <= self.bytes
    }

    /// Whether trailers are within the limits and whole, given that their block was `block` bytes long at most.
    ///
    /// `h2` leaves out each field with which the sum reaches its limit, and all that follow. A field that it left out
    /// was at most as long as [`longest_field`]. So if what is there and such a field together are below the limit,
    /// nothing was left out.
    pub(super) fn allow_trailers(&self, trailers: &HeaderMap, block: usize) -> bool {
        let size = list_size(trailers);
        let whole = size.saturating_add(longest_field(block)) < self.decoded() as usize;
        whole && size <= self.bytes && trailers.len() <= self.fields
    }
}

/// The longest field that a block of so many bytes can hold: a name from the table and a literal value, for each of
/// whose bytes Huffman's code has no fewer than 5 bits (RFC 7541, appendix B).
fn longest_field(block: usize) -> usize {
    (block.saturating_mul(8) / 5).saturating_add(LARGEST_ENTRY + OVERHEAD)
}

fn target_size(target: &Uri) -> usize {
    let authority = target.authority().map_or(0, |authority| authority.as_str().len());
    let path = target.path_and_query().map_or(0, |path| path.as_str().len());
    authority + path
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn trailers(count: usize, value: usize) -> HeaderMap {
        let mut map = HeaderMap::new();
        for _ in 0..count {
            map.append("x", HeaderValue::from_bytes(&vec![b'a'; value]).unwrap());
        }
        map
    }

    #[test]
    fn what_is_within_the_limits_is_never_taken_for_cut() {
        for bytes in [8 << 10, 60 << 10, 8 << 20] {
            let limits = HeadLimits::new(bytes, 100);
            let bytes = bytes as usize;
            for count in [1, 10, 100] {
                let map = trailers(count, bytes / count - 33);
                // Not compressed at all, as badly as it can be.
                assert!(limits.allow_trailers(&map, bytes.max(LONG_BLOCK)), "{count} fields of {bytes} bytes");
                assert!(!limits.allow_trailers(&trailers(count, bytes / count - 32), bytes));
            }
            assert!(!limits.allow_trailers(&trailers(101, 1), 1000));
        }
    }

    #[test]
    fn what_may_have_been_cut_is_refused() {
        let limits = HeadLimits::new(60 << 10, 100);
        // Nothing is left of one field that is larger than everything allowed.
        let wire = limits.decoded() as usize * 5 / 8;
        assert!(!limits.allow_trailers(&HeaderMap::new(), wire));
        assert!(limits.allow_trailers(&HeaderMap::new(), 60 << 10));
    }

    #[test]
    fn heads_count_with_their_target() {
        let limits = HeadLimits::new(100, 2);
        let uri = |length: usize| format!("http://a/{}", "b".repeat(length)).parse::<Uri>().unwrap();
        assert!(limits.allow_head(&trailers(2, 10), None));
        assert!(!limits.allow_head(&trailers(3, 0), None));
        assert!(limits.allow_head(&trailers(1, 10), Some(&uri(10))));
        assert!(!limits.allow_head(&trailers(1, 10), Some(&uri(60))));
    }
}
