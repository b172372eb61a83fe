//! A client that gives up is felt by the application at once, however far the call has got.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::Response;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    time::Instant,
};

use crate::support::{
    app::{App, Exchange},
    eventually,
    file::File,
    h1,
    h2::Client,
    proxy::{Chain, Proxy},
    within,
};

/// What DESIGN promises.
const PROMPT: Duration = Duration::from_millis(10);

/// What the application tells the test.
#[derive(Debug)]
enum Event {
    Begun,
    Gone(Instant),
}

type Events = UnboundedReceiver<Event>;

/// Tells of each request as it begins, and as its stream goes away.
async fn watch(mut exchange: Exchange, events: UnboundedSender<Event>) {
    let told = || drop(events.send(Event::Begun));
    match exchange.head.uri.path() {
        "/unary" => {
            told();
            exchange.gone().await;
        }
        "/download" => {
            let mut body = exchange.begin(Response::builder(), false).expect("a response");
            body.send_data(Bytes::from_static(b"some"), false).expect("data");
            told();
            let _ = poll_fn(|cx| body.poll_reset(cx)).await;
        }
        _ => {
            let first = exchange.body.data().await.expect("data").expect("data");
            assert_eq!(&first[..], b"some");
            told();
            exchange.body.data().await.expect("the end").expect_err("cut off");
        }
    }
    let _ = events.send(Event::Gone(Instant::now()));
}

async fn app() -> (App, Events) {
    let (tell, events) = mpsc::unbounded_channel();
    (App::start(move |exchange| watch(exchange, tell.clone())).await, events)
}

async fn begun(events: &mut Events) {
    assert!(matches!(within("the request begins", events.recv()).await, Some(Event::Begun)));
}

async fn gone(events: &mut Events) -> Instant {
    match within("the stream goes away", events.recv()).await {
        Some(Event::Gone(at)) => at,
        event => panic!("{event:?}"),
    }
}

/// One call that is given up; how long it took to be felt.
async fn give_up(client: &Client, path: &str, events: &mut Events) -> Duration {
    let mut call = client.begin(client.request("POST", path)).await;
    let given_up = match path {
        "/unary" => {
            begun(events).await;
            let now = Instant::now();
            drop(call);
            now
        }
        "/download" => {
            let response = call.response.head().await.expect("a head");
            begun(events).await;
            let now = Instant::now();
            drop((response, call.body));
            now
        }
        _ => {
            call.body.send_data(Bytes::from_static(b"some"), false).expect("data");
            begun(events).await;
            let now = Instant::now();
            drop(call);
            now
        }
    };
    gone(events).await.saturating_duration_since(given_up)
}

/// Through TLS and two proxies. Other work of the machine only ever adds time, so the best of a few medians counts.
async fn check(path: &str) {
    let (app, mut events) = app().await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let mut medians = Vec::new();
    while medians.len() < 20 && medians.iter().all(|median| *median > PROMPT) {
        let mut times = Vec::new();
        for _ in 0..11 {
            times.push(give_up(&client, path, &mut events).await);
        }
        times.sort_unstable();
        medians.push(times[5]);
    }
    assert!(medians.last().is_some_and(|median| *median <= PROMPT), "{path}: {medians:?}");
    for proxy in [&chain.edge, &chain.sidecar] {
        eventually("every gauge is back to zero", || {
            proxy.gauge("http.ingress.downstream_rq_active") == 0 && proxy.gauge("cluster.app.upstream_rq_active") == 0
        })
        .await;
        assert_eq!(proxy.counter("cluster.app.upstream_cx_total"), 1, "streams were reset, not connections");
    }
}

#[tokio::test]
async fn before_the_response() {
    check("/unary").await;
}

#[tokio::test]
async fn in_the_middle_of_the_response() {
    check("/download").await;
}

#[tokio::test]
async fn in_the_middle_of_the_request() {
    check("/upload").await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_felt_as_well_and_logged() {
    let (app, mut events) = app().await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    for path in ["/unary", "/download", "/upload"] {
        let client = Client::connect(proxy.address()).await;
        let mut call = client.begin(client.request("POST", path)).await;
        if path == "/upload" {
            call.body.send_data(Bytes::from_static(b"some"), false).expect("data");
        }
        begun(&mut events).await;
        let response =
            if path == "/download" { Ok(call.response.head().await.expect("a head")) } else { Err(call.response) };
        drop(client);
        gone(&mut events).await;
        drop((response, call.body));
    }
    let lines = proxy.log().lines(3).await;
    assert_eq!(lines[0].outcome(), "POST /unary HTTP/2 0 DC 0 0");
    assert_eq!(lines[1].outcome(), "POST /download HTTP/2 200 DC 0 4");
    assert_eq!(lines[2].outcome(), "POST /upload HTTP/2 0 DC 4 0");
}

#[tokio::test]
async fn a_client_of_http_1_is_missed_too() {
    let (app, mut events) = app().await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let mut log = proxy.log();
    for (request, outcome) in [
        ("GET /unary HTTP/1.1\r\nhost: a.test\r\n\r\n", "GET /unary HTTP/1.1 0 DC 0 0"),
        ("GET /download HTTP/1.1\r\nhost: a.test\r\n\r\n", "GET /download HTTP/1.1 200 DC 0 4"),
        ("PUT /upload HTTP/1.1\r\nhost: a.test\r\ncontent-length: 9\r\n\r\nsome", "PUT /upload HTTP/1.1 0 DC 4 0"),
    ] {
        let mut connection = h1::Connection::open(proxy.address()).await;
        connection.write(request).await;
        begun(&mut events).await;
        if outcome.contains("200") {
            connection.head().await.expect("a head");
        }
        drop(connection);
        gone(&mut events).await;
        assert_eq!(log.next().await.outcome(), outcome);
    }
    assert_eq!(proxy.counter("http.ingress.downstream_rq_5xx"), 0, "nothing was answered");
    assert_eq!(proxy.counter("cluster.app.upstream_rq_5xx"), 0);
}
