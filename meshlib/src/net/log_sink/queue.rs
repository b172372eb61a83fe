//! The bounded queue between those who log and the thread that writes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::output::Output;

/// Bytes that may wait in one queue, the batch being written included. A larger batch is taken when none waits.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Batches that may wait in one queue.
pub(super) const MAX_BATCHES: usize = 1024;

/// Held for a push or a pop only, never during a write; batches are rare beside requests.
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is a batch, or the last handle is gone.
    work: Condvar,
    /// Everything is written.
    idle: Condvar,
}

struct State {
    batches: VecDeque<Bytes>,
    /// The bytes of the batches, and of the one that is being written.
    bytes: usize,
    handles: usize,
    /// The thread will take nothing more.
    ended: bool,
}

impl Queue {
    /// An empty queue with one handle.
    pub(super) fn new() -> Self {
        let state = State { batches: VecDeque::new(), bytes: 0, handles: 1, ended: false };
        Self { state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more handle; `false` when the thread has ended.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.lock();
        state.handles += usize::from(!state.ended);
        !state.ended
    }

    /// One handle less. The last one lets the thread end once it has written everything.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.handles -= 1;
        if state.handles == 0 {
            self.work.notify_one();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Takes a batch, or answers `false` when there is no room.
    pub(super) fn push(&self, batch: Bytes) -> bool {
        let mut state = self.lock();
        let too_large = state.bytes > 0 && state.bytes.saturating_add(batch.len()) > MAX_BYTES;
        if too_large || state.batches.len() >= MAX_BATCHES {
            return false;
        }
        if !batch.is_empty() {
            state.bytes += batch.len();
            state.batches.push_back(batch);
            self.work.notify_one();
        }
        true
    }

    /// Waits until everything is written; `false` when it took longer than `timeout`.
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let waited = self.idle.wait_timeout_while(self.lock(), timeout, |state| state.bytes > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.bytes == 0
    }

    /// What the thread does.
    pub(super) fn run(&self, mut output: Output) {
        while let Some(batch) = self.pop() {
            output.write(&batch);
            let mut state = self.lock();
            state.bytes -= batch.len();
            if state.bytes == 0 {
                self.idle.notify_all();
            }
        }
    }

    fn pop(&self) -> Option<Bytes> {
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.batches.pop_front() {
                return Some(batch);
            }
            if state.handles == 0 {
                state.ended = true;
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
