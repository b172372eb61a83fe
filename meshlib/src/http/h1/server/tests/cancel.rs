use super::*;
use crate::{base::resources::Network, net::TcpNetwork};

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_cancels_its_request() {
    let begin = Instant::now();
    let held = Arc::new(());
    let holder = held.clone();
    let mut peer = start(move |request, info| {
        let held = holder.clone();
        async move {
            let _held = held;
            never(request, info).await
        }
    });
    peer.send(GET).await;
    settle().await;
    assert_eq!(Arc::strong_count(&held), 3, "one is held by the request under way");
    drop(peer.client);
    (&mut peer.server).await.unwrap();
    assert_eq!(Arc::strong_count(&held), 1);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(peer.records.take(), [(None, "DC".to_owned(), 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_half_closes_is_gone() {
    let mut peer = start(never);
    peer.send(GET).await;
    settle().await;
    peer.client.shutdown().await.unwrap();
    peer.finish().await;
    assert_eq!(peer.records.take(), [(None, "DC".to_owned(), 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn going_away_during_an_upload_cancels() {
    for sent in ["", "12345"] {
        let mut peer = start(|request, _| async move {
            // Reads the upload, and would wait on whatever became of it.
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
            std::future::pending().await
        });
        peer.send(format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{sent}")).await;
        settle().await;
        drop(peer.client);
        peer.server.await.unwrap();
        assert_eq!(peer.records.take(), [(None, "DC".to_owned(), sent.len() as u64, 0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn going_away_during_the_response_is_recorded() {
    async fn stuck(_: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::new(Body::new(bodies::Stuck(Some("some"))))
    }
    let mut peer = start(stuck);
    peer.send(GET).await;
    peer.until("4\r\nsome\r\n").await;
    drop(peer.client);
    peer.server.await.unwrap();
    assert_eq!(peer.records.take(), [line(200, "DC", 0, 4)]);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_server_cancels_and_records() {
    let mut peer = start(never);
    peer.send(GET).await;
    settle().await;
    peer.server.abort();
    assert!((&mut peer.server).await.unwrap_err().is_cancelled());
    assert_eq!(peer.records.take(), [(None, "DC".to_owned(), 0, 0)]);
}

/// Real sockets, real time: what counts is that the upstream learns of it at once.
#[tokio::test]
async fn a_closed_socket_cancels_within_10_milliseconds() {
    let network = TcpNetwork::new();
    let mut acceptor = network.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut best = Duration::MAX;
    // The best of five: this machine may be busy, the code may not be slow.
    for _ in 0..5 {
        let client = network.connect(acceptor.local_addr().unwrap()).await.unwrap();
        let io = std::future::poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap().socket.adopt().unwrap();
        let mut peer = start_on(io, client, ServerOptions::default(), never);
        peer.send(GET).await;
        settle().await;
        let begin = Instant::now();
        drop(peer.client);
        peer.server.await.unwrap();
        best = best.min(begin.elapsed());
        assert_eq!(peer.records.take(), [(None, "DC".to_owned(), 0, 0)]);
    }
    assert!(best < Duration::from_millis(10), "{best:?}");
}
