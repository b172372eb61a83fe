//! Going away with calls under way, and certificates that change under load.

use std::time::Duration;

use meshlib::base::{DrainPhase, DrainTimes};
use meshlib_examples::{client::EchoClient, mesh::Options};

use crate::support::{answered_by, eventually, mesh};

#[tokio::test]
async fn calls_under_way_finish_and_new_connections_are_refused() {
    let (deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    answered_by(&client).await;
    deployment.pods()[0].application().unwrap().set_delay(Duration::from_secs(2));
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.echo("slow").await }
    });
    let active = || deployment.edge().resources().stats().gauge_value("cluster.echo-grpc.upstream_rq_active");
    eventually("the call is under way", || active() == Some(1)).await;
    let drain = deployment.edge().resources().drain();
    deployment.edge().drain(DrainTimes { accept: Duration::from_millis(200), stop: Duration::from_secs(20) });
    assert!(drain.health_failing(), "the health filter fails at once");
    drain.reached(DrainPhase::Draining).await;
    assert_eq!(slow.await.expect("it ends").expect("an answer").content, "slow");
    deployment.edge().finished().await;
    assert_eq!(drain.connections(), 0);
    assert!(drain.phase() == DrainPhase::Draining, "nothing had to be cut");
    assert!(EchoClient::connect(&deployment.url()).await.is_err(), "nobody accepts any more");
}

#[tokio::test]
async fn what_does_not_finish_is_cut_at_the_end() {
    let (deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    deployment.pods()[0].application().unwrap().set_delay(Duration::from_secs(600));
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.echo("stuck").await }
    });
    let active = || deployment.edge().resources().stats().gauge_value("cluster.echo-grpc.upstream_rq_active");
    eventually("the call is under way", || active() == Some(1)).await;
    deployment.edge().drain(DrainTimes { accept: Duration::from_millis(100), stop: Duration::from_millis(500) });
    deployment.edge().finished().await;
    stuck.await.expect("it ends").expect_err("it was cut");
    eventually("the gauge is back to zero", || active() == Some(0)).await;
}

#[tokio::test]
async fn a_certificate_is_swapped_under_load() {
    let (mut deployment, client) = mesh(Options { pods: 2, ..Options::default() }).await;
    let load = tokio::spawn(async move {
        for _ in 0..2000 {
            answered_by(&client).await;
        }
    });
    let url = deployment.url();
    let address = url.trim_start_matches("https://").to_owned();
    let before = crate::support::tls::server_certificate(&address).await;
    deployment.certificate().rotate("localhost").expect("a new pair");
    let wanted = deployment.certificate().der().clone();
    assert_ne!(before, wanted);
    let begin = tokio::time::Instant::now();
    while crate::support::tls::server_certificate(&address).await != wanted {
        assert!(begin.elapsed() < crate::support::PATIENCE, "new handshakes get the new certificate");
    }
    load.await.expect("no call failed");
}
