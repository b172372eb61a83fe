use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn parse(arguments: &[&str]) -> Result<Cli, ErrorKind> {
    Cli::try_parse_from(["meshlib"].iter().chain(arguments)).map_err(|error| error.kind())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_those_of_envoys_image() {
    let cli = parse(&[]).unwrap();
    assert_eq!(cli.config_name(), "/etc/envoy/envoy.yaml");
    assert_eq!((cli.mode, cli.log_level, cli.drain_time().as_secs()), (Mode::Serve, LogLevel::Info, 25));
    assert!(cli.concurrency() >= 1);
}

#[test]
fn envoys_command_lines_are_understood() {
    let cli = parse(&["-c", "e.yaml", "-l", "warn", "--concurrency", "3", "--drain-time-s", "60"]).unwrap();
    assert_eq!(cli.config_name(), "e.yaml");
    assert_eq!((cli.concurrency(), cli.log_level.filter()), (3, LevelFilter::WARN));
    assert_eq!(cli.drain_time(), Duration::from_secs(60));
    let cli = parse(&["--config-yaml", "{}", "--service-cluster", "front", "--service-node", "n1"]).unwrap();
    assert_eq!(cli.config_name(), "--config-yaml");
    assert_eq!((cli.service_cluster.as_deref(), cli.service_node.as_deref()), (Some("front"), Some("n1")));
    let cli = parse(&["--mode", "validate", "--base-id", "1", "--restart-epoch", "0", "--disable-hot-restart"]);
    assert_eq!(cli.unwrap().mode, Mode::Validate);
    assert_eq!(parse(&["--resolver", "[::1]:53"]).unwrap().resolver, Some("[::1]:53".parse().unwrap()));
    for level in ["trace", "debug", "info", "warning", "error", "critical", "off"] {
        assert!(parse(&["--log-level", level]).is_ok(), "{level}");
    }
}

#[test]
fn what_would_mean_something_else_is_refused() {
    assert_eq!(parse(&["-c", "e.yaml", "--config-yaml", "{}"]).err(), Some(ErrorKind::ArgumentConflict));
    assert_eq!(parse(&["--restart-epoch", "1"]).err(), Some(ErrorKind::ValueValidation));
    assert_eq!(parse(&["--concurrency", "0"]).err(), Some(ErrorKind::ValueValidation));
    assert_eq!(parse(&["--drain-time-s", "1000000"]).err(), Some(ErrorKind::ValueValidation));
    assert_eq!(parse(&["--resolver", "localhost:53"]).err(), Some(ErrorKind::ValueValidation));
    assert_eq!(parse(&["--log-level", "loud"]).err(), Some(ErrorKind::InvalidValue));
    assert_eq!(parse(&["--component-log-level", "upstream:debug"]).err(), Some(ErrorKind::UnknownArgument));
}
