//! How a connection from a client leaves: what both codecs do with a drain.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, Stream};

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

/// The phases of a drain that concern a connection. Each is polled only when it has come, not with the connection: all
/// connections share what is behind it.
pub(super) struct Phases(FuturesUnordered<BoxFuture<DrainPhase>>);

impl Phases {
    pub(super) fn new(drain: &Drain) -> Self {
        let phases = [DrainPhase::Draining, DrainPhase::Stopped].map(|phase| {
            let drain = drain.clone();
            Box::pin(async move {
                drain.reached(phase).await;
                phase
            }) as BoxFuture<DrainPhase>
        });
        Self(phases.into_iter().collect())
    }

    /// The next phase that has come; pending for ever after the last.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<DrainPhase> {
        match Pin::new(&mut self.0).poll_next(cx) {
            Poll::Ready(Some(phase)) => Poll::Ready(phase),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
