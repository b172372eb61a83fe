use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::{Instant, advance, sleep};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::{
    base::{ErrorKind, Stats},
    http::Body,
};

const SECOND: Duration = Duration::from_secs(1);

/// A body of frames that come a second apart.
fn slow(frames: u32) -> Body {
    let frames = stream::iter(0..frames).then(|_| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
    });
    Body::new(StreamBody::new(frames))
}

fn layer(seconds: u32) -> TimeoutLayer {
    TimeoutLayer::new(Some(SECOND * seconds))
}

#[tokio::test(start_paused = true)]
async fn counts_from_the_end_of_the_request() {
    let service =
        ServiceBuilder::new().layer(layer(5)).service(service_fn(|request: Request<RequestBody<Body>>| async {
            request.into_body().collect().await.unwrap();
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        }));
    let begin = Instant::now();
    let error = service.oneshot(Request::new(slow(10))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RouteTimeout);
    assert_eq!(begin.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_goes_on_has_no_timeout() {
    let service =
        ServiceBuilder::new().layer(layer(5)).service(service_fn(|request: Request<RequestBody<Body>>| async {
            sleep(SECOND * 60).await;
            drop(request);
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
    assert!(service.oneshot(Request::new(slow(1000))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_body_that_is_dropped_has_ended() {
    let service = ServiceBuilder::new().layer(layer(5)).service(service_fn(|request: Request<RequestBody<Body>>| {
        drop(request);
        std::future::pending::<Result<Response<Body>, Infallible>>()
    }));
    let begin = Instant::now();
    assert!(service.oneshot(Request::new(slow(1000))).await.is_err());
    assert_eq!(begin.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn ends_a_response_that_has_begun() {
    let stats = Stats::new();
    let info = RequestInfo::detached();
    let alive = Arc::new(());
    let held = alive.clone();
    let service = ServiceBuilder::new().layer(layer(5).counter(stats.counter("t"))).service(service_fn(
        move |_: Request<RequestBody<Body>>| {
            let held = held.clone();
            let body = StreamBody::new(Box::pin(stream::unfold(held, |held| async {
                sleep(SECOND).await;
                Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), held))
            })));
            async { Ok::<_, Infallible>(Response::new(body)) }
        },
    ));
    let request = Request::builder().extension(info.clone()).body(Body::empty()).unwrap();
    let mut body = service.clone().oneshot(request).await.unwrap().into_body();
    drop(service);
    let begin = Instant::now();
    let mut frames = 0;
    let error = loop {
        match body.frame().await {
            Some(Ok(_)) => frames += 1,
            Some(Err(error)) => break error,
            None => panic!("the body ended"),
        }
    };
    assert_eq!((error.kind(), frames, begin.elapsed().as_secs()), (ErrorKind::RouteTimeout, 4, 5));
    assert!(error.info().is_some());
    assert_eq!(info.read(|record| record.flags.to_string()), "UT");
    assert_eq!(stats.counter_value("t"), Some(1));
    assert_eq!(Arc::strong_count(&alive), 1, "the inner body is gone, so its stream is reset");
    assert!(body.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_response_that_always_has_data_ends_too() {
    let service = ServiceBuilder::new().layer(layer(5)).service(service_fn(|_: Request<RequestBody<Body>>| async {
        let frames = stream::repeat_with(|| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))));
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    }));
    let mut body = service.oneshot(Request::new(Body::empty())).await.unwrap().into_body();
    for _ in 0..5 {
        body.frame().await.unwrap().unwrap();
        advance(SECOND).await;
    }
    assert_eq!(body.frame().await.unwrap().unwrap_err().kind(), ErrorKind::RouteTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_response_in_time_passes_whole_and_none_never_ends_it() {
    for timeout in [Some(SECOND * 5), None, Some(Duration::MAX)] {
        let service = ServiceBuilder::new()
            .layer(TimeoutLayer::new(timeout))
            .service(service_fn(|_: Request<RequestBody<Body>>| async { Ok::<_, Infallible>(Response::new(slow(4))) }));
        let response = service.oneshot(Request::new(Body::from("x"))).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "xxxx");
    }
    let forever = ServiceBuilder::new().layer(TimeoutLayer::new(None)).service(service_fn(
        |_: Request<RequestBody<Body>>| async { Ok::<_, Infallible>(Response::new(slow(100_000))) },
    ));
    let response = forever.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 100_000);
}
