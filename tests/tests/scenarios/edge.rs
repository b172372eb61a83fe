//! What a client sees of the edge.

use std::{collections::BTreeMap, time::Duration};

use meshlib_examples::{client::EchoClient, mesh::Options};

use crate::support::{answered_by, counter, hosts, mesh};

#[tokio::test]
async fn calls_rotate_over_the_pods_with_envoys_headers() {
    let (deployment, client) = mesh(Options::default()).await;
    let mut answers = BTreeMap::new();
    for _ in 0..300 {
        *answers.entry(answered_by(&client).await).or_insert(0) += 1;
    }
    assert_eq!(answers.len(), 3);
    assert!(answers.values().all(|count| (80..=120).contains(count)), "{answers:?}");
    let reply = client.echo("hello").await.expect("an answer");
    assert_eq!(reply.headers.get("server").expect("server"), "envoy");
    assert_eq!(reply.headers.get("content-type").expect("content-type"), "application/grpc");
    assert!(reply.headers.get("date").is_some());
    let time: u64 = reply.headers.get("x-envoy-upstream-service-time").unwrap().to_str().unwrap().parse().unwrap();
    assert!(time < 30_000);
    assert!(reply.headers.get("x-request-id").is_none(), "the id is the request's alone");
    assert_eq!(reply.trailers.get("grpc-status").expect("grpc-status"), "0");
    assert_eq!(hosts(&deployment), (3, 3));
    assert_eq!(counter(&deployment, "cluster.echo-grpc.lb_healthy_panic"), 0);
}

#[tokio::test]
async fn as_published_every_call_is_routed_in_panic_mode() {
    let options = Options { health_route: false, interval: Duration::from_secs(10), ..Options::default() };
    let (deployment, client) = mesh(options).await;
    for _ in 0..30 {
        answered_by(&client).await;
    }
    assert_eq!(hosts(&deployment), (3, 0));
    assert_eq!(counter(&deployment, "cluster.echo-grpc.lb_healthy_panic"), 30);
    assert!(counter(&deployment, "cluster.echo-grpc.health_check.failure") >= 3);
    assert_eq!(counter(&deployment, "cluster.echo-grpc.health_check.success"), 0);
}

#[tokio::test]
async fn clients_with_and_without_alpn_connect() {
    let (deployment, _) = mesh(Options { pods: 1, ..Options::default() }).await;
    for alpn in [&["h2"][..], &[], &["h2", "http/1.1"], &["acme/1"]] {
        let client = EchoClient::connect_with_alpn(&deployment.url(), alpn).await.expect("a connection");
        assert_eq!(answered_by(&client).await, "pod-1", "offering {alpn:?}");
    }
}

#[tokio::test]
async fn two_meshes_live_in_one_process() {
    let ((one, one_client), (other, other_client)) =
        tokio::join!(mesh(Options { pods: 1, ..Options::default() }), mesh(Options { pods: 2, ..Options::default() }));
    for _ in 0..10 {
        answered_by(&one_client).await;
    }
    answered_by(&other_client).await;
    assert_eq!(counter(&one, "cluster.echo-grpc.upstream_rq_total"), 10);
    assert_eq!(counter(&other, "cluster.echo-grpc.upstream_rq_total"), 1);
    assert_eq!((hosts(&one).0, hosts(&other).0), (1, 2));
}
