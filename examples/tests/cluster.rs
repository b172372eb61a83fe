//! Generated clients of tonic over a [`Cluster`], against servers of tonic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic, as tests do")]

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use meshlib::{
    base::{Error, ErrorKind, RequestInfo, Resources},
    cluster::{
        Cluster, ClusterService,
        config::{DiscoveryConfig, UpstreamProtocol},
    },
    http::options::Http2Options,
};
use meshlib_examples::{
    echo::EchoServer,
    proto::{EchoRequest, RepeatRequest, echo_client::EchoClient, stream_echo_client::StreamEchoClient},
};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::Code;

const FOREVER: Duration = Duration::from_secs(3600);

async fn servers<const N: usize>() -> [EchoServer; N] {
    let start = |number| EchoServer::start("127.0.0.1:0".parse().unwrap(), if number == 0 { "one" } else { "two" });
    let started = futures_util::future::join_all((0..N).map(start)).await;
    started.into_iter().collect::<Result<Vec<_>, _>>().unwrap().try_into().unwrap()
}

fn service(servers: &[EchoServer]) -> ClusterService {
    let cluster = Cluster::builder("echo").addresses(servers.iter().map(EchoServer::address)).http2();
    cluster.build(&Resources::default()).unwrap().service()
}

fn request(content: &str) -> EchoRequest {
    EchoRequest { content: content.to_owned() }
}

/// What is sent into the channel, as it comes.
fn requests() -> (mpsc::UnboundedSender<EchoRequest>, impl Stream<Item = EchoRequest> + Send) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) }))
}

async fn all_four_kinds() {
    let servers = servers::<2>().await;
    let service = service(&servers);
    let answer = EchoClient::new(service.clone()).echo(request("unary")).await.unwrap();
    let info = answer.extensions().get::<RequestInfo>().unwrap();
    assert!(servers.iter().any(|server| Some(server.address()) == info.upstream_host()));
    assert_eq!(info.read(|record| record.cluster.clone()).as_deref(), Some("echo"));
    assert_eq!(answer.into_inner().content, "unary");

    let mut client = StreamEchoClient::new(service);
    let repeated = client.repeat(RepeatRequest { content: "again".into(), count: 1000, pause_ms: 0 }).await.unwrap();
    assert_eq!(repeated.into_inner().map(|answer| assert_eq!(answer.unwrap().content, "again")).count().await, 1000);

    let joined = client.join(stream::iter(["a", "b", "c"].map(request))).await.unwrap();
    assert_eq!(joined.into_inner().content, "abc");

    // Writes before it reads, and before there is an answer at all.
    let (sender, sent) = requests();
    ["a", "b"].into_iter().for_each(|content| sender.send(request(content)).unwrap());
    let mut answers = client.chat(sent).await.unwrap().into_inner();
    for content in ["a", "b"] {
        assert_eq!(answers.message().await.unwrap().unwrap().content, content);
    }
    // And turn by turn.
    for turn in 0..100 {
        sender.send(request(&turn.to_string())).unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().content, turn.to_string());
    }
    drop(sender);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test(flavor = "current_thread")]
async fn all_four_kinds_of_call_work_on_one_thread() {
    all_four_kinds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_four_kinds_of_call_work_on_many_threads() {
    all_four_kinds().await;
}

/// A server that goes says how far it has come; what it did not look at goes to the other one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_in_order_costs_no_call() {
    let servers = servers::<2>().await;
    let service = service(&servers);
    let [one, two] = servers;
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let mut client = EchoClient::new(service.clone());
        callers.spawn(async move {
            for _ in 0..100 {
                client.echo(request("hello")).await?;
            }
            Ok::<_, tonic::Status>(())
        });
    }
    while one.calls() < 100 {
        tokio::task::yield_now().await;
    }
    assert!(one.stop(FOREVER).await, "it has finished what it began");
    while let Some(called) = callers.join_next().await {
        called.unwrap().unwrap();
    }
    assert!(two.calls() > 1000, "{}", two.calls());
}

#[tokio::test]
async fn another_connection_opens_when_streams_run_out() {
    let [server] = servers::<1>().await;
    server.set_delay(FOREVER);
    let mut options = Http2Options::upstream();
    options.max_concurrent_streams = 2;
    let discovery = DiscoveryConfig::fixed([server.address()]);
    let cluster = Cluster::builder("echo").discovery(discovery).protocol(UpstreamProtocol::Http2(options));
    let service = cluster.build(&Resources::default()).unwrap().service();
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let mut client = EchoClient::new(service.clone());
        calls.spawn(async move { client.echo(request("slow")).await });
    }
    while server.calls() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.connections(), 3);
}

/// Without a function in between the code is unknown to tonic; the rest is there all the same.
#[tokio::test]
async fn the_status_of_a_failure_names_the_pods_and_leads_to_the_record() {
    let servers = servers::<2>().await;
    let addresses = [servers[0].address(), servers[1].address()];
    let mut client = EchoClient::new(service(&servers));
    for server in servers {
        server.kill().await;
    }
    let status = client.echo(request("nobody")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    for address in addresses {
        assert!(status.message().contains(&format!("{address} (ConnectFailure)")), "{status}");
    }
    let error = Error::find_in(&status).unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectFailure);
    assert!(addresses.contains(&error.info().unwrap().upstream_host().unwrap()));
}

/// An answer that breaks off has the record too: the error comes out of the response's body.
#[tokio::test]
async fn an_answer_that_breaks_off_says_whose_it_was() {
    let [server] = servers::<1>().await;
    let address = server.address();
    let mut client = StreamEchoClient::new(service(std::slice::from_ref(&server)));
    let slow = RepeatRequest { content: "slow".into(), count: 2, pause_ms: 60_000 };
    let mut answers = client.repeat(slow).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().content, "slow");
    server.kill().await;
    let status = answers.message().await.unwrap_err();
    let info = Error::find_in(&status).unwrap().info().unwrap().clone();
    assert_eq!(info.upstream_host(), Some(address));
    assert_eq!(info.attempts().len(), 1, "it had begun: nobody may send it again");
    assert!(info.flags().to_string().contains("UC"), "{}", info.flags());
}
