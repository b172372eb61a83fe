//! Files.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::base::resources::Files;

/// Files in memory. Each write counts as a change, with whatever content.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: HashMap<PathBuf, (Vec<u8>, u64)>,
    writes: u64,
}

impl MemoryFiles {
    /// There is no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a whole file.
    pub fn write(&self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        let mut state = self.state();
        state.writes += 1;
        let file = (content.into(), state.writes);
        state.files.insert(path.into(), file);
    }

    /// Removes a file.
    pub fn remove(&self, path: impl AsRef<Path>) {
        self.state().files.remove(path.as_ref());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.state().files.get(path).map(|(content, _)| content.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn fingerprint(&self, path: &Path) -> io::Result<u64> {
        self.state().files.get(path).map(|(_, write)| *write).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn may_block(&self) -> bool {
        false
    }
}
