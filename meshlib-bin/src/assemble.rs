//! Where the command line meets the library. The only module that names the library's entry points.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use meshlib::{
    base::{
        Drain, DrainPhase, Resources, Stats,
        resources::{SystemFiles, Workers},
    },
    discovery::resolver::SystemResolver,
    envoy::{self, Loaded, diagnostic::Style},
    net::{TcpNetwork, log_sink::SystemLogSinks},
    proxy::{admin::CommandLineOptions, config::MeshConfig, server::Server},
};
use tokio::runtime::Handle;

use crate::{Failure, cli::Cli};

/// How long the end of the process waits for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Reads a configuration. A failure lists every mistake with its place.
pub(crate) fn load(cli: &Cli) -> Result<Loaded, Failure> {
    let loaded = match &cli.config_yaml {
        Some(text) => envoy::load(&cli.config_name(), text),
        None => envoy::load_file(&cli.config_path, &SystemFiles),
    };
    let style = if io::stderr().is_terminal() { Style::Colored } else { Style::Plain };
    loaded.map_err(|errors| errors.render(style))
}

/// The configuration with what the command line says of the node, and the command line as `/server_info` shows it.
pub(crate) fn apply(cli: &Cli, mut config: MeshConfig) -> (MeshConfig, CommandLineOptions) {
    if let Some(cluster) = &cli.service_cluster {
        config.node.cluster.clone_from(cluster);
    }
    if let Some(id) = &cli.service_node {
        config.node.id.clone_from(id);
    }
    let mut options = CommandLineOptions::default();
    options.concurrency = cli.concurrency();
    options.config_path = cli.config_yaml.as_ref().map_or_else(|| cli.config_name(), |_| String::new());
    options.log_level = cli.log_level.to_string();
    options.service_cluster = cli.service_cluster.clone().unwrap_or_default();
    options.service_node = cli.service_node.clone().unwrap_or_default();
    options.drain_time = cli.drain_time();
    (config, options)
}

/// Serves until the drain is over. Runs on the main runtime; connections go to the `workers`.
pub(crate) async fn serve(loaded: Loaded, cli: &Cli, workers: Vec<Handle>, drain: Drain) -> Result<(), Failure> {
    let (config, options) = apply(cli, loaded.config);
    let (stats, mut resolver) = (Stats::new(), SystemResolver::new());
    if let Some(server) = cli.resolver {
        resolver = SystemResolver::with_server(server);
    }
    let sinks = SystemLogSinks::new(&stats);
    let resources = Resources::new(Arc::new(TcpNetwork::new()), Arc::new(resolver), Arc::new(sinks.clone()))
        .with_stats(stats)
        .with_drain(drain.clone())
        .with_workers(Workers::Runtimes(workers));
    let start = Server::start_with(config, options, resources);
    if let Some(server) = unless_drained(start, &drain).await {
        server.map_err(|error| format!("error: {error}"))?.finished().await;
    }
    // The last lines of the access logs: the process ends after this.
    tokio::task::spawn_blocking(move || sinks.flush(LAST_LINES)).await.ok();
    Ok(())
}

/// A start waits for its clusters to warm up; there is nothing to drain before it has served, so a drain ends it.
async fn unless_drained<T>(start: impl Future<Output = T>, drain: &Drain) -> Option<T> {
    tokio::select! {
        biased;
        started = start => Some(started),
        () = drain.reached(DrainPhase::FailingHealth) => None,
    }
}

#[cfg(test)]
mod tests;
