//! What the parts of one connection tell each other: the IO below hyper, the service and the bodies above it, and the
//! loop around it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// Flags, each on its own, mostly of the connection's own task: what another one tells by them (the body of a request
/// may be read anywhere) is looked at with the next event.
#[derive(Default)]
pub(super) struct State {
    /// How many exchanges have begun.
    begun: AtomicU32,
    /// A request has arrived and its response is not complete.
    in_flight: AtomicBool,
    /// The response's head has been handed to hyper.
    responded: AtomicBool,
    /// The request's body is not complete.
    uploading: AtomicBool,
    /// The connection ends with this exchange: a drain, or a request whose end cannot be found.
    closing: AtomicBool,
    /// hyper may hold bytes of a response.
    unsettled: AtomicBool,
    /// Bytes have moved since somebody last asked.
    moved: AtomicBool,
    /// Bytes of a head have arrived, but not the whole of it. Those that came in one read with the request before it
    /// are not noticed: such a client has the time of an idle connection.
    head: AtomicBool,
    /// The client has closed, or the connection broke.
    gone: AtomicBool,
    /// The stream stood still for too long.
    timed_out: AtomicBool,
}

impl State {
    pub(super) fn begin(&self) {
        self.begun.store(self.begun().wrapping_add(1), Relaxed);
        self.in_flight.store(true, Relaxed);
        self.responded.store(false, Relaxed);
        self.uploading.store(true, Relaxed);
        self.unsettled.store(true, Relaxed);
        self.head.store(false, Relaxed);
        self.timed_out.store(false, Relaxed);
    }

    pub(super) fn respond(&self) {
        self.responded.store(true, Relaxed);
    }

    pub(super) fn uploaded(&self) {
        self.uploading.store(false, Relaxed);
    }

    /// Nobody can tell any more where the next request begins, or there must be none.
    pub(super) fn close(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.store(false, Relaxed);
    }

    /// Bytes came from the client; none means that it has closed.
    pub(super) fn read(&self, bytes: usize) {
        if bytes == 0 {
            return self.lose();
        }
        self.moved.store(true, Relaxed);
        if !self.is_in_flight() {
            self.head.store(true, Relaxed);
        }
    }

    pub(super) fn wrote(&self) {
        self.moved.store(true, Relaxed);
    }

    /// Everything that hyper held has been written.
    pub(super) fn flushed(&self) {
        if !self.is_in_flight() {
            self.unsettled.store(false, Relaxed);
        }
    }

    pub(super) fn lose(&self) {
        self.gone.store(true, Relaxed);
    }

    /// Asks for a local reply instead of the response under way; `false` when it is too late for that, or was asked
    /// for before.
    pub(super) fn time_out(&self) -> bool {
        !self.timed_out.swap(true, Relaxed) && self.is_in_flight() && !self.has_responded()
    }

    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Relaxed)
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.load(Relaxed)
    }

    pub(super) fn has_responded(&self) -> bool {
        self.responded.load(Relaxed)
    }

    pub(super) fn is_uploading(&self) -> bool {
        self.uploading.load(Relaxed)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// No request is in flight, and all responses have been written.
    pub(super) fn is_settled(&self) -> bool {
        !self.unsettled.load(Relaxed)
    }

    pub(super) fn is_reading_head(&self) -> bool {
        self.head.load(Relaxed)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    pub(super) fn has_timed_out(&self) -> bool {
        self.timed_out.load(Relaxed)
    }

    /// Whether bytes have moved since the last call.
    pub(super) fn take_moved(&self) -> bool {
        let moved = self.moved.load(Relaxed);
        if moved {
            self.moved.store(false, Relaxed);
        }
        moved
    }
}
