//! Gathers lines and hands them to their sink.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::BytesMut;
use http::HeaderName;

use super::format::Format;
use crate::base::{Counter, FinishObserver, RequestInfo, Stats, info::Record, resources::LogSink};

/// A buffer with more than this is handed on at once.
const FLUSH_BYTES: usize = 16 << 10;
/// How long the first line of a buffer waits for others.
const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// An access log of one worker: observers of its records write lines into one buffer.
///
/// The buffer goes to the sink once it holds 16 KiB, a second after its first line, and when the log is dropped. A
/// sink without room loses the buffer's lines: they are counted as `access_logs.file_access_log.logs_dropped`, the
/// others as `access_logs.file_access_log.logs_written`. Outside of a tokio runtime each line goes on at once.
pub struct AccessLog(Arc<Shared>);

struct Shared {
    format: Format,
    sink: Arc<dyn LogSink>,
    written: Counter,
    dropped: Counter,
    /// Locked for as long as a line takes to write: contended only where several threads share one log.
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    lines: BytesMut,
    count: u64,
    /// A task will flush.
    timed: bool,
}

impl AccessLog {
    /// A log with this format into this sink, counted in `stats`.
    pub fn new(format: Format, sink: Arc<dyn LogSink>, stats: &Stats) -> Self {
        let counter = |name: &str| stats.counter(format!("access_logs.file_access_log.{name}"));
        Self(Arc::new(Shared {
            format,
            sink,
            written: counter("logs_written"),
            dropped: counter("logs_dropped"),
            pending: Mutex::default(),
        }))
    }

    /// Hands on what is in the buffer.
    pub fn flush(&self) {
        self.0.flush(&mut self.0.lock());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, pending: &mut Pending) {
        let count = std::mem::take(&mut pending.count);
        if count == 0 {
            return;
        }
        // The sink's share is split off; its memory comes back to this buffer once it is written, if by then.
        let sent = self.sink.write(pending.lines.split().freeze());
        if sent { &self.written } else { &self.dropped }.add(count);
    }
}

impl FinishObserver for AccessLog {
    fn on_finish(&self, info: &RequestInfo, record: &Record) {
        let shared = &self.0;
        let mut pending = shared.lock();
        if pending.count == 0 {
            // The room of a whole buffer at once, so that no line grows it.
            pending.lines.reserve(FLUSH_BYTES + FLUSH_BYTES / 4);
        }
        shared.format.push(&mut pending.lines, info, record);
        pending.count += 1;
        if pending.lines.len() >= FLUSH_BYTES {
            return shared.flush(&mut pending);
        }
        if !std::mem::replace(&mut pending.timed, true) {
            // A runtime that is shutting down drops the task, which then needs the lock to flush.
            drop(pending);
            let flush = FlushOnDrop(Arc::downgrade(shared));
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(flush_later(flush))),
                Err(_) => drop(flush),
            }
        }
    }

    fn request_headers(&self) -> &[HeaderName] {
        &self.0.format.request_headers
    }

    fn response_headers(&self) -> &[HeaderName] {
        &self.0.format.response_headers
    }
}

async fn flush_later(log: FlushOnDrop) {
    tokio::time::sleep(FLUSH_AFTER).await;
    drop(log);
}

/// Flushes also when its task ends early, with its runtime.
struct FlushOnDrop(Weak<Shared>);

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            let mut pending = shared.lock();
            pending.timed = false;
            shared.flush(&mut pending);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("format", &self.0.format).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::{advance, sleep};

    use super::*;

    /// Keeps batches until it has no room.
    struct Sink(Mutex<Vec<Bytes>>, usize);

    impl LogSink for Sink {
        fn write(&self, lines: Bytes) -> bool {
            let mut batches = self.0.lock().unwrap();
            let room = batches.len() < self.1;
            if room {
                batches.push(lines);
            }
            room
        }
    }

    fn log(format: &str, room: usize) -> (AccessLog, Arc<Sink>, Stats) {
        let (sink, stats) = (Arc::new(Sink(Mutex::default(), room)), Stats::new());
        (AccessLog::new(Format::parse(format).unwrap(), sink.clone(), &stats), sink, stats)
    }

    fn finish(log: &AccessLog) {
        let info = RequestInfo::detached();
        info.read(|record| log.on_finish(&info, record));
    }

    fn counts(stats: &Stats) -> [Option<u64>; 2] {
        ["written", "dropped"].map(|name| stats.counter_value(&format!("access_logs.file_access_log.logs_{name}")))
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_after_the_first_line() {
        let (log, sink, stats) = log("x\n", usize::MAX);
        finish(&log);
        sleep(Duration::from_millis(900)).await;
        finish(&log);
        assert!(sink.0.lock().unwrap().is_empty());
        sleep(Duration::from_millis(101)).await;
        assert_eq!(*sink.0.lock().unwrap(), ["x\nx\n"]);
        assert_eq!(counts(&stats), [Some(2), Some(0)]);
        advance(Duration::from_secs(10)).await;
        finish(&log);
        sleep(Duration::from_millis(1001)).await;
        assert_eq!(sink.0.lock().unwrap().len(), 2, "a second timer was set");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_buffer_goes_at_once_and_what_finds_no_room_is_counted() {
        let (log, sink, stats) = log(&format!("{}\n", "x".repeat(1023)), 1);
        (0..16).for_each(|_| finish(&log));
        assert_eq!(sink.0.lock().unwrap().iter().map(Bytes::len).collect::<Vec<_>>(), [16 << 10]);
        (0..17).for_each(|_| finish(&log));
        assert_eq!(counts(&stats), [Some(16), Some(16)]);
        drop(log);
        assert_eq!(counts(&stats), [Some(16), Some(17)], "the last line was offered when the log was dropped");
    }

    #[test]
    fn without_a_runtime_each_line_goes_at_once_and_a_lost_runtime_loses_none() {
        let (log, sink, _) = log("x\n", usize::MAX);
        finish(&log);
        assert_eq!(*sink.0.lock().unwrap(), ["x\n"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { finish(&log) });
        drop(runtime);
        assert_eq!(*sink.0.lock().unwrap(), ["x\n", "x\n"]);
    }
}
