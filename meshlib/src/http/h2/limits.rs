//! How large a header block may be.

/// The limits of request heads, response heads and trailers of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    bytes: usize,
    fields: usize,
}

/// A block may be so many times as long on the wire as its fields may be. One that is longer than its fields are
/// allowed to be is read to its end, so that it can be answered, counted and logged like any request.
const BLOCK_FACTOR: usize = 4;
/// No block's limit is below this.
const LEAST_BLOCK: usize = 64 << 10;

impl HeadLimits {
    pub(super) fn new(bytes: u32, fields: usize) -> Self {
        Self { bytes: usize::try_from(bytes).unwrap_or(usize::MAX), fields }
    }

    /// What SETTINGS tells the peer.
    pub(super) fn list_size(&self) -> u32 {
        u32::try_from(self.bytes).unwrap_or(u32::MAX)
    }

    /// Beyond this a block ends its connection.
    pub(super) fn block(&self) -> usize {
        self.bytes.saturating_mul(BLOCK_FACTOR).max(LEAST_BLOCK)
    }

    /// Whether so many fields of this size together are within the limits.
    pub(super) fn allow(&self, fields: usize, size: usize) -> bool {
        fields <= self.fields && size <= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_a_block_may_be_longer() {
        let limits = HeadLimits::new(60 << 10, 100);
        assert_eq!(limits.list_size(), 60 << 10);
        assert!(limits.allow(100, 60 << 10));
        assert!(!limits.allow(101, 0) && !limits.allow(0, (60 << 10) + 1));
        assert_eq!(limits.block(), 240 << 10);
        assert_eq!(HeadLimits::new(1 << 10, 1).block(), 64 << 10, "the least");
        assert_eq!(HeadLimits::new(u32::MAX, usize::MAX).list_size(), u32::MAX);
    }
}
