//! Flow control from end to end: a reader that stands still stops its sender, and nothing in between grows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    sync::Notify,
};

use crate::support::{
    app::{App, Exchange},
    eventually,
    file::File,
    h2::{Call, Client, send_some},
    proxy::{Chain, Proxy},
    within,
};

const MIB: usize = 1 << 20;
const HUNDRED: usize = 100 * MIB;
/// More than anybody may hold.
const PLENTY: usize = 32 * MIB;
/// What one stream may hold between its ends: a window of 256 KiB and a buffer of 64 KiB at each of two proxies, and
/// the receiver's own window of 64 KiB; with some to spare.
const STREAM: usize = 768 << 10;
/// A sender that gets rid of nothing for so long has been stopped. On a machine that is so slow that it was not, the
/// test sees less than there is, and still sees that everything arrives.
const STOPPED: Duration = Duration::from_millis(500);

/// Sends until `total` bytes are sent or the receiver takes no more, and counts them.
async fn send(stream: &mut SendStream<Bytes>, total: usize, sent: &AtomicUsize) {
    let mut data = Bytes::from(vec![b'x'; MIB]);
    while sent.load(Ordering::Relaxed) < total {
        if data.is_empty() {
            data = Bytes::from(vec![b'x'; MIB]);
        }
        let mut part = data.split_to(data.len().min(total - sent.load(Ordering::Relaxed)));
        while !part.is_empty() {
            let Ok(some) = send_some(stream, &mut part).await else { return };
            sent.fetch_add(some, Ordering::Relaxed);
        }
    }
    // It may be gone by now.
    let _ = stream.send_data(Bytes::new(), true);
}

/// Reads to the end, and counts.
async fn receive(body: &mut RecvStream, received: &AtomicUsize) {
    while let Some(data) = body.data().await {
        let length = data.expect("data").len();
        body.flow_control().release_capacity(length).expect("it was received");
        received.fetch_add(length, Ordering::Relaxed);
    }
}

/// What was sent when the sender was stopped.
async fn stopped_at(sent: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    within("the sender is stopped", async {
        loop {
            let now = sent.load(Ordering::Relaxed);
            if now == before && now > 0 {
                return now;
            }
            before = now;
            tokio::time::sleep(STOPPED).await;
        }
    })
    .await
}

/// What application and test share.
#[derive(Debug, Default)]
struct Shared {
    sent: AtomicUsize,
    received: AtomicUsize,
    go: Notify,
}

#[tokio::test]
async fn an_application_that_does_not_read_stops_the_client() {
    let shared = Arc::new(Shared::default());
    let of_app = shared.clone();
    let app = App::start(move |mut exchange: Exchange| {
        let shared = of_app.clone();
        async move {
            shared.go.notified().await;
            receive(&mut exchange.body, &shared.received).await;
            exchange.answer(Response::builder(), "".into(), None);
        }
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let mut call = client.begin(client.request("POST", "/")).await;
    let sending = send(&mut call.body, PLENTY, &shared.sent);
    let watching = async {
        let stopped = stopped_at(&shared.sent).await;
        assert!(stopped <= STREAM, "{stopped} bytes were taken in");
        shared.go.notify_one();
    };
    within("everything is sent", async { tokio::join!(sending, watching) }).await;
    assert_eq!(call.response.answer().await.expect("an answer").status, 200);
    assert_eq!(shared.received.load(Ordering::Relaxed), PLENTY);
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_application() {
    let shared = Arc::new(Shared::default());
    let of_app = shared.clone();
    let app = App::start(move |exchange: Exchange| {
        let shared = of_app.clone();
        async move {
            let mut body = exchange.begin(Response::builder(), false).expect("a response");
            send(&mut body, PLENTY, &shared.sent).await;
        }
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let call = client.begin(client.request("GET", "/")).await;
    let response = call.response.head().await.expect("a head");
    let stopped = stopped_at(&shared.sent).await;
    assert!(stopped <= STREAM, "{stopped} bytes were taken from the application");
    within("everything arrives", receive(&mut response.into_body(), &shared.received)).await;
    assert_eq!(shared.received.load(Ordering::Relaxed), PLENTY);
}

/// However many streams stand still, a connection holds no more than its window; and other clients do not notice.
#[tokio::test]
async fn many_streams_that_stand_still_share_the_connections_window() {
    let app = App::start(|mut exchange: Exchange| async move {
        if exchange.head.uri.path() == "/stalled" {
            return exchange.gone().await;
        }
        exchange.answer(Response::builder(), "fine".into(), None);
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut calls = Vec::new();
    for _ in 0..64 {
        let mut call = client.begin(client.request("POST", "/stalled")).await;
        let sent = sent.clone();
        calls.push(tokio::spawn(async move { send(&mut call.body, PLENTY, &sent).await }));
    }
    let stopped = stopped_at(&sent).await;
    // The edge's and the sidecar's windows of 4 MiB, the application's of 64 KiB, and buffers.
    assert!(stopped <= 10 * MIB, "{stopped} bytes were taken in");
    let other = Client::connect_tls(chain.edge.address()).await;
    let answer = other.call(other.request("GET", "/"), b"").await.expect("an answer");
    assert_eq!(answer.body(), "fine");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    drop(client);
    eventually("every gauge is back to zero", || chain.sidecar.gauge("cluster.app.upstream_rq_active") == 0).await;
}

/// 100 MB there and back, with no more on the way than a stream may hold in each direction.
#[tokio::test]
async fn a_hundred_megabytes_pass_in_constant_memory() {
    let app = App::start(|exchange: Exchange| async move {
        let mut upload = exchange.body;
        let mut respond = exchange.respond;
        let mut body = respond.send_response(Response::new(()), false).expect("a response");
        while let Some(Ok(mut data)) = upload.data().await {
            let length = data.len();
            while !data.is_empty() {
                send_some(&mut body, &mut data).await.expect("the client reads");
            }
            upload.flow_control().release_capacity(length).expect("it was received");
        }
        // The client has all it sent, and may have gone.
        let _ = body.send_data(Bytes::new(), true);
    })
    .await;
    let chain = Chain::start(app.address(), |file| file).await;
    let client = Client::connect_tls(chain.edge.address()).await;
    let Call { body: mut upload, response } = client.begin(client.request("POST", "/")).await;
    let shared = Arc::new(Shared::default());
    let sender = shared.clone();
    let sending = tokio::spawn(async move { send(&mut upload, HUNDRED, &sender.sent).await });
    let response = response.head().await.expect("a head");
    let (mut body, mut most) = (response.into_body(), 0);
    while let Some(data) = within("data", body.data()).await {
        let length = data.expect("data").len();
        body.flow_control().release_capacity(length).expect("it was received");
        let received = shared.received.fetch_add(length, Ordering::Relaxed) + length;
        most = most.max(shared.sent.load(Ordering::Relaxed) - received);
    }
    sending.await.expect("everything is sent");
    assert_eq!(shared.received.load(Ordering::Relaxed), HUNDRED);
    assert!(most <= 2 * STREAM, "{most} bytes were on the way at once");
    let (edge, sidecar) = (chain.edge.log().line().await, chain.sidecar.log().line().await);
    assert_eq!(edge.outcome(), format!("POST / HTTP/2 200 - {HUNDRED} {HUNDRED}"));
    assert_eq!(sidecar.outcome(), edge.outcome());
}

/// HTTP/1.1 has no windows but the sockets' buffers, of a few MiB each on Linux.
#[tokio::test]
async fn a_client_of_http_1_that_stands_still_stops_its_sender() {
    let shared = Arc::new(Shared::default());
    let of_app = shared.clone();
    let app = App::start(move |exchange: Exchange| {
        let shared = of_app.clone();
        async move {
            let mut body = exchange.begin(Response::builder(), false).expect("a response");
            send(&mut body, PLENTY, &shared.sent).await;
        }
    })
    .await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
    let mut stream = within("a connection", socket.connect(proxy.address())).await.expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await.expect("it is sent");
    let stopped = stopped_at(&shared.sent).await;
    assert!(stopped <= 16 * MIB, "{stopped} bytes were taken from the application");
    let (mut bytes, mut received) = (vec![0; MIB], 0);
    loop {
        match within("data", stream.read(&mut bytes)).await.expect("data") {
            0 => break,
            length => received += length,
        }
    }
    assert!(received > PLENTY, "with its chunks");
}
