//! What is sent, which answers pass, and when: over scripted services and a paused clock.

mod connections;

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::*;
use crate::{
    base::{Error, ErrorKind, Stats},
    cluster::config::{HealthCheckConfig, HealthCheckKind},
    http::Body,
};

const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

fn config() -> HealthCheckConfig {
    HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(10), 2, 2)
}

fn trailers(status: &'static str) -> Frame<Bytes> {
    Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]))
}

fn data(bytes: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes))
}

fn body(frames: Vec<Result<Frame<Bytes>, Error>>) -> Body {
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

fn response(status: u16, headers: &[(&str, &str)], frames: Vec<Frame<Bytes>>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body(frames.into_iter().map(Ok).collect())).unwrap()
}

fn serving() -> Response<Body> {
    response(200, &[("content-type", "application/grpc")], vec![data(SERVING), trailers("0")])
}

async fn check(answer: impl FnOnce() -> Result<Response<Body>, Error> + Send + 'static) -> ProbeResult {
    let answer = Arc::new(Mutex::new(Some(answer)));
    let service = service_fn(move |_: Request<Body>| {
        let answer = answer.lock().unwrap().take().unwrap();
        async move { answer() }
    });
    Prober::new(service, &config(), "echo").unwrap().next().await
}

async fn failure(answer: impl FnOnce() -> Result<Response<Body>, Error> + Send + 'static) -> (FailureKind, String) {
    let failure = check(answer).await.unwrap_err();
    (failure.kind(), failure.to_string())
}

#[tokio::test(start_paused = true)]
async fn the_request_is_envoys() {
    let seen = Arc::new(Mutex::new(None));
    let service = service_fn({
        let seen = seen.clone();
        move |request: Request<Body>| {
            *seen.lock().unwrap() = Some(request);
            async { Ok::<_, Error>(serving()) }
        }
    });
    assert_eq!(Prober::new(service.clone(), &config(), "echo-grpc").unwrap().next().await, Ok(()));
    let (head, body) = seen.lock().unwrap().take().unwrap().into_parts();
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri, "http://echo-grpc/grpc.health.v1.Health/Check");
    let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "1000m"),
            ("user-agent", "Envoy/HC"),
        ]
    );
    assert_eq!(body.collect().await.unwrap().to_bytes().as_ref(), [0; 5]);

    let mut config = config();
    config.check = HealthCheckKind::Grpc { service_name: "api.Echo".into(), authority: Some("own:80".into()) };
    assert_eq!(Prober::new(service, &config, "echo-grpc").unwrap().next().await, Ok(()));
    let (head, body) = seen.lock().unwrap().take().unwrap().into_parts();
    assert_eq!(head.uri.authority().unwrap(), "own:80");
    assert_eq!(body.collect().await.unwrap().to_bytes().as_ref(), b"\0\0\0\0\x0a\x0a\x08api.Echo");
}

#[tokio::test(start_paused = true)]
async fn every_answer_but_one_is_a_failure_of_protocol() {
    const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc+proto")];
    type Answer = fn() -> Response<Body>;
    let answers: [(Answer, Option<&str>); 14] = [
        (|| response(200, GRPC, vec![data(SERVING), trailers("0")]), None),
        (|| response(200, GRPC, vec![data(&SERVING[..3]), data(&SERVING[3..]), trailers("0")]), None),
        (|| response(200, GRPC, vec![data(b"\0\0\0\0\x02\x08\x02"), trailers("0")]), Some("not serving")),
        (|| response(200, GRPC, vec![trailers("5")]), Some("gRPC status 5")),
        (|| response(200, &[("grpc-status", "12")], vec![]), Some("gRPC status 12")),
        (|| response(200, &[("grpc-status", "0")], vec![]), Some("the response has no message")),
        (|| response(200, GRPC, vec![data(SERVING)]), Some("the response ends without gRPC status")),
        (|| response(200, &[("grpc-status", "0")], vec![data(SERVING)]), Some("the response ends without gRPC status")),
        (|| response(200, GRPC, vec![data(SERVING), trailers("14")]), Some("gRPC status 14")),
        (
            || response(200, GRPC, vec![data(SERVING), data(SERVING), trailers("0")]),
            Some("the response has more than one message"),
        ),
        (
            || response(200, GRPC, vec![data(b"\0\0\0\0\x09\x08\x01"), trailers("0")]),
            Some("the response's message is cut off"),
        ),
        (
            || response(200, &[("content-type", "text/html")], vec![data(SERVING), trailers("0")]),
            Some("the response is not gRPC"),
        ),
        (
            || response(503, &[("content-type", "text/plain")], vec![data(b"no")]),
            Some("HTTP status 503 Service Unavailable"),
        ),
        (|| response(404, &[("grpc-status", "0")], vec![]), Some("HTTP status 404 Not Found, gRPC status 0")),
    ];
    for (answer, reason) in answers {
        match reason {
            None => assert_eq!(check(move || Ok(answer())).await, Ok(())),
            Some(reason) => {
                let expected = (FailureKind::Protocol, reason.to_owned());
                assert_eq!(failure(move || Ok(answer())).await, expected);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_whole_answer_is_a_failure_of_the_network() {
    for kind in [ErrorKind::ConnectFailure, ErrorKind::UpstreamReset, ErrorKind::UpstreamConnectionTermination] {
        assert_eq!(failure(move || Err(Error::new(kind))).await.0, FailureKind::Network);
    }
    let broken = || {
        let frames = vec![Ok(data(SERVING)), Err(Error::new(ErrorKind::UpstreamReset))];
        Ok(Response::builder().header("content-type", "application/grpc").body(body(frames)).unwrap())
    };
    assert_eq!(failure(broken).await.0, FailureKind::Network);
    let endless = || {
        Ok(Response::new(Body::new(StreamBody::new(futures_util::stream::repeat_with(|| {
            Ok::<_, Error>(data(&[0; 1024]))
        })))))
    };
    assert_eq!(failure(endless).await, (FailureKind::Protocol, "the response is larger than 64 KiB".into()));
    let begin = Instant::now();
    let silent = || {
        Ok(Response::new(Body::new(StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Error>>()))))
    };
    assert_eq!(failure(silent).await.0, FailureKind::Timeout);
    assert_eq!(begin.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_interval_counts_from_the_end_of_a_check() {
    let begin = Instant::now();
    let starts = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn({
        let starts = starts.clone();
        move |_: Request<Body>| {
            let nth = starts.lock().unwrap().len();
            starts.lock().unwrap().push(begin.elapsed().as_millis());
            async move {
                match nth {
                    0 => sleep(Duration::from_millis(500)).await,
                    1 => pending().await,
                    _ => {}
                }
                Ok::<_, Error>(serving())
            }
        }
    });
    let stats = Stats::new();
    let prober = Prober::new(service, &config(), "echo").unwrap();
    let mut prober = prober.with_stats(HealthCheckStats::new(&stats, "echo"));
    assert_eq!(prober.next().await, Ok(()));
    assert!(tokio::time::timeout(Duration::from_secs(3), prober.next()).await.is_err(), "waiting is no check");
    assert_eq!(prober.next().await.unwrap_err().kind(), FailureKind::Timeout);
    assert_eq!(prober.next().await, Ok(()));
    assert_eq!(*starts.lock().unwrap(), [0, 10_500, 21_500]);
    let counts = ["attempt", "success", "failure", "network_failure"]
        .map(|what| stats.counter_value(&format!("cluster.echo.health_check.{what}")).unwrap());
    assert_eq!(counts, [3, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn without_traffic_checks_are_rare_and_an_armed_timer_is_not_shortened() {
    let begin = Instant::now();
    let traffic = TrafficFlag::new();
    let service = service_fn(|_: Request<Body>| async { Ok::<_, Error>(serving()) });
    let config = config().no_traffic_interval(Duration::from_secs(60));
    let mut prober = Prober::new(service, &config, "echo").unwrap().with_traffic(traffic.clone());
    let mut ends = Vec::new();
    for _ in 0..5 {
        assert_eq!(prober.next().await, Ok(()));
        ends.push(begin.elapsed().as_secs());
        if ends.len() == 2 {
            // Traffic begins while the wait from 60 to 120 is under way.
            assert!(tokio::time::timeout(Duration::from_secs(5), prober.next()).await.is_err());
            traffic.mark();
        }
    }
    assert_eq!(ends, [0, 60, 120, 130, 140]);
}
