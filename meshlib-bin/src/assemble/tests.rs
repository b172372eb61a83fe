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
