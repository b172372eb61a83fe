use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::request::Builder;
use http_body::Frame;
use http_body_util::StreamBody;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::http::Body;

async fn send(request: Request<Body>, failing: bool) -> Response<Body> {
    let conditions = [
        HeaderMatch::exact(":path".parse().unwrap(), "/healthz"),
        HeaderMatch::exact("X-Envoy-LivenessProbe".parse().unwrap(), "healthz"),
    ];
    let switch = Arc::new(AtomicBool::new(failing));
    let layer = HealthCheckLayer::matching(&conditions).unwrap().cluster("edge");
    let service = ServiceBuilder::new().layer(layer.failing(move || switch.load(Ordering::Relaxed))).service(
        service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::builder().status(404).body(Body::empty()).unwrap())
        }),
    );
    service.oneshot(request).await.unwrap()
}

fn probe(builder: Builder) -> Request<Body> {
    builder.header("x-envoy-livenessprobe", "healthz").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn answers_what_matches_and_nothing_else() {
    let ok = send(probe(Request::get("/healthz")), false).await;
    assert_eq!((ok.status().as_u16(), ok.headers().len()), (200, 2));
    assert_eq!(ok.headers()["content-length"], "0");
    assert_eq!(ok.headers()["x-envoy-upstream-healthchecked-cluster"], "edge");
    let http2 = send(probe(Request::get("/healthz").version(Version::HTTP_2)), false).await;
    assert_eq!((http2.status().as_u16(), http2.headers().len()), (200, 1));
    assert_eq!(send(probe(Request::get("/healthz?x=1")), false).await.status(), 404);
    let bare = Request::get("/healthz").body(Body::empty()).unwrap();
    assert_eq!(send(bare, false).await.status(), 404);
}

#[tokio::test]
async fn failing_is_503_and_shows_on_every_response() {
    let info = RequestInfo::detached();
    let check = send(probe(Request::get("/healthz").extension(info.clone())), true).await;
    assert_eq!(check.status(), 503);
    assert_eq!(check.headers()["x-envoy-immediate-health-check-fail"], "true");
    assert_eq!(check.headers()["connection"], "close");
    assert_eq!(check.headers()["x-envoy-upstream-healthchecked-cluster"], "edge");
    info.read(|record| {
        assert!(record.health_check && record.local_reply);
        assert_eq!(record.flags.to_string(), "LH");
    });
    let http2 = send(probe(Request::get("/healthz").version(Version::HTTP_2)), true).await;
    assert!(!http2.headers().contains_key("connection"));
    let other = send(Request::new(Body::empty()), true).await;
    assert_eq!(other.status(), 404);
    assert_eq!(other.headers()["x-envoy-immediate-health-check-fail"], "true");
}

#[tokio::test(start_paused = true)]
async fn answers_after_the_end_of_the_body() {
    let frames = stream::iter(0..100).then(|at| async move {
        tokio::time::sleep(Duration::from_millis(if at < 50 { 0 } else { 100 })).await;
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x")))
    });
    let begin = tokio::time::Instant::now();
    let request = probe(Request::post("/healthz")).map(|_| Body::new(StreamBody::new(frames)));
    assert_eq!(send(request, false).await.status(), 200);
    assert_eq!(begin.elapsed().as_secs(), 5);
}
