//! The times of a pod's end, which must be in order for no call to be lost.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, EnvVar};

use crate::files::{Objects, container, pod};

/// How long a proxy goes on accepting after SIGTERM.
const PROXY_ACCEPTS: i64 = 5;
/// How long after SIGTERM a proxy cuts what is left.
const PROXY_HARD_STOP: i64 = 25;
/// How long `echo-grpc` lets calls in flight finish after `DRAIN_SECONDS`.
const APPLICATION_STOP_LIMIT: i64 = 15;
/// The TTL of CoreDNS in Kubernetes, and the refresh rate of a cluster: how long a name can lead to a pod that has gone.
const DNS: i64 = 5 + 5;

fn pre_stop(container: &Container) -> i64 {
    let hook = container.lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap();
    hook.sleep.as_ref().unwrap().seconds
}

fn grace(deployment: &Deployment) -> i64 {
    pod(deployment).termination_grace_period_seconds.unwrap()
}

#[test]
fn proxies_have_the_time_for_their_drain() {
    let objects = Objects::read();
    for deployment in &objects.deployments {
        assert!(grace(deployment) > pre_stop(container(deployment, "envoy")) + PROXY_HARD_STOP);
    }
}

#[test]
fn the_application_outlives_its_sidecar() {
    let objects = Objects::read();
    let deployment = objects.deployment("echo-grpc");
    let application = container(deployment, "echo-grpc");
    // Its health must fail at the very beginning, so it gets its signal at once.
    assert_eq!(application.lifecycle, None);
    let is_drain = |variable: &&EnvVar| variable.name == "DRAIN_SECONDS";
    let variable = application.env.as_deref().unwrap().iter().find(is_drain).unwrap();
    let drain: i64 = variable.value.as_deref().unwrap().parse().unwrap();
    assert!(drain > pre_stop(container(deployment, "envoy")) + PROXY_ACCEPTS);
    assert!(grace(deployment) > drain + APPLICATION_STOP_LIMIT);
}

#[test]
fn the_sidecar_serves_until_every_edge_knows() {
    let objects = Objects::read();
    let edge = objects.deployment("envoy");
    let file = objects.envoy_file(edge, container(edge, "envoy"));
    let echo = objects.deployment("echo-grpc");
    let serves = pre_stop(container(echo, "envoy"));
    assert!(serves > DNS);
    for interval in ["interval", "no_traffic_interval"] {
        let check = file.check_seconds(interval) + file.check_seconds("timeout");
        assert!(f64::from(i32::try_from(serves).unwrap()) > check, "{interval}");
    }
}
