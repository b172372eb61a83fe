//! Workers: where connections are served. A connection goes to the least loaded one and stays there.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{runtime::Handle, task::JoinSet};

use crate::base::resources::Workers;

/// One worker: a runtime, and how many connections it serves.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place in the load of its worker, until dropped.
#[derive(Debug)]
pub(crate) struct Load(Arc<AtomicUsize>);

impl Worker {
    fn new(runtime: Handle) -> Self {
        Self { runtime, connections: Arc::new(AtomicUsize::new(0)) }
    }

    /// The runtime this is called on, as a worker.
    pub(crate) fn ambient() -> Self {
        Self::new(Handle::current())
    }

    /// One worker for each runtime; `None` where none are given.
    pub(crate) fn of(workers: &Workers) -> Option<Vec<Self>> {
        match workers {
            Workers::Runtimes(runtimes) if !runtimes.is_empty() => {
                Some(runtimes.iter().cloned().map(Self::new).collect())
            }
            _ => None,
        }
    }

    /// Runs a task on this worker, until it ends or `tasks` is dropped.
    pub(crate) fn spawn(&self, tasks: &mut JoinSet<()>, task: impl Future<Output = ()> + Send + 'static) {
        tasks.spawn_on(task, &self.runtime);
    }

    /// Counts a connection from the moment it is handed over.
    pub(crate) fn load(&self) -> Load {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Load(self.connections.clone())
    }

    /// How many connections it serves.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn load_is_counted_from_the_handover_to_the_end() {
        assert!(Worker::of(&Workers::Ambient).is_none());
        let worker = Worker::ambient();
        let (first, second) = (worker.load(), worker.load());
        assert_eq!(worker.connections(), 2);
        drop(first);
        drop(second);
        assert_eq!(worker.connections(), 0);
    }
}
