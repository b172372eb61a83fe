use http_body_util::BodyExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn requests_follow_each_other_on_a_connection() {
    let mut peer = start(hello);
    for _ in 0..3 {
        peer.send(GET).await;
        let answer = peer.until("hello").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\ncontent-length: 5\r\n"));
        assert_eq!(answer.matches("\r\ndate: ").count(), 1);
        assert!(!answer.contains("connection:"));
    }
    assert_eq!(peer.records.take(), vec![line(200, "-", 0, 5); 3]);
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_order() {
    async fn path(request: Request<Body>, _: RequestInfo) -> Response<Body> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Response::new(Body::from(request.uri().path().to_owned()))
    }
    let mut peer = start(path);
    peer.send("GET /one HTTP/1.1\r\nhost: a\r\n\r\nGET /two HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    peer.until("/one").await;
    assert!(peer.rest().await.ends_with("\r\n\r\n/two"));
    assert_eq!(peer.records.take().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_handlers_date_is_kept_and_framing_is_ours() {
    async fn upstream(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        let response = Response::builder()
            .version(http::Version::HTTP_2)
            .header("date", "Thu, 01 Jan 1970 00:00:00 GMT")
            .header("transfer-encoding", "chunked")
            .header("content-length", "5");
        response.body(Body::from("hello")).unwrap()
    }
    let mut peer = start(upstream);
    peer.send(GET).await;
    let answer = peer.until("hello").await;
    assert_eq!(answer.matches("date: ").count(), 1);
    assert!(answer.contains("date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
    assert!(!answer.contains("transfer-encoding"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn absolute_form_is_origin_form_to_the_handler() {
    async fn target(request: Request<Body>, _: RequestInfo) -> Response<Body> {
        let host = request.headers()["host"].to_str().unwrap();
        Response::new(Body::from(format!("{} of {host}", request.uri())))
    }
    let mut peer = start(target);
    peer.send("GET http://b.test/x?y HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await;
    assert!(peer.rest().await.ends_with("/x?y of b.test"));
}

#[tokio::test(start_paused = true)]
async fn head_and_bodiless_responses_are_complete() {
    let mut peer = start(hello);
    peer.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(peer.until("\r\n\r\n").await.contains("content-length: 5"));
    async fn unchanged(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::builder().status(304).header("content-length", "7").body(Body::empty()).unwrap()
    }
    assert_eq!(peer.records.take(), [line(200, "-", 0, 0)]);
    let mut peer = start(unchanged);
    peer.send(GET).await;
    peer.until("\r\n\r\n").await;
    peer.send(GET).await;
    peer.until("\r\n\r\n").await;
    assert_eq!(peer.records.take(), vec![line(304, "-", 0, 0); 2]);
}

/// A peer from elsewhere, over the real network.
#[tokio::test]
async fn hypers_client_agrees_over_tcp() {
    use crate::{base::resources::Network, net::TcpNetwork};

    async fn echo(request: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::new(request.into_body())
    }
    let network = TcpNetwork::new();
    let mut acceptor = network.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let client = network.connect(acceptor.local_addr().unwrap()).await.unwrap();
    let io = std::future::poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap().socket.adopt().unwrap();
    let mut peer = start_on(io, (), ServerOptions::default(), echo);

    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(client)).await.unwrap();
    let client = tokio::spawn(connection);
    for size in [0, 1, 1_000, 300_000] {
        sender.ready().await.unwrap();
        let body = http_body_util::Full::new(bytes::Bytes::from(vec![b'x'; size]));
        let request = Request::post("/").header("host", "test").body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), size);
    }
    drop(sender);
    client.await.unwrap().unwrap();
    (&mut peer.server).await.unwrap();
    let sizes = [0, 1, 1_000, 300_000];
    assert_eq!(peer.records.take(), sizes.map(|size| line(200, "-", size, size)));
}
