//! What clients see of a response's head: `server`, `date`, the service time, and nothing of one connection's own.

use http::Response;

use crate::support::{
    app::App,
    file::File,
    h1::{self, TextApp},
    h2::Client,
    proxy::{Chain, Proxy},
};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[tokio::test]
async fn server_is_ours_and_an_applications_date_is_kept() {
    let app = App::start(|exchange| async move {
        let head = Response::builder().header("server", "other").header("date", DATE).header("x-own", "kept");
        exchange.answer(head.header("x-envoy-upstream-service-time", "99999"), "hello".into(), None);
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let answer = client.call(client.request("GET", "/"), b"").await.expect("an answer");
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["date", "server", "x-envoy-upstream-service-time", "x-own"], "each of them once");
    assert_eq!(answer.header("server"), "envoy");
    assert_eq!(answer.header("date"), DATE);
    let time: u64 = answer.header("x-envoy-upstream-service-time").parse().expect("milliseconds");
    assert!(time < 99999);
}

#[tokio::test]
async fn a_missing_date_is_added_once() {
    let (app, text_app) = (App::echo().await, TextApp::echo().await);
    for file in [File::to([app.address()]), File::http1_to([text_app.address()])] {
        let proxy = Proxy::start(file).await;
        let reply = h1::call(proxy.address(), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        let dates = reply.fields("date");
        assert_eq!(dates.len(), 1, "{reply:?}");
        assert!(dates[0].len() == DATE.len() && dates[0].ends_with(" GMT"), "{dates:?}");
        let client = Client::connect(proxy.address()).await;
        let answer = client.call(client.request("GET", "/"), b"").await.expect("an answer");
        assert_eq!(answer.headers.get_all("date").iter().count(), 1);
    }
}

#[tokio::test]
async fn what_belongs_to_one_connection_stays_there() {
    let app = TextApp::start(|_| {
        "HTTP/1.1 200 OK\r\nserver: other\r\nconnection: keep-alive, x-once\r\nx-once: 1\r\nkeep-alive: timeout=5\r\n\
         transfer-encoding: chunked\r\nx-own: kept\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            .to_owned()
    })
    .await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let answer = client.call(client.request("GET", "/"), b"").await.expect("an answer");
    let mut names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["date", "server", "x-envoy-upstream-service-time", "x-own"]);
    assert_eq!(answer.body(), "hello");

    let reply = h1::call(proxy.address(), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    let expected = ["date", "server", "transfer-encoding", "x-envoy-upstream-service-time", "x-own"];
    assert_eq!(reply.names(), expected, "framed anew");
    assert_eq!(reply.body, "hello");
}

/// The hop that replies by itself has no service time; the hop before it measures that hop.
#[tokio::test]
async fn a_sidecars_own_reply_gets_a_service_time_from_the_edge() {
    let app = App::start(|mut exchange| async move { exchange.respond.send_reset(h2::Reason::INTERNAL_ERROR) }).await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let answer = client.call(client.request("GET", "/"), b"").await.expect("an answer");
    assert_eq!(answer.status, 503);
    assert!(answer.header("x-envoy-upstream-service-time").parse::<u64>().is_ok(), "{answer:?}");
    assert_eq!(answer.header("content-length"), "85");
    let (edge, sidecar) = chain.log_lines().await;
    assert_eq!(sidecar.outcome(), "GET / HTTP/2 503 UR 0 85");
    assert_eq!(sidecar.service_time(), "-");
    assert_eq!(edge.outcome(), "GET / HTTP/2 503 - 0 85", "the flag belongs to the hop that replied");
    assert_eq!(edge.service_time(), answer.header("x-envoy-upstream-service-time"));
}

#[tokio::test]
async fn every_status_passes() {
    let app = App::start(|exchange| async move {
        let status: u16 = exchange.head.uri.path().trim_start_matches('/').parse().expect("a status");
        exchange.answer(Response::builder().status(status), "".into(), None);
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    for status in ["200", "204", "206", "302", "304", "400", "401", "404", "418", "429", "500", "502", "503", "599"] {
        let answer = client.call(client.request("GET", &format!("/{status}")), b"").await.expect("an answer");
        assert_eq!(answer.status.as_str(), status);
        let request = format!("GET /{status} HTTP/1.1\r\nhost: a.test\r\n\r\n");
        let reply = h1::call(proxy.address(), &request).await;
        assert!(reply.first().starts_with(&format!("HTTP/1.1 {status}")), "{reply:?}");
    }
}
