//! The peer's dynamic table (RFC 7541, 2.3.2), as the decoder sees it.

use std::collections::VecDeque;

use http::HeaderValue;

use super::{CompressionError, DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, Name, static_table};

/// A field's name with the number of its bytes on the wire, which counts even if the name is not allowed.
#[derive(Debug)]
pub(super) struct SizedName {
    pub(super) name: Name,
    pub(super) len: usize,
}

#[derive(Debug)]
struct Entry {
    name: SizedName,
    /// `None` is a value that is not allowed.
    value: Option<HeaderValue>,
    size: usize,
}

/// The newest entry is the first. All own their memory, so a small field keeps no large block alive.
#[derive(Debug)]
pub(super) struct DecoderTable {
    entries: VecDeque<Entry>,
    size: usize,
    capacity: usize,
}

impl DecoderTable {
    /// The peer begins with the default size, whatever our settings say: it has yet to read them.
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, capacity: DEFAULT_TABLE_SIZE }
    }

    /// The field with this index, which counts through the static table first (RFC 7541, 2.3.3).
    #[inline]
    pub(super) fn field(&self, index: usize) -> Result<(Name, Option<HeaderValue>), CompressionError> {
        match index.checked_sub(static_table::LEN + 1) {
            Some(position) => {
                let entry = self.entries.get(position).ok_or(CompressionError)?;
                Ok((entry.name.name.clone(), entry.value.clone()))
            }
            None => {
                let (name, value) = static_table::entry(index).ok_or(CompressionError)?;
                Ok((name, Some(value)))
            }
        }
    }

    /// The name of the field with this index.
    pub(super) fn name(&self, index: usize) -> Result<SizedName, CompressionError> {
        match index.checked_sub(static_table::LEN + 1) {
            Some(position) => {
                let SizedName { name, len } = &self.entries.get(position).ok_or(CompressionError)?.name;
                Ok(SizedName { name: name.clone(), len: *len })
            }
            None => {
                let name = static_table::name(index).ok_or(CompressionError)?;
                let len = match &name {
                    Name::Pseudo(name) => name.as_str().len(),
                    Name::Field(name) => name.as_str().len(),
                    Name::Invalid => 0,
                };
                Ok(SizedName { name, len })
            }
        }
    }

    /// Enters a field, whose value has `value_len` bytes on the wire. One that is larger than the whole table leaves it
    /// empty (RFC 7541, 4.4).
    pub(super) fn insert(&mut self, name: SizedName, value: Option<HeaderValue>, value_len: usize) {
        let size = name.len + value_len + ENTRY_OVERHEAD;
        self.evict(self.capacity.saturating_sub(size));
        if size <= self.capacity {
            self.size += size;
            self.entries.push_front(Entry { name, value, size });
        }
    }

    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict(capacity);
        if capacity == 0 {
            self.entries = VecDeque::new();
        }
    }

    /// Drops the oldest entries until the others take up at most `size`.
    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size;
        }
    }
}
