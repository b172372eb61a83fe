//! Threads: one for control and administration, and workers, each with a runtime of its own, so that a request stays
//! on its thread.

use std::{io, thread::JoinHandle, time::Duration};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

use crate::Failure;

/// How long the end of a runtime waits for blocking calls, such as name look-ups of the system, before it leaves them.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// The runtime of the main thread.
pub(crate) fn main_runtime() -> Result<Runtime, Failure> {
    new_runtime().map_err(|error| format!("error: cannot make the main runtime: {error}"))
}

/// Ends the runtime of the main thread.
pub(crate) fn shut_down(runtime: Runtime) {
    runtime.shutdown_timeout(SHUTDOWN);
}

fn new_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// The worker threads. Dropping them ends their runtimes, and whatever still runs there, and waits for the threads.
#[derive(Debug)]
pub(crate) struct WorkerThreads(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    handle: Handle,
    /// Dropped, it tells the thread to end.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerThreads {
    /// Starts `count` workers.
    pub(crate) fn start(count: u32) -> Result<Self, Failure> {
        let started: io::Result<Vec<Worker>> = (0..count).map(Worker::start).collect();
        started.map(Self).map_err(|error| format!("error: cannot start a worker thread: {error}"))
    }

    /// Their runtimes.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.0.iter().map(|worker| worker.handle.clone()).collect()
    }
}

impl Worker {
    fn start(index: u32) -> io::Result<Self> {
        let runtime = new_runtime()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // Envoy's name for it; Linux shows 15 bytes.
        let thread = std::thread::Builder::new().name(format!("wrk:worker_{index}")).spawn(move || {
            // An error says that the sender is gone, which is the sign to end.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_timeout(SHUTDOWN);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        // All are told before any is waited for.
        self.0.iter_mut().for_each(|worker| drop(worker.stop.take()));
        for thread in self.0.iter_mut().filter_map(|worker| worker.thread.take()) {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests;
