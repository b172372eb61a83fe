//! What applications see of a request: what the proxies add, what they take away, and what they leave.

use std::collections::BTreeMap;

use http::request::Parts;

use crate::support::{
    app::App,
    file::File,
    h1::{self, TextApp},
    h2::{Client, text},
    proxy::{Chain, Proxy},
};

/// The headers by name; several of one name are joined.
fn headers(head: &Parts) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in &head.headers {
        let value = value.to_str().expect("text");
        headers
            .entry(name.to_string())
            .and_modify(|values| *values = format!("{values} | {value}"))
            .or_insert_with(|| value.to_owned());
    }
    headers
}

fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match hyphens.contains(&at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase(),
        })
        && text.as_bytes()[14] == b'4'
}

#[tokio::test]
async fn two_hops_add_envoys_headers_once() {
    let app = App::echo().await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let request = client.grpc("/api.Echo/Echo").header("user-agent", "grpcurl/v1.8.6").header("x-own", "kept");
    client.call(request, b"\0\0\0\0\x06\x0a\x04echo").await.expect("an answer");

    let head = app.request();
    let mut headers = headers(&head);
    let id = headers.remove("x-request-id").expect("an id");
    assert!(is_uuid(&id), "{id}");
    let expected = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "grpcurl/v1.8.6"),
        ("x-envoy-expected-rq-timeout-ms", "15000"),
        ("x-forwarded-proto", "https"),
        ("x-own", "kept"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.scheme_str(), Some("https"), "the client's");
    assert_eq!(head.uri.authority().expect("an authority").as_str(), chain.edge.address().to_string());

    let (edge, sidecar) = chain.log_lines().await;
    assert_eq!(edge.request_id(), id);
    assert_eq!(sidecar.request_id(), id, "the sidecar keeps the edge's");
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own_and_a_clients_is_kept() {
    let app = App::echo().await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    for _ in 0..2 {
        client.call(client.request("GET", "/"), b"").await.expect("an answer");
    }
    let given = client.request("GET", "/").header("x-request-id", "given");
    let answer = client.call(given, b"").await.expect("an answer");
    assert_eq!(answer.header("x-request-id"), "", "the id is the request's alone");
    let ids: Vec<_> = app.requests().iter().map(|head| text(&head.headers, "x-request-id").to_owned()).collect();
    assert!(is_uuid(&ids[0]) && is_uuid(&ids[1]) && ids[0] != ids[1], "{ids:?}");
    assert_eq!(ids[2], "given");
}

#[tokio::test]
async fn the_timeout_that_is_told_is_the_routes() {
    let app = App::echo().await;
    for (timeout, told) in [("timeout: 1.5s", "1500"), ("timeout: 0s", "")] {
        let proxy = Proxy::start(File::to([app.address()]).route(timeout)).await;
        let client = Client::connect(proxy.address()).await;
        let request = client.request("GET", "/").header("x-envoy-expected-rq-timeout-ms", "7");
        client.call(request, b"").await.expect("an answer");
        let last = app.requests().pop().expect("a request");
        assert_eq!(text(&last.headers, "x-envoy-expected-rq-timeout-ms"), told, "{timeout}");
    }
}

#[tokio::test]
async fn what_belongs_to_one_connection_stays_there() {
    let (text_app, app) = (TextApp::echo().await, App::echo().await);
    let request = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close, x-once\r\nx-once: 1\r\nkeep-alive: timeout=5\r\n\
                   proxy-connection: keep-alive\r\nte: trailers, gzip\r\nx-own: kept\r\n\r\n";
    let added = ["x-envoy-expected-rq-timeout-ms", "x-forwarded-proto", "x-own", "x-request-id"];

    let proxy = Proxy::start(File::to([app.address()])).await;
    let reply = h1::call(proxy.address(), request).await;
    assert_eq!(reply.fields("connection"), ["close"], "the client asked for it");
    let names: Vec<_> = headers(&app.request()).into_keys().collect();
    assert_eq!(names, [&["te"], &added[..]].concat());
    assert_eq!(text(&app.request().headers, "te"), "trailers");

    let proxy = Proxy::start(File::http1_to([text_app.address()])).await;
    h1::call(proxy.address(), request).await;
    let seen = text_app.request();
    assert_eq!(seen.names(), [&["host", "te"], &added[..]].concat());
    assert_eq!(seen.fields("te"), ["trailers"]);
}

#[tokio::test]
async fn what_only_a_proxy_may_say_is_not_believed() {
    let app = App::echo().await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let request = client
        .request("GET", "/")
        .header("x-envoy-internal", "true")
        .header("x-envoy-retry-on", "5xx")
        .header("x-envoy-max-retries", "9")
        .header("x-envoy-upstream-rq-timeout-ms", "1")
        .header("x-envoy-upstream-alt-stat-name", "other")
        .header("x-envoy-force-trace", "true")
        .header("x-envoy-original-url", "http://else.test/");
    client.call(request, b"").await.expect("an answer");
    let names: Vec<_> = headers(&app.request()).into_keys().collect();
    assert_eq!(names, ["x-envoy-expected-rq-timeout-ms", "x-forwarded-proto", "x-request-id"]);
}

#[tokio::test]
async fn cookie_crumbs_arrive_whole() {
    let (text_app, app) = (TextApp::echo().await, App::echo().await);
    for file in [File::to([app.address()]), File::http1_to([text_app.address()])] {
        let proxy = Proxy::start(file).await;
        let client = Client::connect(proxy.address()).await;
        let request = client.request("GET", "/").header("cookie", "a=1").header("cookie", "b=2");
        client.call(request, b"").await.expect("an answer");
    }
    assert_eq!(text_app.request().fields("cookie"), ["a=1; b=2"]);
    let crumbs = headers(&app.request()).remove("cookie").expect("cookies");
    assert_eq!(crumbs.replace(" | ", "; "), "a=1; b=2");
}
