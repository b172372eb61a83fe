//! Going away with calls under way, and certificates that change under load.

use std::time::Duration;

use meshlib::base::{DrainPhase, DrainTimes};
use meshlib_examples::{client::EchoClient, mesh::Options};

use tokio::sync::oneshot::error::TryRecvError;

use crate::support::{
    answered_by,
    app::App,
    eventually,
    file::File,
    h1::Connection,
    h2::{Client, read},
    mesh,
    proxy::Proxy,
    tls::server_certificate,
    within,
};

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
    deployment.edge().drain(DrainTimes::new(Duration::from_millis(200), Duration::from_secs(20)));
    assert!(drain.health_failing(), "the health filter fails at once");
    drain.reached(DrainPhase::Draining).await;
    assert_eq!(slow.await.expect("it ends").expect("an answer").content, "slow");
    deployment.edge().finished().await;
    assert_eq!(drain.connections(), 0);
    assert!(drain.phase() == DrainPhase::Draining, "nothing had to be cut");
    assert!(EchoClient::connect(&deployment.url()).await.is_err(), "nobody accepts any more");
}

/// HTTP/2 clients are told with GOAWAY, HTTP/1.1 clients with their last answer.
#[tokio::test]
async fn clients_are_told_to_go() {
    let app = App::start(|mut exchange| async move {
        let Ok(body) = read(&mut exchange.body).await else { return };
        exchange.answer(http::Response::builder(), body, None);
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let (client, mut connection) = (Client::connect(proxy.address()).await, Connection::open(proxy.address()).await);
    let call = client.begin(client.request("POST", "/")).await;
    connection.write("PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhe").await;
    eventually("both are under way", || app.requests().len() == 2).await;
    let drain = proxy.server().resources().drain();
    proxy.server().drain(DrainTimes::new(Duration::ZERO, Duration::from_secs(20)));
    drain.reached(DrainPhase::Draining).await;
    connection.write("llo").await;
    let answer = connection.next().await.expect("an answer");
    assert_eq!((answer.body.as_str(), answer.fields("connection")), ("hello", vec!["close"]));
    assert!(connection.next().await.is_none(), "closed");
    assert_eq!(call.finish().await.expect("an answer").status, 200);
    client.closed().await.expect("it ends without an error");
    within("the drain is over", proxy.server().finished()).await;
    assert!(tokio::net::TcpStream::connect(proxy.address()).await.is_err(), "nobody accepts any more");
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
    deployment.edge().drain(DrainTimes::new(Duration::from_millis(100), Duration::from_millis(500)));
    deployment.edge().finished().await;
    stuck.await.expect("it ends").expect_err("it was cut");
    eventually("the gauge is back to zero", || active() == Some(0)).await;
}

#[tokio::test]
async fn a_certificate_is_swapped_under_load() {
    let (mut deployment, client) = mesh(Options { pods: 2, ..Options::default() }).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let load = tokio::spawn(async move {
        let mut calls = 0;
        while matches!(stopped.try_recv(), Err(TryRecvError::Empty)) {
            answered_by(&client).await;
            calls += 1;
        }
        calls
    });
    let address = deployment.url().trim_start_matches("https://").to_owned();
    let before = server_certificate(&address).await;
    deployment.certificate().rotate("localhost").expect("a new pair");
    let wanted = deployment.certificate().der().clone();
    assert_ne!(before, wanted);
    let shown = async {
        while server_certificate(&address).await != wanted {
            tokio::task::yield_now().await;
        }
    };
    within("new handshakes get the new certificate", shown).await;
    let client = EchoClient::connect(&deployment.url()).await.expect("a connection");
    answered_by(&client).await;
    stop.send(()).expect("no call failed meanwhile");
    assert!(load.await.expect("no call failed") > 0, "there was load");
}
