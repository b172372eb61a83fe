//! Log lines into files, the standard output and the standard error, without ever making a request wait.
//!
//! Each path has one writer thread behind a bounded queue. [`LogSink::write`] puts a batch of lines into the queue or
//! says that there is no room; a slow disk or a reader that stands still costs lines, which are counted, never time.
//!
//! `/dev/stdout` and `/dev/stderr` mean descriptors 1 and 2, whatever they are: a pipe, a socket, a file of another
//! user. Opening those paths as files would fail for a socket, and for whatever another user opened. When such a
//! descriptor breaks (its reader is gone), lines are lost and counted, and everything else goes on; when a full
//! disk has room again, so do the lines.
//!
//! ```
//! use std::{path::Path, time::Duration};
//! use bytes::Bytes;
//! use meshlib::{base::{Stats, resources::LogSinks}, net::log_sink::SystemLogSinks};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("access.log");
//! let stats = Stats::new();
//! let sinks = SystemLogSinks::new(&stats);
//! let sink = sinks.open(&path)?;
//! assert!(sink.write(Bytes::from("GET / 200\n")));
//!
//! // At the end of a process, outside of its runtime:
//! assert!(sinks.flush(Duration::from_secs(1)));
//! assert_eq!(std::fs::read_to_string(&path)?, "GET / 200\n");
//! assert_eq!(stats.counter_value("filesystem.lines_lost"), Some(0));
//! # std::io::Result::Ok(())
//! ```

mod output;
mod queue;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tokio::{runtime::Handle, time::Instant};

use self::{
    output::{Output, OutputStats},
    queue::Queue,
};
use crate::base::{
    Stats,
    resources::{LogSink, LogSinks},
};

/// How long the end of the last handle waits for lines that are still queued.
const WAIT_AT_END: Duration = Duration::from_secs(1);
/// The same on a thread of a runtime, which has other things to do. Unless the output stands still it is enough.
const WAIT_AT_END_IN_RUNTIME: Duration = Duration::from_millis(100);

/// The log sinks of the operating system. Cloning shares them.
///
/// The last lines are written when the last clone and the last sink are dropped: this waits up to a second, 100 ms on a
/// thread of a tokio runtime. Call [`flush`](Self::flush) before a process exits by other ways.
#[derive(Clone)]
pub struct SystemLogSinks(Arc<Sinks>);

struct Sinks {
    stats: OutputStats,
    queues: Mutex<HashMap<Target, Arc<Queue>>>,
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Stdout,
    Stderr,
    /// The file itself, through whatever links.
    File(PathBuf),
}

/// One opening of a sink. The writer thread ends when the last of them is dropped and the queue is empty.
struct OpenSink {
    queue: Arc<Queue>,
    // Keeps the registry, whose end waits for the last lines.
    _sinks: Arc<Sinks>,
}

impl SystemLogSinks {
    /// No sinks yet. Counts Envoy's `filesystem.write_completed` and `filesystem.write_failed`, and
    /// `filesystem.lines_lost`, into `stats`.
    pub fn new(stats: &Stats) -> Self {
        Self(Arc::new(Sinks { stats: OutputStats::new(stats), queues: Mutex::default() }))
    }

    /// Waits, blocking the thread, until all lines taken so far are written, `timeout` at most. `false` when some
    /// are not.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.0.flush(timeout)
    }
}

impl Default for SystemLogSinks {
    fn default() -> Self {
        Self::new(&Stats::new())
    }
}

impl LogSinks for SystemLogSinks {
    /// The sink of `path`. A file is opened for appending, and created where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or no thread can be started. The error names the path.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogSink>> {
        let open = || -> io::Result<(Target, File)> {
            match standard(path) {
                Some(target) => output::standard(&target).map(|file| (target, file)),
                None => {
                    let file = output::append(path)?;
                    Ok((Target::File(path.canonicalize()?), file))
                }
            }
        };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let (target, file) = open().map_err(named)?;
        self.sink(target, file).map_err(named)
    }
}

fn standard(path: &Path) -> Option<Target> {
    match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(Target::Stdout),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(Target::Stderr),
        _ => None,
    }
}

impl SystemLogSinks {
    /// The sink of `target`; `file` is used if there is none yet.
    fn sink(&self, target: Target, file: File) -> io::Result<Arc<dyn LogSink>> {
        let mut queues = self.0.lock();
        let queue = match queues.get(&target).filter(|queue| queue.enter()) {
            Some(queue) => queue.clone(),
            None => {
                let queue = Arc::new(Queue::new());
                let output = Output::new(file, target.to_string(), self.0.stats.clone());
                let of_thread = queue.clone();
                // Linux shows 15 bytes of the name.
                thread::Builder::new().name(target.thread_name()).spawn(move || of_thread.run(output))?;
                queues.retain(|_, queue| !queue.has_ended());
                queues.insert(target, queue.clone());
                queue
            }
        };
        Ok(Arc::new(OpenSink { queue, _sinks: self.0.clone() }))
    }
}

impl Sinks {
    fn lock(&self) -> MutexGuard<'_, HashMap<Target, Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, timeout: Duration) -> bool {
        let queues: Vec<_> = self.lock().values().cloned().collect();
        let begin = Instant::now();
        // Every queue is asked, even when the time is up: an empty one needs none.
        let unwritten = queues.iter().filter(|queue| !queue.flush(timeout.saturating_sub(begin.elapsed()))).count();
        unwritten == 0
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.flush(if Handle::try_current().is_ok() { WAIT_AT_END_IN_RUNTIME } else { WAIT_AT_END });
    }
}

impl LogSink for OpenSink {
    fn write(&self, lines: Bytes) -> bool {
        self.queue.push(lines)
    }
}

impl Drop for OpenSink {
    fn drop(&mut self) {
        self.queue.leave();
    }
}

impl Target {
    fn thread_name(&self) -> String {
        match self {
            Self::File(path) => format!("log {}", path.file_name().unwrap_or_default().to_string_lossy()),
            standard => format!("log {standard}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Debug for SystemLogSinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.lock().keys()).finish()
    }
}
