//! Our dynamic table (RFC 7541, 2.3.2), as the encoder sees it, and what it remembers besides.

use std::collections::VecDeque;

use super::{ENTRY_OVERHEAD, static_table};

/// A power of two, and twice the entries that fit into the largest table.
const FIELD_SLOTS: usize = 256;
const NAME_SLOTS: usize = 64;
const SEEN_SLOTS: usize = 64;

/// In how many slots a field may be.
const PROBES: u64 = 4;

/// A field to be sent, and its hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) name_hash: u64,
    /// Of name and value.
    pub(super) hash: u64,
}

impl Field<'_> {
    pub(super) fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    name_len: usize,
    /// Name and value.
    text: Box<[u8]>,
}

impl Entry {
    fn is(&self, field: &Field<'_>) -> bool {
        self.hash == field.hash && self.text.split_at_checked(self.name_len) == Some((field.name, field.value))
    }

    fn is_named(&self, name: &[u8]) -> bool {
        self.text.get(..self.name_len) == Some(name)
    }

    fn size(&self) -> usize {
        self.text.len() + ENTRY_OVERHEAD
    }
}

/// Entries are numbered in the order of their insertion. A slot holds the lower bits of a number; whether the entry is
/// still there, and the one meant, shows when it is compared. So slots need no cleaning: at worst, after 65,536
/// insertions, a free one looks taken.
#[derive(Debug)]
pub(super) struct EncoderTable {
    /// The oldest entry is the first.
    entries: VecDeque<Entry>,
    /// The number of the next entry.
    next: u16,
    size: usize,
    capacity: usize,
    fields: [u16; FIELD_SLOTS],
    names: [u16; NAME_SLOTS],
    /// Of fields that were sent but are not in the table.
    seen: [u32; SEEN_SLOTS],
}

impl EncoderTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            // Older than all others is number 0, which new slots hold.
            next: 1,
            size: 0,
            capacity,
            fields: [0; FIELD_SLOTS],
            names: [0; NAME_SLOTS],
            seen: [0; SEEN_SLOTS],
        }
    }

    /// The index under which the peer has the field.
    #[inline]
    pub(super) fn find(&self, field: &Field<'_>) -> Option<usize> {
        field_slots(field.hash).find_map(|slot| {
            let age = self.age(*self.fields.get(slot)?);
            self.entry(age)?.is(field).then_some(static_table::LEN + age)
        })
    }

    /// The index under which the peer has a field of this name.
    pub(super) fn find_name(&self, field: &Field<'_>) -> Option<usize> {
        let age = self.age(*self.names.get(name_slot(field.name_hash))?);
        self.entry(age)?.is_named(field.name).then_some(static_table::LEN + age)
    }

    /// Whether the field was sent before, as far as is remembered: what is sent a second time is worth an entry, while
    /// what differs each time must not drive out what comes again. If the answer is yes, the field is forgotten.
    #[inline]
    pub(super) fn sent_before(&mut self, field: &Field<'_>) -> bool {
        let Some(seen) = self.seen.get_mut(field.hash as usize % SEEN_SLOTS) else { return false };
        let mark = (field.hash >> 32) as u32;
        let before = *seen == mark;
        *seen = if before { 0 } else { mark };
        before
    }

    /// Enters a field, which must be smaller than the table, as the peer does when it decodes it.
    pub(super) fn insert(&mut self, field: &Field<'_>) {
        self.evict(self.capacity.saturating_sub(field.size()));
        self.size += field.size();
        // The free slot or the oldest entry's.
        let slot = field_slots(field.hash).max_by_key(|slot| self.fields.get(*slot).map(|number| self.age(*number)));
        if let Some(slot) = slot.and_then(|slot| self.fields.get_mut(slot)) {
            *slot = self.next;
        }
        if let Some(slot) = self.names.get_mut(name_slot(field.name_hash)) {
            *slot = self.next;
        }
        let text = [field.name, field.value].concat().into_boxed_slice();
        self.entries.push_back(Entry { hash: field.hash, name_len: field.name.len(), text });
        self.next = self.next.wrapping_add(1);
    }

    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict(capacity);
    }

    /// How many insertions ago, starting with 1, the entry of this number came.
    #[inline]
    fn age(&self, number: u16) -> usize {
        usize::from(self.next.wrapping_sub(number))
    }

    #[inline]
    fn entry(&self, age: usize) -> Option<&Entry> {
        self.entries.get(self.entries.len().wrapping_sub(age))
    }

    /// Drops the oldest entries until the others take up at most `size`.
    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(entry) = self.entries.pop_front()
        {
            self.size -= entry.size();
        }
    }
}

#[inline]
fn field_slots(hash: u64) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |probe| hash.wrapping_add(probe) as usize % FIELD_SLOTS)
}

#[inline]
fn name_slot(name_hash: u64) -> usize {
    name_hash as usize % NAME_SLOTS
}
