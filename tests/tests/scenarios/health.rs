//! Health checks: who gets calls, and who gets none.

use meshlib_examples::mesh::Options;

use crate::support::{answered_by, eventually, hosts, mesh};

#[tokio::test]
async fn a_pod_that_is_not_serving_gets_nothing_until_two_good_checks() {
    let (deployment, client) = mesh(Options::default()).await;
    let application = deployment.pods()[1].application().expect("it runs");
    application.set_serving(false).await;
    eventually("one NOT_SERVING ejects", || hosts(&deployment) == (3, 2)).await;
    let before = application.calls();
    for _ in 0..50 {
        assert_ne!(answered_by(&client).await, "pod-2");
    }
    assert_eq!(application.calls(), before);
    let good = |deployment: &meshlib_examples::mesh::Deployment| {
        crate::support::counter(deployment, "cluster.echo-grpc.health_check.success")
    };
    let successes = good(&deployment);
    application.set_serving(true).await;
    eventually("it comes back", || hosts(&deployment) == (3, 3)).await;
    // Two of its own, and meanwhile one or more of each other pod.
    assert!(good(&deployment) >= successes + 3, "one good check was enough");
    let answers = [answered_by(&client).await, answered_by(&client).await, answered_by(&client).await];
    assert!(answers.contains(&"pod-2".to_owned()), "{answers:?}");
}

#[tokio::test]
async fn a_dead_pod_costs_calls_only_until_its_checks_fail() {
    let (mut deployment, client) = mesh(Options::default()).await;
    deployment.pod(2).unwrap().kill().await;
    eventually("two refused checks eject", || hosts(&deployment) == (3, 2)).await;
    for _ in 0..50 {
        assert_ne!(answered_by(&client).await, "pod-3");
    }
}

#[tokio::test]
async fn a_dead_application_is_answered_by_its_sidecar() {
    let options = Options { pods: 1, health_route: false, ..Options::default() };
    let (mut deployment, client) = mesh(options).await;
    deployment.pod(0).unwrap().kill_application().await;
    let mut failure = String::new();
    // A call on the connection that dies may end by its reset; the next ones find nobody listening.
    for _ in 0..10 {
        failure = client.echo("hello").await.expect_err("nobody is there").to_string();
    }
    assert!(failure.contains("grpc-status 14"), "{failure}");
    assert!(failure.contains("reset reason: remote connection failure"), "{failure}");
}
