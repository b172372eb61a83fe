//! gRPC through edge and sidecar, byte for byte: trailers, trailers-only, binary metadata, large metadata, deadlines.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::support::{
    app::{App, Exchange, header},
    file::File,
    h2::{Answer, Client, read},
    log::Line,
    proxy::{Chain, Proxy},
};

/// `EchoRequest { content: "echo" }` with its prefix.
const ECHO: &[u8] = b"\0\0\0\0\x06\x0a\x04echo";

/// A gRPC response's head.
fn ok() -> http::response::Builder {
    Response::builder().header("content-type", "application/grpc")
}

/// Answers with the request's body; its metadata comes back in the headers, and those whose names begin with `t-` in
/// the trailers.
async fn mirror(mut exchange: Exchange) {
    let Ok(body) = read(&mut exchange.body).await else { return };
    let mut trailers = HeaderMap::from_iter([header("grpc-status", "0")]);
    let mut head = ok();
    for (name, value) in &exchange.head.headers {
        if name.as_str().starts_with("t-") {
            trailers.append(name.clone(), value.clone());
        } else if name.as_str().starts_with("h-") {
            head = head.header(name, value);
        }
    }
    exchange.answer(head, body, Some(trailers));
}

fn echoed(map: &HeaderMap, prefix: &str) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut echoed = BTreeMap::<String, Vec<Vec<u8>>>::new();
    for (name, value) in map.iter().filter(|(name, _)| name.as_str().starts_with(prefix)) {
        echoed.entry(name.to_string()).or_default().push(value.as_bytes().to_vec());
    }
    echoed
}

async fn mirrored(request: impl Fn(&Client) -> http::request::Builder) -> Answer {
    let app = App::start(mirror).await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let answer = client.call(request(&client), ECHO).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.trailer("grpc-status"), "0");
    assert_eq!(&answer.body[..], ECHO);
    answer
}

#[tokio::test]
async fn metadata_passes_both_ways_binary_and_repeated() {
    let answer = mirrored(|client| {
        client
            .grpc("/api.Echo/Echo")
            .header("h-text", "one")
            .header("h-text", "two")
            // Base64 with and without padding, and a list of two values, as gRPC libraries send them.
            .header("h-data-bin", "AAECAwQF/w==")
            .header("h-data-bin", "AAECAwQF/w")
            .header("h-list-bin", "AAE,AgM")
            .header("h-opaque", http::HeaderValue::from_bytes(b"caf\xc3\xa9 \xff").expect("a value"))
            .header("h-empty", "")
            .header("t-text", "one")
            .header("t-text", "two")
            .header("t-data-bin", "3q2+7w")
    })
    .await;
    let bytes = |values: &[&[u8]]| values.iter().map(|value| value.to_vec()).collect::<Vec<_>>();
    let headers = [
        ("h-data-bin", bytes(&[b"AAECAwQF/w==", b"AAECAwQF/w"])),
        ("h-empty", bytes(&[b""])),
        ("h-list-bin", bytes(&[b"AAE,AgM"])),
        ("h-opaque", bytes(&[b"caf\xc3\xa9 \xff"])),
        ("h-text", bytes(&[b"one", b"two"])),
    ];
    assert_eq!(echoed(&answer.headers, "h-"), headers.map(|(name, values)| (name.to_owned(), values)).into());
    let trailers = [("t-data-bin", bytes(&[b"3q2+7w"])), ("t-text", bytes(&[b"one", b"two"]))];
    assert_eq!(echoed(&answer.trailers, "t-"), trailers.map(|(name, values)| (name.to_owned(), values)).into());
}

/// Below 60 KiB each way; a field counts its name, its value and 32 bytes (RFC 9113, section 6.5.2).
#[tokio::test]
async fn large_metadata_passes() {
    let large = "x".repeat(58 << 10);
    let answer = mirrored(|client| client.grpc("/api.Echo/Echo").header("h-large", &large)).await;
    assert_eq!(answer.header("h-large"), large);
    let answer = mirrored(|client| client.grpc("/api.Echo/Echo").header("t-large", &large)).await;
    assert_eq!(answer.trailer("t-large"), large);
}

#[tokio::test]
async fn larger_metadata_of_a_client_is_refused() {
    let app = App::start(mirror).await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let larger = "x".repeat(61 << 10);
    let answer = client.call(client.request("GET", "/").header("h-large", &larger), b"").await.expect("an answer");
    assert_eq!(answer.status, 431);
    let answer = client.call(client.grpc("/").header("h-large", &larger), ECHO).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "2"));
    let many = (0..101).fold(client.request("GET", "/"), |request, at| request.header(format!("h-{at}"), "x"));
    assert_eq!(client.call(many, b"").await.expect("an answer").status, 431);
    assert!(app.requests().is_empty(), "none went further");
    client.call(client.grpc("/"), ECHO).await.expect("the connection lives");
    let outcomes: Vec<_> = proxy.log().lines(4).await.iter().map(Line::outcome).collect();
    let get = "GET / HTTP/2 431 DPE 0 0";
    let post = |flags: &str| format!("POST / HTTP/2 200 {flags}");
    assert_eq!([outcomes[0].as_str(), outcomes[2].as_str()], [get, get]);
    assert!(outcomes[1].starts_with(&post("DPE")) && outcomes[3].starts_with(&post("-")), "{outcomes:?}");
}

#[tokio::test]
async fn larger_metadata_of_an_application_fails_the_call() {
    let larger: &'static str = "x".repeat(61 << 10).leak();
    let app = App::start(move |exchange| async move {
        match exchange.head.uri.path() {
            "/headers" => exchange.answer(ok().header("large", larger), "".into(), None),
            "/trailers" => {
                let trailers = HeaderMap::from_iter([header("grpc-status", "0"), header("large", larger)]);
                exchange.answer(ok(), Bytes::from_static(ECHO), Some(trailers));
            }
            _ => exchange.answer(ok(), "".into(), Some(HeaderMap::from_iter([header("grpc-status", "0")]))),
        }
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let answer = client.call(client.grpc("/headers"), b"").await.expect("a local reply");
    assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, "14"), "{answer:?}");
    let failed = client.call(client.grpc("/trailers"), b"").await.expect_err("it has begun already");
    assert!(failed.is_reset(), "{failed}");
    let answer = client.call(client.grpc("/ok"), b"").await.expect("others go on");

    assert_eq!(answer.trailer("grpc-status"), "0");
}

#[tokio::test]
async fn trailers_only_stays_trailers_only() {
    let app = App::start(|exchange| async move {
        let head = ok().header("grpc-status", "5").header("grpc-message", "no%20such%20thing");
        exchange.answer(head, "".into(), None);
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let answer = client.call(client.grpc("/api.Echo/Echo"), ECHO).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("grpc-status"), "5");
    assert_eq!(answer.header("grpc-message"), "no%20such%20thing");
    assert!(answer.body.is_empty() && answer.trailers.is_empty());
    let (edge, sidecar) = chain.log_lines().await;
    assert_eq!(edge.outcome(), "POST /api.Echo/Echo HTTP/2 200 - 11 0");
    assert_eq!(sidecar.outcome(), edge.outcome());
}

#[tokio::test]
async fn a_status_after_messages_is_a_trailer() {
    let app = App::start(|exchange| async move {
        let trailers = HeaderMap::from_iter([header("grpc-status", "13"), header("grpc-message", "half%20way")]);
        exchange.answer(ok(), Bytes::from_static(ECHO), Some(trailers));
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let answer = client.call(client.grpc("/api.Echo/Echo"), ECHO).await.expect("an answer");
    assert_eq!(answer.header("grpc-status"), "");
    assert_eq!((answer.trailer("grpc-status"), answer.trailer("grpc-message")), ("13", "half%20way"));
    assert_eq!(&answer.body[..], ECHO);
}

/// The client's deadline is for the application; the route's timeout is a status 14, not 4.
#[tokio::test]
async fn deadlines_are_passed_on_and_the_routes_own_is_unavailable() {
    let app = App::start(|mut exchange| async move { exchange.gone().await }).await;
    let chain = Chain::start(app.address(), |file| file.route("timeout: 0.3s")).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let request = client.grpc("/api.Echo/Echo").header("grpc-timeout", "20m");
    let answer = client.call(request, ECHO).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!((answer.header("grpc-status"), answer.header("grpc-message")), ("14", "upstream request timeout"));
    assert_eq!(app.request().headers["grpc-timeout"], "20m");
    let (edge, _) = chain.log_lines().await;
    assert!(edge.duration() >= 300, "`grpc-timeout` changes nothing on the way: {edge:?}");
}

/// A response that has begun cannot get another status: its stream is reset.
#[tokio::test]
async fn a_timeout_in_the_middle_of_a_response_resets_it() {
    let app = App::start(|exchange| async move {
        let mut body = exchange.begin(ok(), false).expect("a response");
        body.send_data(Bytes::from_static(ECHO), false).expect("a message");
        futures_util::future::poll_fn(|cx| body.poll_reset(cx)).await.expect("a reset");
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()]).route("timeout: 0.3s")).await;
    let client = Client::connect(proxy.address()).await;
    let failed = client.call(client.grpc("/api.Echo/Echo"), ECHO).await.expect_err("no status came");
    assert!(failed.is_reset() && failed.is_remote(), "{failed}");
    let line = proxy.log().line().await;
    assert_eq!(line.outcome(), "POST /api.Echo/Echo HTTP/2 200 UT 11 11");
    assert!(line.duration() >= Duration::from_millis(300).as_millis() as u64);
}
