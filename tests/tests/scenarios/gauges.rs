//! Every gauge that goes up comes down, whatever ends a request.

use std::time::Duration;

use meshlib::base::stats::StatValue;
use meshlib_examples::{
    client::EchoClient,
    mesh::{Deployment, Options},
};

use crate::support::{answered_by, eventually, log::Log, mesh, stats};

/// Gauges of requests and downstream connections that are not zero.
fn raised(deployment: &Deployment) -> Vec<String> {
    let of_requests = |name: &str| {
        name.contains("_rq_active") || name.contains("_rq_pending_active") || name.contains("downstream_cx_active")
    };
    let gauges = stats(deployment).snapshot().into_iter().filter(|(name, _)| of_requests(name));
    gauges
        .filter(|(name, value)| {
            !name.contains("admin") && *value != StatValue::Gauge(0) && matches!(value, StatValue::Gauge(_))
        })
        .map(|(name, value)| format!("{name} {value:?}"))
        .collect()
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let (deployment, client) = mesh(Options { pods: 2, ..Options::default() }).await;
    answered_by(&client).await;
    for pod in deployment.pods() {
        pod.application().unwrap().set_delay(Duration::from_secs(60));
    }
    let url = deployment.url();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { EchoClient::connect(&url).await.expect("a connection").echo("slow").await })
        })
        .collect();
    eventually("the calls are under way", || {
        stats(&deployment).gauge_value("cluster.echo-grpc.upstream_rq_active") == Some(20)
    })
    .await;
    assert!(!raised(&deployment).is_empty());
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    drop(client);
    eventually("every gauge is back to zero", || raised(&deployment).is_empty()).await;
    let hosts = deployment.cluster().unwrap().hosts().load_full();
    for host in hosts.hosts() {
        assert_eq!(host.stats().rq_active.load(std::sync::atomic::Ordering::Relaxed), 0);
    }
    let lines = Log::new(deployment.access_log()).lines(21).await;
    let gone = lines.iter().filter(|line| line.outcome() == "POST /api.Echo/Echo HTTP/2 0 DC 11 0");
    assert_eq!(gone.count(), 20, "{lines:?}");
}

#[tokio::test]
async fn pods_that_die_under_calls_leave_nothing_behind() {
    let (mut deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    deployment.pods()[0].application().unwrap().set_delay(Duration::from_secs(60));
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.echo("slow").await.expect_err("the pod dies") })
        })
        .collect();
    eventually("the calls are under way", || {
        stats(&deployment).gauge_value("cluster.echo-grpc.upstream_rq_active") == Some(10)
    })
    .await;
    deployment.pod(0).unwrap().kill().await;
    for call in calls {
        let failed = call.await.expect("the call ends").to_string();
        assert!(failed.contains("grpc-status 14"), "{failed}");
    }
    drop(client);
    eventually("every gauge is back to zero", || raised(&deployment).is_empty()).await;
}
