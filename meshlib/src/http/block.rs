//! Blocks of memory that the connections of a thread share: who has nothing to read or to write holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// What a block has room for at least.
pub(super) const SIZE: usize = 4 << 10;
/// Those that grew beyond this are not kept.
pub(super) const KEPT: usize = 4 * SIZE;
/// How many wait for their next use.
const SPARE: usize = 16;

thread_local! {
    static BLOCKS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty block.
pub(super) fn take() -> BytesMut {
    let mut block = BLOCKS.with_borrow_mut(Vec::pop).unwrap_or_default();
    // What was used of it before is room again.
    block.reserve(SIZE);
    block
}

/// Keeps the block for its next use, unless it grew or there are enough.
pub(super) fn give_back(mut block: BytesMut) {
    block.clear();
    // The capacity is only what is left behind what was used; what was before is room again if nobody else holds it.
    let grew = block.capacity() > KEPT || block.try_reclaim(KEPT + 1);
    if grew || block.capacity() == 0 {
        return;
    }
    BLOCKS.with_borrow_mut(|blocks| {
        if blocks.len() < SPARE {
            blocks.push(block);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again_unless_it_grew() {
        let at = |block: &BytesMut| block.as_ptr() as usize;
        let mut block = take();
        let first = at(&block);
        block.extend_from_slice(&[0; SIZE - 1]);
        drop(block.split_to(SIZE - 1));
        give_back(block);
        let mut again = take();
        assert_eq!((at(&again), again.capacity()), (first, SIZE), "from its beginning");
        again.extend_from_slice(&[0; KEPT + 1]);
        drop(again.split_to(KEPT));
        assert!(again.capacity() < SIZE, "it looks small");
        give_back(again);
        assert_eq!(BLOCKS.with_borrow(Vec::len), 0);
    }

    #[test]
    fn few_blocks_are_kept() {
        let blocks: Vec<_> = (0..=SPARE).map(|_| take()).collect();
        blocks.into_iter().for_each(give_back);
        assert_eq!(BLOCKS.with_borrow(Vec::len), SPARE);
    }
}
