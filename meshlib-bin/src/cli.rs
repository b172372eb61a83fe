//! The command line: Envoy's flags, as far as they mean something here.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum, value_parser};
use tracing_subscriber::filter::LevelFilter;

/// Runs an Envoy configuration file.
///
/// The first SIGTERM or SIGINT drains, a second one stops at once. Exit codes: 0 after a drain or a valid
/// configuration, 1 when the configuration is wrong or the start fails, 2 for a wrong command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "meshlib", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// The configuration file
    #[arg(short = 'c', long, value_name = "FILE", default_value = "/etc/envoy/envoy.yaml")]
    pub(crate) config_path: PathBuf,

    /// The configuration itself, instead of a file
    #[arg(long, value_name = "TEXT", conflicts_with = "config_path")]
    pub(crate) config_yaml: Option<String>,

    /// Whether to serve, or only to check the configuration
    #[arg(long, value_enum, default_value_t = Mode::Serve)]
    pub(crate) mode: Mode,

    /// How many workers serve [default: as many as this process may use processors]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1024))]
    concurrency: Option<u32>,

    /// How much is logged
    #[arg(short = 'l', long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,

    /// How long a drain may take, in seconds; what is open then is cut
    #[arg(long, value_name = "SECONDS", default_value_t = 25, value_parser = value_parser!(u64).range(0..=86_400))]
    drain_time_s: u64,

    /// The DNS server to ask, instead of those of /etc/resolv.conf
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) resolver: Option<SocketAddr>,

    /// The node's cluster; overrides the configuration's node.cluster
    #[arg(long, value_name = "NAME")]
    pub(crate) service_cluster: Option<String>,

    /// The node's id; overrides the configuration's node.id
    #[arg(long, value_name = "ID")]
    pub(crate) service_node: Option<String>,

    #[command(flatten)]
    hot_restart: HotRestart,
}

/// Envoy's flags for hot restart. meshlib has none, so what asks for none, or only shapes it, changes nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Accepted for Envoy's sake, without effect (there is no hot restart)")]
struct HotRestart {
    /// Where Envoy shares memory with its predecessor
    #[arg(long, value_name = "N")]
    base_id: Option<u32>,

    /// Envoy picks such a place itself
    #[arg(long)]
    use_dynamic_base_id: bool,

    /// Only 0: there is no predecessor to take over from
    #[arg(long, value_name = "0", default_value_t = 0, value_parser = value_parser!(u32).range(0..=0))]
    restart_epoch: u32,

    /// Nobody will take over
    #[arg(long)]
    disable_hot_restart: bool,

    /// How long Envoy's predecessor may live on
    #[arg(long, value_name = "SECONDS")]
    parent_shutdown_time_s: Option<u64>,
}

/// What to do with the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Serve until told to stop
    Serve,
    /// Check the configuration, and say whether it is good
    Validate,
}

/// Envoy's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    #[value(alias = "warn")]
    Warning,
    Error,
    /// As error: nothing here is more than that
    Critical,
    Off,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

impl LogLevel {
    /// The same for `tracing`.
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            Self::Trace => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warning => LevelFilter::WARN,
            Self::Error | Self::Critical => LevelFilter::ERROR,
            Self::Off => LevelFilter::OFF,
        }
    }
}

impl Cli {
    /// What to call the configuration in messages.
    pub(crate) fn config_name(&self) -> String {
        match &self.config_yaml {
            Some(_) => "--config-yaml".to_owned(),
            None => self.config_path.display().to_string(),
        }
    }

    /// How many workers serve. Without the flag: the processors of this process's affinity and cgroup quota.
    pub(crate) fn concurrency(&self) -> u32 {
        self.concurrency.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
        })
    }

    /// How long a drain may take at most.
    pub(crate) fn drain_time(&self) -> Duration {
        Duration::from_secs(self.drain_time_s)
    }
}

#[cfg(test)]
mod tests;
