//! What is sent again unasked: only what the application certainly did not process.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use h2::Reason;
use http::Response;
use meshlib_examples::demo::Loopback;

use crate::support::{
    app::{App, Exchange},
    eventually,
    file::File,
    h1::{Connection, TextApp},
    h2::{Client, read},
    proxy::Proxy,
};

/// Resets the first `failures` streams for this reason, once it has read their bodies; echoes the others.
async fn failing(failures: usize, reason: Reason) -> App {
    let so_far = Arc::new(AtomicUsize::new(0));
    App::start(move |mut exchange: Exchange| {
        let so_far = so_far.clone();
        async move {
            let body = read(&mut exchange.body).await.unwrap_or_default();
            if so_far.fetch_add(1, Ordering::Relaxed) < failures {
                return exchange.respond.send_reset(reason);
            }
            exchange.answer(Response::builder(), body, None);
        }
    })
    .await
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_with_its_body() {
    let app = failing(2, Reason::REFUSED_STREAM).await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let answer = client.call(client.request("POST", "/"), b"all of it").await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body()), (200, "all of it"));
    assert_eq!(app.requests().len(), 3);
    assert_eq!(proxy.counter("cluster.app.upstream_rq_retry"), 2);
    assert_eq!(proxy.log().line().await.outcome(), "POST / HTTP/2 200 - 9 9");
}

#[tokio::test]
async fn it_is_given_up_after_three_more() {
    let app = failing(usize::MAX, Reason::REFUSED_STREAM).await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let answer = client.call(client.request("GET", "/"), b"").await.expect("an answer");
    assert_eq!(answer.status, 503);
    assert_eq!(app.requests().len(), 4);
}

/// A body that is too long to be kept cannot be sent again.
#[tokio::test]
async fn a_long_upload_is_not_kept() {
    let app = failing(1, Reason::REFUSED_STREAM).await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let mut call = client.begin(client.request("POST", "/")).await;
    call.body.send_data(Bytes::from(vec![b'x'; 20 << 10]), false).expect("data");
    assert_eq!(call.finish().await.expect("an answer").status, 503);
    assert_eq!(app.requests().len(), 1);
}

#[tokio::test]
async fn what_may_have_been_processed_is_not_sent_again() {
    // Refused by the proxy, and by h2 below it.
    let [large, larger]: [&'static str; 2] = [100 << 10, 300 << 10].map(|length| &*"x".repeat(length).leak());
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR, Reason::ENHANCE_YOUR_CALM] {
        let app = failing(usize::MAX, reason).await;
        let proxy = Proxy::start(File::to([app.address()])).await;
        let client = Client::connect(proxy.address()).await;
        let answer = client.call(client.request("POST", "/"), b"once").await.expect("an answer");
        assert_eq!((answer.status.as_u16(), app.requests().len()), (503, 1), "{reason}");
    }
    for (large, status) in [(large, 503), (larger, 502)] {
        let app = App::start(move |exchange| async move {
            exchange.answer(Response::builder().header("large", large), "".into(), None);
        })
        .await;
        let proxy = Proxy::start(File::to([app.address()])).await;
        let client = Client::connect(proxy.address()).await;
        let answer = client.call(client.request("POST", "/"), b"once").await.expect("an answer");
        assert_eq!((answer.status.as_u16(), app.requests().len()), (status, 1), "a response that is too large");
    }
}

/// An application that ends its connections gracefully loses nothing.
#[tokio::test]
async fn goaway_costs_no_call() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut h2 = h2::server::handshake(stream).await.expect("a handshake");
                let mut served = 0;
                while let Some(Ok((_, mut respond))) = h2.accept().await {
                    respond.send_response(Response::new(()), true).expect("a response");
                    served += 1;
                    if served == 5 {
                        h2.graceful_shutdown();
                    }
                }
            });
        }
    });
    let proxy = Proxy::start(File::to([address])).await;
    let client = Client::connect(proxy.address()).await;
    for at in 0..50 {
        let answer = client.call(client.request("POST", "/"), b"hello").await.expect("an answer");
        assert_eq!(answer.status, 200, "call {at}");
    }
    assert!(proxy.counter("cluster.app.upstream_cx_total") >= 5);
    eventually("the old connections are closed", || proxy.gauge("cluster.app.upstream_cx_active") <= 1).await;
}

/// The application closes each connection after an answer, without telling. A request that meets it is sent again.
#[tokio::test]
async fn an_idle_connection_that_has_ended_costs_no_call() {
    let app = TextApp::closing(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()).await;
    let proxy = Proxy::start(File::http1_to([app.address()])).await;
    let mut connection = Connection::open(proxy.address()).await;
    for at in 0..50 {
        connection.write("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
        assert_eq!(connection.next().await.expect("a response").first(), "HTTP/1.1 200 OK", "call {at}");
    }
    assert_eq!(app.requests().len(), 50, "each was processed once");
}

/// As Envoy without a retry policy: from a file, a connection that cannot be made is the client's to see.
#[tokio::test]
async fn a_host_that_is_down_fails_its_share_of_the_calls() {
    let nobody = Loopback::reserve(&[IpAddr::V4(Ipv4Addr::LOCALHOST)]).expect("a port");
    let app = App::echo().await;
    let proxy = Proxy::start(File::to(nobody.addresses().chain([app.address()]))).await;
    let client = Client::connect(proxy.address()).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(client.call(client.request("GET", "/"), b"").await.expect("an answer").status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 5], [503; 5]].concat());
}

/// More calls at once than one connection takes: another one is opened.
#[tokio::test]
async fn a_full_connection_is_not_the_last() {
    let mut settings = h2::server::Builder::new();
    settings.max_concurrent_streams(2);
    let app = App::start_with(settings, |mut exchange: Exchange| async move {
        let body = read(&mut exchange.body).await.unwrap_or_default();
        exchange.answer(Response::builder(), body, None);
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    let mut calls = Vec::new();
    for _ in 0..7 {
        calls.push(client.begin(client.request("POST", "/")).await);
    }
    eventually("all are under way", || app.requests().len() == 7).await;
    assert_eq!(app.connections(), 4);
    for call in calls {
        assert_eq!(call.finish().await.expect("an answer").status, 200);
    }
}
