//! How a connection from a client leaves: what both codecs do with a drain, and with a connection's own age.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, Stream};

use super::options::ServerOptions;
use crate::base::{Drain, DrainPhase, resources::BoxFuture};

/// A connection that was accepted just before a drain closed the port may still ask its first question for so long:
/// its client cannot know.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// How long a connection that we close may still read what we said last (Envoy's `delayed_close_timeout`).
pub(super) const DELAYED_CLOSE: Duration = Duration::from_secs(1);

/// Waits until a connection that has not asked anything yet is to be let go of.
pub(crate) async fn too_late(drain: &Drain) {
    drain.reached(DrainPhase::Draining).await;
    tokio::select! {
        biased;
        () = tokio::time::sleep(GRACE) => {}
        () = drain.reached(DrainPhase::Stopped) => {}
    }
}

/// Waits until a connection is to be cut, whatever it does: when the time of the drain is up the codecs close by
/// themselves, and have a moment for it; a handshake or a full socket does not.
pub(crate) async fn cut(drain: &Drain) {
    drain.reached(DrainPhase::Stopped).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// The phases of a drain that concern a connection, and those of its own age, which are the same: told to go, then cut.
/// Each is polled only when it has come, not with the connection: all connections share what is behind it.
pub(super) struct Phases(FuturesUnordered<BoxFuture<DrainPhase>>);

impl Phases {
    pub(super) fn new(drain: &Drain, options: &ServerOptions) -> Self {
        let drained = [DrainPhase::Draining, DrainPhase::Stopped].map(|phase| {
            let drain = drain.clone();
            Box::pin(async move {
                drain.reached(phase).await;
                phase
            }) as BoxFuture<DrainPhase>
        });
        let phases = Self(drained.into_iter().collect());
        let (life, grace) = (options.max_connection_duration, options.max_connection_duration_grace);
        if !life.is_zero() {
            phases.push_after(life, DrainPhase::Draining);
            if !grace.is_zero() {
                phases.push_after(life.saturating_add(grace), DrainPhase::Stopped);
            }
        }
        phases
    }

    fn push_after(&self, after: Duration, phase: DrainPhase) {
        let due = tokio::time::sleep(after);
        self.0.push(Box::pin(async move {
            due.await;
            phase
        }));
    }

    /// The next phase that has come, perhaps one that came before; pending for ever after the last.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<DrainPhase> {
        match Pin::new(&mut self.0).poll_next(cx) {
            Poll::Ready(Some(phase)) => Poll::Ready(phase),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
