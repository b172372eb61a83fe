//! Where the command line meets the library. The only module that names the library's entry points.

use meshlib::{
    base::{Drain, DrainPhase},
    proxy::{admin::CommandLineOptions, config::MeshConfig},
};
use tokio::runtime::Handle;

use crate::{
    cli::{Cli, Source},
    exit::Failure,
};

/// A configuration that was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What to serve.
    pub(crate) config: MeshConfig,
    /// What is good enough to serve but should be spelled otherwise.
    pub(crate) warnings: Vec<String>,
}

/// Reads a configuration. A failure lists every mistake with its place.
pub(crate) fn load(source: &Source) -> Result<Loaded, Failure> {
    let name = source.name();
    let _text = match source {
        Source::File(path) => std::fs::read(path).map_err(|error| Failure::io(&format!("read {name}"), &error))?,
        Source::Text(text) => text.clone().into_bytes(),
    };
    // The one line that is missing: `meshlib::envoy::load`.
    Err(Failure::new(format!("cannot use {name}: the reader of Envoy files is not attached yet")))
}

/// The configuration with what the command line says of the node, and the command line as `/server_info` shows it.
pub(crate) fn apply(cli: &Cli, mut config: MeshConfig) -> (MeshConfig, CommandLineOptions) {
    if let Some(cluster) = &cli.service_cluster {
        config.node.cluster.clone_from(cluster);
    }
    if let Some(id) = &cli.service_node {
        config.node.id.clone_from(id);
    }
    let config_path = match cli.source() {
        Source::File(path) => path.display().to_string(),
        Source::Text(_) => String::new(),
    };
    let options = CommandLineOptions {
        concurrency: cli.concurrency(),
        config_path,
        log_level: cli.log_level.to_string(),
        service_cluster: cli.service_cluster.clone().unwrap_or_default(),
        service_node: cli.service_node.clone().unwrap_or_default(),
        drain_time: cli.drain_time(),
    };
    (config, options)
}

/// Serves until the drain is over. Runs on the main runtime; connections go to the `workers`.
pub(crate) async fn serve(loaded: Loaded, cli: &Cli, workers: Vec<Handle>, drain: Drain) -> Result<(), Failure> {
    let (config, options) = apply(cli, loaded.config);
    let start = async {
        // The lines that are missing: resources over the system's network, `cli.resolver`, `workers` and `drain`; then
        // `Server::start`, with `exit::explain_bind` for a listener that cannot be bound.
        let (_, _, _) = (config, options, workers);
        Err::<(), _>(Failure::new("cannot serve: the server is not attached yet"))
    };
    match unless_drained(start, &drain).await {
        // `server.run_until_stopped().await`
        Some(started) => started,
        None => Ok(()),
    }
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
mod tests {
    use clap::Parser;
    use meshlib::base::DrainTimes;

    use super::*;

    #[test]
    fn the_command_line_names_the_node() {
        let mut config = MeshConfig::default();
        config.node.id = "from the file".to_owned();
        let cli = Cli::try_parse_from(["meshlib", "-c", "e.yaml", "--service-cluster", "front", "-l", "warn"]).unwrap();
        let (config, options) = apply(&cli, config);
        assert_eq!((config.node.cluster.as_str(), config.node.id.as_str()), ("front", "from the file"));
        assert_eq!((options.config_path.as_str(), options.log_level.as_str()), ("e.yaml", "warning"));
        assert_eq!((options.service_cluster.as_str(), options.drain_time.as_secs()), ("front", 25));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_a_start_that_still_waits() {
        let drain = Drain::new();
        assert_eq!(unless_drained(async { 1 }, &drain).await, Some(1));
        drain.start(DrainTimes::default());
        assert_eq!(unless_drained(std::future::pending::<()>(), &drain).await, None);
    }
}
