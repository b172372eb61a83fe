//! DNS: pods that come, pods that go, name servers that fail.

use std::time::Duration;

use meshlib_examples::{
    dns::Mode,
    mesh::{Options, SERVICE},
};

use crate::support::{answered_by, counter, eventually, hosts, mesh, within};

/// Names asked for more often than in the reference.
fn quick(pods: u8) -> Options {
    Options { pods, refresh: Duration::from_millis(200), interval: Duration::from_millis(500), ..Options::default() }
}

#[tokio::test]
async fn a_pod_that_is_added_serves_without_a_failed_call() {
    let (mut deployment, client) = mesh(Options { pods: 2, ..Options::default() }).await;
    deployment.add_pod().await.expect("a third pod");
    deployment.publish();
    let begin = tokio::time::Instant::now();
    while answered_by(&client).await != "pod-3" {
        assert!(begin.elapsed().as_secs() < 11, "it serves within 11 s");
    }
    assert_eq!(hosts(&deployment), (3, 3));
}

#[tokio::test]
async fn a_pod_that_leaves_dns_serves_until_it_fails_its_check() {
    let (mut deployment, client) = mesh(quick(2)).await;
    let left = deployment.pods()[0].address();
    deployment.dns().set(SERVICE, [left]);
    let pending = |flags: &str| flags == "/pending_dynamic_removal";
    eventually("the second pod is pending removal", || {
        let hosts = deployment.cluster().unwrap().hosts().load_full();
        hosts.hosts().iter().any(|host| pending(&host.health().to_string()))
    })
    .await;
    assert_eq!(hosts(&deployment), (2, 2), "it passes its checks, so it stays");
    let answers = [answered_by(&client).await, answered_by(&client).await];
    assert!(answers.contains(&"pod-2".to_owned()), "and it is balanced: {answers:?}");
    deployment.pod(1).unwrap().kill().await;
    eventually("it is gone", || hosts(&deployment) == (1, 1)).await;
    for _ in 0..10 {
        assert_eq!(answered_by(&client).await, "pod-1");
    }
}

#[tokio::test]
async fn a_name_that_is_gone_empties_the_cluster_once_its_hosts_fail() {
    let (mut deployment, client) = mesh(quick(1)).await;
    let empty = counter(&deployment, "cluster.echo-grpc.update_empty");
    deployment.dns().set_mode(Mode::NxDomain);
    eventually("NXDOMAIN counts as an empty answer", || counter(&deployment, "cluster.echo-grpc.update_empty") > empty)
        .await;
    assert_eq!(answered_by(&client).await, "pod-1", "a host that passes its checks stays");
    deployment.pod(0).unwrap().kill().await;
    eventually("the cluster is empty", || hosts(&deployment).0 == 0).await;
    let failed = client.echo("hello").await.expect_err("nobody is there");
    assert!(failed.to_string().contains("no healthy upstream"), "{failed}");
    assert!(failed.to_string().contains("grpc-status 14"), "{failed}");
}

#[tokio::test]
async fn a_failing_name_server_changes_nothing() {
    let (deployment, client) = mesh(quick(2)).await;
    let failures = counter(&deployment, "cluster.echo-grpc.update_failure");
    deployment.dns().set_mode(Mode::ServFail);
    eventually("failures are counted", || counter(&deployment, "cluster.echo-grpc.update_failure") > failures).await;
    assert_eq!(hosts(&deployment), (2, 2));
    answered_by(&client).await;
}

/// A stream on a pod that is taken away goes on to its end.
#[tokio::test]
async fn scaling_down_disturbs_no_call_under_way() {
    let (mut deployment, client) = mesh(quick(2)).await;
    for pod in deployment.pods() {
        pod.application().expect("it runs").set_delay(Duration::from_secs(3));
    }
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.echo("slow").await })
        })
        .collect();
    let left = deployment.pods()[0].address();
    let on_each = || deployment.pods().iter().all(|pod| pod.application().expect("it runs").calls() == 2);
    eventually("two calls on each pod", on_each).await;
    deployment.dns().set(SERVICE, [left]);
    deployment.pods()[1].application().expect("it runs").set_serving(false).await;
    eventually("the second pod is gone", || hosts(&deployment) == (1, 1)).await;
    for call in calls {
        within("a call ends", call).await.expect("no panic").expect("an answer");
    }
    deployment.pods()[0].application().expect("it runs").set_delay(Duration::ZERO);
    for _ in 0..10 {
        assert_eq!(answered_by(&client).await, "pod-1");
    }
    deployment.pod(1).expect("a pod").kill().await;
    assert_eq!(answered_by(&client).await, "pod-1");
}
