//! A cluster in an application's own process, called by a generated client of tonic, to the second.

use std::time::Duration;

use meshlib::{
    base::Error,
    cluster::{Cluster, ClusterBuilder, ClusterService, config::HealthCheckConfig, config::StrictDnsConfig},
    testkit::{App, Health, ServingApp, Testkit},
};
use meshlib_examples::proto::{EchoRequest, echo_client::EchoClient};
use tokio::time::{Instant, sleep, sleep_until};

use crate::world::{SERVICE, address, secs};

const PORT: u16 = 8081;

/// Applications without sidecars, and the world that they and the client are in.
struct Pods {
    kit: Testkit,
    begin: Instant,
}

impl Pods {
    fn new() -> Self {
        let kit = Testkit::seeded(1);
        kit.dns.set(SERVICE, []);
        Self { kit, begin: Instant::now() }
    }

    fn start(&self, pod: u8) -> (App, ServingApp) {
        let app = App::since(format!("pod-{pod}"), self.begin);
        let serving = app.serve(&self.kit.network, (address(pod), PORT).into()).expect("the address is free");
        (app, serving)
    }

    fn publish(&self, pods: impl IntoIterator<Item = u8>) {
        self.kit.dns.set(SERVICE, pods.into_iter().map(address));
    }

    fn cluster(&self) -> ClusterBuilder<StrictDnsConfig> {
        Cluster::builder("echo-grpc").strict_dns(SERVICE, PORT).http2().connect_timeout(secs(1))
    }

    /// With the reference's checks.
    fn checked(&self) -> ClusterBuilder<StrictDnsConfig> {
        self.cluster().health_check(HealthCheckConfig::grpc(secs(1), secs(10), 2, 2))
    }

    fn client(&self, cluster: ClusterBuilder<StrictDnsConfig>) -> EchoClient<ClusterService> {
        EchoClient::new(cluster.build(&self.kit.resources).expect("a cluster").service())
    }

    async fn at(&self, seconds: u64) {
        sleep_until(self.begin + secs(seconds) + Duration::from_millis(5)).await;
    }
}

/// The pod that answers.
async fn answered_by(client: &mut EchoClient<ClusterService>) -> String {
    let answer = client.echo(EchoRequest { content: "hello".into() }).await.expect("an answer");
    let name = answer.metadata().get("hostname").expect("a name").to_str().expect("text").to_owned();
    assert_eq!(answer.into_inner().content, "hello");
    name
}

#[tokio::test(start_paused = true)]
async fn new_pods_are_there_within_a_refresh_and_no_call_fails() {
    let pods = Pods::new();
    let _one = pods.start(1);
    pods.publish([1]);
    let mut client = pods.client(pods.checked());
    assert_eq!(answered_by(&mut client).await, "pod-1");
    pods.at(6).await;
    let two = pods.start(2);
    pods.publish([1, 2]);
    while answered_by(&mut client).await == "pod-1" {
        sleep(secs(1) / 10).await;
    }
    let found = pods.begin.elapsed();
    assert!((secs(10)..secs(11)).contains(&found), "resolved at 10 s, and checked at once: {found:?}");
    // Killed between two calls, and in DNS still: each call that picks it goes on to the other.
    drop(two);
    for _ in 0..40 {
        assert_eq!(answered_by(&mut client).await, "pod-1");
        sleep(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_call_waits_for_resolution_and_check() {
    let pods = Pods::new();
    let (one, _serving) = pods.start(1);
    one.set_health(Health::Silent);
    let _two = pods.start(2);
    pods.publish([1, 2]);
    let mut client = pods.client(pods.checked());
    assert_eq!(answered_by(&mut client).await, "pod-2", "the first one did not answer its check");
    assert_eq!(pods.begin.elapsed().as_secs(), 1, "which took its second");

    pods.kit.dns.hang(SERVICE);
    let begin = Instant::now();
    let status = pods.client(pods.checked()).echo(EchoRequest::default()).await.expect_err("nobody is known");
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!(status.message(), "cluster \"echo-grpc\" has no healthy upstream");
}

/// Built in code, a cluster does not wait a minute for a second look.
#[tokio::test(start_paused = true)]
async fn a_pod_that_starts_after_its_first_check_is_back_after_two_intervals() {
    let pods = Pods::new();
    pods.publish([1]);
    let mut client = pods.client(pods.checked().panic_threshold(0.0));
    pods.at(1).await;
    let status = client.echo(EchoRequest::default()).await.expect_err("it is not there");
    assert!(status.message().ends_with("10.1.0.1:8081 is /failed_active_hc"), "{status}");
    let (app, _serving) = pods.start(1);
    pods.at(21).await;
    assert_eq!(app.checks().len(), 2, "at 10 and 20 s");
    assert_eq!(answered_by(&mut client).await, "pod-1");
}

#[tokio::test(start_paused = true)]
async fn when_all_are_down_the_error_names_them() {
    let pods = Pods::new();
    pods.publish([1, 2, 3]);
    let mut client = pods.client(pods.cluster());
    let status = client.echo(EchoRequest::default()).await.expect_err("nobody is there");
    for pod in 1..=3 {
        assert!(status.message().contains(&format!("10.1.0.{pod}:8081 (ConnectFailure)")), "{status}");
    }
    let info = Error::find_in(&status).expect("the error").info().expect("the record");
    let attempts = info.attempts();
    assert_eq!(attempts.len(), 3);
    assert_eq!(info.upstream_host(), Some(attempts[2].host));
    assert_eq!(info.flags().to_string(), "UF");
}
