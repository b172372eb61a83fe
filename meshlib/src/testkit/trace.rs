//! What happened, in order.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A record of events that all parts of a world write to: connections, names, hosts that come, go, fall sick, calls.
/// Two runs with one seed have the same trace. Nothing is kept until [`record`](Self::record). Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Option<Recording>>>);

#[derive(Debug)]
struct Recording {
    begin: Instant,
    events: Vec<Happened>,
}

/// One event of a [`Trace`]. Displayed, it is a line: `  60.000  edge: 10.0.0.2:8786 is healthy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When, since the recording began.
    pub at: Duration,
    /// What.
    pub what: String,
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3}  {}", self.at.as_secs_f64(), self.what)
    }
}

impl Trace {
    /// One that keeps nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins anew: events are kept from here on, and times count from `begin`.
    pub fn record(&self, begin: Instant) {
        *self.state() = Some(Recording { begin, events: Vec::new() });
    }

    /// When the recording began.
    pub fn begin(&self) -> Option<Instant> {
        self.state().as_ref().map(|recording| recording.begin)
    }

    /// Notes an event that happens now. `what` is asked for only where it is kept.
    pub fn note(&self, what: impl FnOnce() -> String) {
        if let Some(recording) = &mut *self.state() {
            recording.events.push(Happened { at: recording.begin.elapsed(), what: what() });
        }
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Happened> {
        self.state().as_ref().map(|recording| recording.events.clone()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, Option<Recording>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
