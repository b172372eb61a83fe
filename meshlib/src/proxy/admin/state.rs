//! What the admin interface reports on: the server's phase, its own stats, its clusters.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{clusters::AdminCluster, server_info::CommandLineOptions};
use crate::{
    base::{Drain, Gauge, Stats},
    proxy::config::NodeConfig,
};

/// What a server is doing (Envoy's `ServerInfo.State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPhase {
    /// It serves.
    Live,
    /// It serves, but asks to be left: the drain has begun, or `/healthcheck/fail` was asked for.
    Draining,
    /// It has its configuration, and its clusters have not begun to warm up.
    PreInitializing,
    /// Its clusters warm up; it does not accept yet.
    Initializing,
}

impl ServerPhase {
    /// The value of the gauge `server.state`.
    fn number(self) -> i64 {
        match self {
            Self::Live => 0,
            Self::Draining => 1,
            Self::PreInitializing => 2,
            Self::Initializing => 3,
        }
    }
}

impl fmt::Display for ServerPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "LIVE",
            Self::Draining => "DRAINING",
            Self::PreInitializing => "PRE_INITIALIZING",
            Self::Initializing => "INITIALIZING",
        })
    }
}

const PRE_INITIALIZING: u8 = 0;
const INITIALIZING: u8 = 1;
const INITIALIZED: u8 = 2;

/// How far a server's start has got, and since when it runs. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ServerState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    drain: Drain,
    started: Instant,
    start: AtomicU8,
}

impl ServerState {
    /// A server that starts now, in [`ServerPhase::PreInitializing`]; once started, `drain` decides its phase.
    pub fn new(drain: Drain) -> Self {
        Self(Arc::new(Shared { drain, started: Instant::now(), start: AtomicU8::new(PRE_INITIALIZING) }))
    }

    /// The clusters begin to warm up.
    pub fn set_initializing(&self) {
        self.0.start.fetch_max(INITIALIZING, Ordering::Relaxed);
    }

    /// Every cluster is warm; the listeners accept.
    pub fn set_initialized(&self) {
        self.0.start.fetch_max(INITIALIZED, Ordering::Relaxed);
    }

    /// The phase now.
    pub fn phase(&self) -> ServerPhase {
        match self.0.start.load(Ordering::Relaxed) {
            PRE_INITIALIZING => ServerPhase::PreInitializing,
            INITIALIZING => ServerPhase::Initializing,
            _ if self.0.drain.health_failing() => ServerPhase::Draining,
            _ => ServerPhase::Live,
        }
    }

    /// Whole seconds since the start.
    pub fn uptime_seconds(&self) -> u64 {
        self.0.started.elapsed().as_secs()
    }

    /// The drain that `/healthcheck/fail` and `/healthcheck/ok` act on.
    pub fn drain(&self) -> &Drain {
        &self.0.drain
    }
}

/// The stats that belong to the server: `server.live`, `server.state`, `server.uptime` (seconds),
/// `server.concurrency` (worker threads) and `server.version` (major, minor and patch version, one byte each).
///
/// Make one for each server: gauges of one name add up.
#[derive(Debug)]
pub struct ServerStats {
    state: ServerState,
    live: Gauge,
    phase: Gauge,
    uptime: Gauge,
    /// Constant; kept because a gauge counts only while somebody holds it.
    _constants: [Gauge; 2],
}

impl ServerStats {
    /// Registers the stats of a server of `concurrency` workers.
    pub fn new(stats: &Stats, state: ServerState, concurrency: u32) -> Self {
        let constants = [("server.concurrency", i64::from(concurrency)), ("server.version", version_number())].map(
            |(name, value)| {
                let gauge = stats.gauge(name);
                gauge.set(value);
                gauge
            },
        );
        let server = Self {
            state,
            live: stats.gauge("server.live"),
            phase: stats.gauge("server.state"),
            uptime: stats.gauge("server.uptime"),
            _constants: constants,
        };
        server.refresh();
        server
    }

    /// Brings the gauges up to date; the admin interface does so before it prints stats.
    pub fn refresh(&self) {
        let phase = self.state.phase();
        self.live.set(i64::from(phase == ServerPhase::Live));
        self.phase.set(phase.number());
        self.uptime.set(i64::try_from(self.state.uptime_seconds()).unwrap_or(i64::MAX));
    }

    /// The state that the gauges show.
    pub fn state(&self) -> &ServerState {
        &self.state
    }
}

fn version_number() -> i64 {
    [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")]
        .iter()
        .fold(0, |number, part| (number << 8) | i64::from(part.parse::<u8>().unwrap_or(u8::MAX)))
}

/// Everything that the admin interface shows and acts on.
pub struct AdminState {
    pub(super) stats: Stats,
    pub(super) server: ServerStats,
    pub(super) node: NodeConfig,
    pub(super) command_line: CommandLineOptions,
    pub(super) clusters: ArcSwap<Vec<AdminCluster>>,
    pub(super) quit: Box<dyn Fn() + Send + Sync>,
}

impl AdminState {
    /// The state of a server without clusters; `/quitquitquit` stops its drain's connections at once
    /// ([`DrainPhase::Stopped`](crate::base::DrainPhase)).
    pub fn new(stats: Stats, server: ServerStats) -> Self {
        let drain = server.state().drain().clone();
        Self {
            stats,
            server,
            node: NodeConfig::default(),
            command_line: CommandLineOptions::default(),
            clusters: ArcSwap::default(),
            quit: Box::new(move || drain.enter(crate::base::DrainPhase::Stopped)),
        }
    }

    /// What `/server_info` says of the node.
    #[must_use]
    pub fn with_node(mut self, node: NodeConfig) -> Self {
        self.node = node;
        self
    }

    /// What `/server_info` says of the command line.
    #[must_use]
    pub fn with_command_line(mut self, command_line: CommandLineOptions) -> Self {
        self.command_line = command_line;
        self
    }

    /// The clusters that `/clusters` lists, in this order.
    #[must_use]
    pub fn with_clusters(self, clusters: Vec<AdminCluster>) -> Self {
        self.clusters.store(Arc::new(clusters));
        self
    }

    /// What `/quitquitquit` does instead. It is called before the answer is sent, and must not block.
    #[must_use]
    pub fn with_quit(mut self, quit: impl Fn() + Send + Sync + 'static) -> Self {
        self.quit = Box::new(quit);
        self
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("server", &self.server)
            .field("node", &self.node)
            .field("command_line", &self.command_line)
            .field("clusters", &self.clusters.load().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{DrainPhase, DrainTimes};

    #[tokio::test(start_paused = true)]
    async fn phases_follow_the_start_then_the_drain() {
        let state = ServerState::new(Drain::new());
        assert_eq!(state.phase(), ServerPhase::PreInitializing);
        state.set_initializing();
        assert_eq!(state.phase(), ServerPhase::Initializing);
        state.drain().fail_health(true);
        assert_eq!(state.phase(), ServerPhase::Initializing, "as in Envoy, the start is named first");
        state.set_initialized();
        state.set_initializing();
        assert_eq!(state.phase(), ServerPhase::Draining, "a start never goes back");
        state.drain().fail_health(false);
        assert_eq!(state.phase(), ServerPhase::Live);
        state.drain().start(DrainTimes::default());
        assert_eq!((state.phase(), state.drain().phase()), (ServerPhase::Draining, DrainPhase::FailingHealth));
    }

    #[tokio::test(start_paused = true)]
    async fn server_stats_are_as_envoy_counts_them() {
        let (stats, state) = (Stats::new(), ServerState::new(Drain::new()));
        let server = ServerStats::new(&stats, state.clone(), 4);
        assert_eq!(stats.gauge_value("server.state"), Some(2));
        assert_eq!(stats.gauge_value("server.live"), Some(0));
        state.set_initialized();
        tokio::time::advance(std::time::Duration::from_millis(2_900)).await;
        server.refresh();
        let value = |name| stats.gauge_value(name);
        assert_eq!((value("server.live"), value("server.state")), (Some(1), Some(0)));
        assert_eq!((value("server.uptime"), value("server.concurrency")), (Some(2), Some(4)));
        assert!(value("server.version").unwrap() > 0);
    }
}
