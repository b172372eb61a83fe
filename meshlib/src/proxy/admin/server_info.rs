//! `/server_info`: Envoy's `ServerInfo` message, as far as meshlib has something to say.

use std::time::Duration;

use super::{json::Json, state::AdminState};

/// The command line, as `/server_info` repeats it (Envoy's `CommandLineOptions`). A configuration that was given on the
/// command line itself is left out: it may hold a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandLineOptions {
    /// How many workers serve.
    pub concurrency: u32,
    /// The configuration file; empty when there is none.
    pub config_path: String,
    /// The level of the log.
    pub log_level: String,
    /// `--service-cluster`.
    pub service_cluster: String,
    /// `--service-node`.
    pub service_node: String,
    /// How long a drain may take at most; printed in whole seconds.
    pub drain_time: Duration,
}

impl Default for CommandLineOptions {
    /// One worker, Envoy's log level, 25 s of drain.
    fn default() -> Self {
        Self {
            concurrency: 1,
            config_path: String::new(),
            log_level: "info".to_owned(),
            service_cluster: String::new(),
            service_node: String::new(),
            drain_time: crate::base::DrainTimes::default().stop,
        }
    }
}

/// The message.
pub(super) fn print(state: &AdminState) -> String {
    let server = state.server.state();
    let uptime = format!("{}s", server.uptime_seconds());
    let version = [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    let [major, minor, patch] = version.map(|part| Json::whole(part.parse::<i64>().unwrap_or(-1)));
    let version = Json::Object(vec![("major_number", major), ("minor_number", minor), ("patch", patch)]);
    Json::Object(vec![
        // Envoy's form: revision/version/status/type/TLS library. Scripts split it at the slashes.
        ("version", Json::text(format_args!("meshlib/{}/Clean/{}/rustls", env!("CARGO_PKG_VERSION"), build_type()))),
        ("state", Json::text(server.phase())),
        ("uptime_current_epoch", Json::text(&uptime)),
        ("uptime_all_epochs", Json::text(&uptime)),
        ("hot_restart_version", Json::text("disabled")),
        ("command_line_options", command_line(&state.command_line)),
        (
            "node",
            Json::Object(vec![
                ("id", Json::text(&state.node.id)),
                ("cluster", Json::text(&state.node.cluster)),
                ("user_agent_name", Json::text("meshlib")),
                ("user_agent_build_version", Json::Object(vec![("version", version)])),
            ]),
        ),
    ])
    .pretty()
}

fn build_type() -> &'static str {
    if cfg!(debug_assertions) { "DEBUG" } else { "RELEASE" }
}

fn command_line(options: &CommandLineOptions) -> Json {
    Json::Object(vec![
        ("concurrency", Json::whole(options.concurrency)),
        ("config_path", Json::text(&options.config_path)),
        ("log_level", Json::text(&options.log_level)),
        ("service_cluster", Json::text(&options.service_cluster)),
        ("service_node", Json::text(&options.service_node)),
        ("drain_time", Json::text(format_args!("{}s", options.drain_time.as_secs()))),
        ("mode", Json::text("Serve")),
        ("disable_hot_restart", Json::Bool(true)),
    ])
}

#[cfg(test)]
mod tests {
    use super::{
        super::state::{ServerState, ServerStats},
        *,
    };
    use crate::{
        base::{Drain, Stats},
        proxy::config::NodeConfig,
    };

    #[tokio::test(start_paused = true)]
    async fn says_state_uptime_command_line_and_node() {
        let (stats, server) = (Stats::new(), ServerState::new(Drain::new()));
        let node = NodeConfig { id: "n1".to_owned(), cluster: "c\"1".to_owned() };
        let command_line = CommandLineOptions { config_path: "e.yaml".to_owned(), ..CommandLineOptions::default() };
        let state = AdminState::new(stats.clone(), ServerStats::new(&stats, server.clone(), 1))
            .with_node(node)
            .with_command_line(command_line);
        server.set_initialized();
        tokio::time::advance(Duration::from_secs(12)).await;
        let json = print(&state);
        for part in [
            " \"state\": \"LIVE\",\n \"uptime_current_epoch\": \"12s\",\n",
            "  \"config_path\": \"e.yaml\",\n",
            "  \"drain_time\": \"25s\",\n",
            " \"node\": {\n  \"id\": \"n1\",\n  \"cluster\": \"c\\\"1\",\n",
        ] {
            assert!(json.contains(part), "{part}\nis not in\n{json}");
        }
        let version = json.lines().nth(1).unwrap().split('/').nth(1).unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
    }
}
