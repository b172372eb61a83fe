//! Hosts that fail, and what is tried again.

use std::sync::{Mutex, atomic::Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

#[tokio::test]
async fn a_failed_connect_is_the_answer_of_an_envoy_file() {
    let f = fixture(config(false), 3, |_| Peer::Refuse);
    let response = f.service.clone().oneshot(request("/")).await;
    let record = record(&response);
    assert_eq!((record.attempts.len(), record.flags.to_string()), (1, "UF".into()));
    assert_eq!(record.attempts[0].error, Some(ErrorKind::ConnectFailure));
    let error = response.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::ConnectFailure, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(f.world.connects(), 1);
    assert_at_rest(&f);
}

#[tokio::test]
async fn a_failed_connect_moves_on_where_the_cluster_says_so() {
    let mut config = config(false);
    config.connect_failover = true;
    for down in 0..4_u8 {
        let f = fixture(config.clone(), 3, Server::http1);
        (1..=down.min(3)).for_each(|last| f.world.set(address(last), Peer::Refuse));
        for _ in 0..3 {
            let response = f.service.clone().oneshot(request("/")).await;
            let mut tried: Vec<_> = record(&response).attempts.iter().map(|attempt| attempt.host).collect();
            assert_eq!(response.is_ok(), down < 3, "{down} of 3 down");
            let attempts = tried.len();
            tried.sort();
            tried.dedup();
            assert_eq!(tried.len(), attempts, "each host once");
            assert!(down < 3 || attempts == 3);
        }
    }
}

#[tokio::test]
async fn a_connection_that_died_unnoticed_is_not_taken() {
    let ends: Arc<Mutex<Vec<DuplexStream>>> = Arc::default();
    let held = ends.clone();
    let f = fixture(config(false), 1, move |_| {
        let held = held.clone();
        Peer::Serve(Arc::new(move |io| held.lock().unwrap().push(io)))
    });
    let first = spawn(&f.service, "/");
    settle().await;
    let mut end = ends.lock().unwrap().pop().unwrap();
    end.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(first.await.unwrap().unwrap(), StatusCode::NO_CONTENT);

    f.world.set(address(1), f.server.http1());
    // The pool's side has had no turn to see the end before the request is handed over.
    drop(end);
    let response = f.service.clone().oneshot(request("/")).await;
    let errors: Vec<_> = record(&response).attempts.iter().map(|attempt| attempt.error).collect();
    assert_eq!(errors, [None], "the pool looks at a connection before it gives it away");
    assert_eq!(read(response).await.unwrap(), StatusCode::OK);
    assert_eq!(counter(&f.stats, "upstream_rq_retry"), 0);
    assert_eq!(f.world.connects(), 2);
    assert_at_rest(&f);
}

/// The connection is gone, and its driver has had no turn to see it: nothing of the second request has left.
#[tokio::test]
async fn an_http2_connection_that_died_unnoticed_is_replaced_unasked() {
    let ends: Arc<Mutex<Vec<DuplexStream>>> = Arc::default();
    let held = ends.clone();
    let f = fixture(config(true), 1, move |_| {
        let held = held.clone();
        Peer::Serve(Arc::new(move |io| held.lock().unwrap().push(io)))
    });
    let first = spawn(&f.service, "/");
    settle().await;
    let mut end = ends.lock().unwrap().pop().unwrap();
    end.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    settle().await;
    f.world.set(address(1), f.server.http2(10));
    drop(end);
    let response = f.service.clone().oneshot(request("/")).await;
    let errors: Vec<_> = record(&response).attempts.iter().map(|attempt| attempt.error).collect();
    assert_eq!(errors, [Some(ErrorKind::UpstreamConnectionTermination), None]);
    assert_eq!(read(response).await.unwrap(), StatusCode::OK);
    let lost = first.await.unwrap().unwrap_err();
    assert_eq!(lost.retry(), Retry::Unknown, "the host may have seen that one");
    assert_eq!(f.world.connects(), 2);
    assert_at_rest(&f);
}

/// What the host may have seen is not sent again.
#[tokio::test]
async fn a_request_that_has_left_is_not_sent_again_unasked() {
    let f = fixture(config(true), 1, |server| server.http2(10));
    let call = spawn(&f.service, "/wait");
    settle().await;
    f.server.cut();
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::UpstreamConnectionTermination);
    assert_eq!(f.server.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_unasked() {
    let f = fixture(config(true), 1, |server| server.http2(10));
    let response = f.service.clone().oneshot(request("/refuse")).await;
    let record = record(&response);
    let errors: Vec<_> = record.attempts.iter().map(|attempt| attempt.error).collect();
    assert_eq!(errors, [Some(ErrorKind::UpstreamRefusedStream), None]);
    assert_eq!(read(response).await.unwrap(), StatusCode::OK);
    assert_eq!(counter(&f.stats, "upstream_rq_retry"), 1);
    assert_at_rest(&f);
}

#[tokio::test]
async fn without_a_retry_to_spare_the_refusal_is_the_answer() {
    let mut config = config(true);
    config.circuit_breakers.max_retries = 0;
    let f = fixture(config, 1, |server| server.http2(10));
    let error = f.service.clone().oneshot(request("/refuse-always")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::UpstreamRefusedStream, Retry::NotProcessed));
    // The first is free.
    assert_eq!(counter(&f.stats, "upstream_rq_retry"), 1);
    assert_eq!(counter(&f.stats, "upstream_rq_retry_overflow"), 1);
    assert_at_rest(&f);
}

#[tokio::test]
async fn everything_that_a_goaway_sends_back_is_sent_again() {
    let ends: Arc<Mutex<Vec<DuplexStream>>> = Arc::default();
    let held = ends.clone();
    let f = fixture(config(true), 1, move |_| {
        let held = held.clone();
        Peer::Serve(Arc::new(move |io| held.lock().unwrap().push(io)))
    });
    let first = spawn(&f.service, "/");
    settle().await;
    let mut end = ends.lock().unwrap().pop().unwrap();
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    end.write_all(settings).await.unwrap();
    let others: Vec<_> = (0..50).map(|_| spawn(&f.service, "/")).collect();
    settle().await;
    assert_eq!(gauge(&f.stats, "upstream_rq_active"), 51);
    f.world.set(address(1), f.server.http2(100));
    // NO_ERROR, and no stream was looked at.
    end.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
    for call in others.into_iter().chain([first]) {
        assert_eq!(call.await.unwrap().unwrap(), StatusCode::OK);
    }
    assert_eq!(counter(&f.stats, "upstream_rq_retry_overflow"), 0);
    assert_at_rest(&f);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_flagged() {
    let f = fixture(config(false), 1, |_| {
        Peer::Serve(Arc::new(|mut io| {
            tokio::spawn(async move {
                let _ = io.read(&mut [0; 1024]).await;
                let _ = io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
            });
        }))
    });
    let response = f.service.clone().oneshot(request("/")).await.unwrap();
    let info = RequestInfo::of(response.extensions()).cloned().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap_err().kind(), ErrorKind::UpstreamProtocol);
    let record = info.read(Record::clone);
    assert_eq!(record.flags.to_string(), "UPE");
    assert_eq!(record.attempts[0].error, Some(ErrorKind::UpstreamProtocol));
    assert_eq!(f.hosts[0].stats().rq_error.load(Ordering::Relaxed), 1);
    assert_at_rest(&f);
}

#[tokio::test]
async fn a_client_that_breaks_off_its_upload_beside_the_response_is_not_counted_on_the_host() {
    let f = fixture(config(false), 1, |_| {
        Peer::Serve(Arc::new(|mut io| {
            tokio::spawn(async move {
                let _ = io.read(&mut [0; 1024]).await;
                let _ = io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
                while io.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
            });
        }))
    });
    let (fail, failed) = tokio::sync::oneshot::channel::<Error>();
    let frames = futures_util::stream::once(async { Err::<http_body::Frame<Bytes>, _>(failed.await.unwrap()) });
    let body = Body::new(http_body_util::StreamBody::new(frames));
    let response = f.service.clone().oneshot(Request::post("http://a/").body(body).unwrap()).await.unwrap();
    fail.send(Error::new(ErrorKind::DownstreamTermination)).unwrap();
    assert_eq!(response.into_body().collect().await.unwrap_err().kind(), ErrorKind::DownstreamTermination);
    assert_eq!(f.hosts[0].stats().rq_error.load(Ordering::Relaxed), 0);
    assert_at_rest(&f);
}

/// As when a host ends in the moment of a request: the request's task runs before those of the connections.
#[tokio::test]
async fn a_dozen_connections_that_ended_unnoticed_cost_no_request() {
    const IDLE: usize = 12;
    let ends: Arc<Mutex<Vec<DuplexStream>>> = Arc::default();
    let held = ends.clone();
    let f = fixture(config(false), 1, move |_| {
        let held = held.clone();
        Peer::Serve(Arc::new(move |io| held.lock().unwrap().push(io)))
    });
    let calls: Vec<_> = (0..IDLE).map(|_| spawn(&f.service, "/")).collect();
    settle().await;
    let mut hosts: Vec<_> = std::mem::take(&mut *ends.lock().unwrap());
    assert_eq!(hosts.len(), IDLE);
    for host in &mut hosts {
        host.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), StatusCode::NO_CONTENT);
    }
    settle().await;
    f.world.set(address(1), f.server.http1());
    let call = spawn(&f.service, "/");
    drop(hosts);
    assert_eq!(call.await.unwrap().unwrap(), StatusCode::OK);
}
