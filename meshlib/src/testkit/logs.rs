//! Log files.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::base::resources::{LogSink, LogSinks};

/// Log sinks that keep every line.
#[derive(Clone, Debug, Default)]
pub struct MemoryLogs(Arc<Mutex<HashMap<PathBuf, Arc<MemoryLog>>>>);

#[derive(Debug, Default)]
struct MemoryLog(Mutex<Vec<u8>>);

impl MemoryLogs {
    /// No sink has been opened.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written to the sink of `path` so far, line by line.
    pub fn lines(&self, path: impl AsRef<Path>) -> Vec<String> {
        let sink = self.sink(path.as_ref());
        let written = sink.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).lines().map(str::to_owned).collect()
    }

    fn sink(&self, path: &Path) -> Arc<MemoryLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default().clone()
    }
}

impl LogSinks for MemoryLogs {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogSink>> {
        Ok(self.sink(path))
    }
}

impl LogSink for MemoryLog {
    fn write(&self, lines: Bytes) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&lines);
        true
    }
}
