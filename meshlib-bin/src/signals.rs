//! Signals: the first one to end drains, the second one stops.

use std::{io, time::Duration};

use meshlib::base::{Drain, DrainPhase, DrainTimes};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::Failure;

/// How long the server has, once stopped, to reset its streams and to write its last log lines.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// A signal that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, SIGINT: end.
    End(&'static str),
    /// SIGHUP, SIGUSR1: others reload or open their log files again.
    Other(&'static str),
}

/// Listens for signals from now on; every one of them would otherwise end the process at once, SIGUSR1 included,
/// which scripts send to Envoy after turning its logs. Must be called on a runtime.
pub(crate) fn listen() -> Result<mpsc::Receiver<Signal>, Failure> {
    // Two to end are enough; what finds no room would change nothing.
    let (sender, receiver) = mpsc::channel(4);
    for (kind, meaning) in [
        (SignalKind::terminate(), Signal::End("SIGTERM")),
        (SignalKind::interrupt(), Signal::End("SIGINT")),
        (SignalKind::hangup(), Signal::Other("SIGHUP")),
        (SignalKind::user_defined1(), Signal::Other("SIGUSR1")),
    ] {
        forward(kind, meaning, sender.clone()).map_err(|error| format!("error: cannot listen for signals: {error}"))?;
    }
    Ok(receiver)
}

fn forward(kind: SignalKind, meaning: Signal, sender: mpsc::Sender<Signal>) -> io::Result<()> {
    let mut signals = signal(kind)?;
    tokio::spawn(async move {
        while signals.recv().await.is_some() {
            let _ = sender.try_send(meaning);
        }
    });
    Ok(())
}

/// Drives `serving` while acting on signals: the first one to end starts the drain, the next one stops it. `serving`
/// is expected to follow the drain and to end by itself; a stop ends it in any case. What it returns is the answer,
/// a stop is a success.
pub(crate) async fn supervise<E>(
    serving: impl Future<Output = Result<(), E>>,
    mut signals: mpsc::Receiver<Signal>,
    drain: Drain,
    times: DrainTimes,
) -> Result<(), E> {
    let followed = async {
        while let Some(signal) = signals.recv().await {
            follow(signal, &drain, times);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        // What has ended by itself has an answer of its own, even if a stop has come meanwhile.
        biased;
        result = serving => result,
        () = stopped(&drain) => Ok(()),
        () = followed => Ok(()),
    }
}

fn follow(signal: Signal, drain: &Drain, times: DrainTimes) {
    match signal {
        Signal::End(name) if drain.phase() == DrainPhase::Serving => {
            tracing::warn!(signal = name, seconds = times.stop.as_secs(), "draining; the same again stops at once");
            drain.start(times);
        }
        Signal::End(name) => {
            tracing::warn!(signal = name, connections = drain.connections(), "stopping at once");
            drain.enter(DrainPhase::Stopped);
        }
        Signal::Other(name) => {
            tracing::info!(signal = name, "ignored: nothing here is reloaded by a signal")
        }
    }
}

/// The drain was stopped, and whoever follows it had a turn to cut what is open.
async fn stopped(drain: &Drain) {
    drain.reached(DrainPhase::Stopped).await;
    tokio::time::sleep(STOP_GRACE).await;
}

#[cfg(test)]
mod tests;
