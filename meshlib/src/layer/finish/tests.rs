use std::{convert::Infallible, sync::Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::base::{FinishObserver, info::Record};

/// Status, flags, bytes in, bytes out, gRPC status.
type Seen = (Option<StatusCode>, String, u64, u64, Option<u32>);

#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<Seen>>,
    agents: Mutex<Vec<String>>,
}

const WANTED: [HeaderName; 1] = [http::header::USER_AGENT];

impl FinishObserver for Recorder {
    fn on_finish(&self, info: &RequestInfo, record: &Record) {
        let (flags, bytes) = (record.flags.to_string(), (info.bytes_received(), info.bytes_sent()));
        self.seen.lock().unwrap().push((record.status, flags, bytes.0, bytes.1, record.grpc_status));
        let agent = record.request_header(&WANTED[0]).map(|agent| agent.to_str().unwrap().to_owned());
        self.agents.lock().unwrap().extend(agent);
    }

    fn request_headers(&self) -> &[HeaderName] {
        &WANTED
    }
}

fn recorder() -> (Arc<Recorder>, FinishLayer) {
    let recorder = Arc::new(Recorder::default());
    (recorder.clone(), FinishLayer::new(FinishObservers::new([recorder as Arc<dyn FinishObserver>])))
}

fn request(body: &'static str) -> Request<Full<Bytes>> {
    Request::builder().header("user-agent", "test").body(Full::from(body)).unwrap()
}

const OK: Option<StatusCode> = Some(StatusCode::OK);

#[tokio::test]
async fn counts_both_bodies_and_closes_when_both_have_ended() {
    let (recorder, layer) = recorder();
    let service = ServiceBuilder::new().layer(layer).service(service_fn(
        |request: Request<RequestBody<Full<Bytes>>>| async move {
            let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), "5".parse().unwrap())]);
            // The upload outlives the response.
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                request.into_body().collect().await.unwrap();
            });
            let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from("12345"))), Ok(Frame::trailers(trailers))];
            Ok::<_, Infallible>(Response::new(StreamBody::new(stream::iter(frames))))
        },
    ));
    let response = service.oneshot(request("123")).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert!(recorder.seen.lock().unwrap().is_empty());
    while recorder.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*recorder.seen.lock().unwrap(), [(OK, "-".into(), 3, 5, Some(5))]);
    assert_eq!(*recorder.agents.lock().unwrap(), ["test"]);
}

#[tokio::test]
async fn a_response_dropped_early_is_a_client_gone() {
    let (recorder, layer) = recorder();
    let pending =
        ServiceBuilder::new().layer(layer.clone()).service(service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
        }));
    let mut call = Box::pin(pending.oneshot(request("")));
    assert!(futures_util::poll!(&mut call).is_pending());
    drop(call);
    let answering =
        ServiceBuilder::new().layer(layer).service(service_fn(|_: Request<RequestBody<Full<Bytes>>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("12345")))
        }));
    drop(answering.oneshot(request("")).await.unwrap());
    let gone = |status| (status, "DC".to_owned(), 0, 0, None);
    assert_eq!(*recorder.seen.lock().unwrap(), [gone(None), gone(OK)]);
}

#[tokio::test]
async fn an_error_and_an_empty_response_are_ends() {
    let (recorder, layer) = recorder();
    let service = ServiceBuilder::new().layer(layer).service(service_fn(
        |request: Request<RequestBody<Full<Bytes>>>| async move {
            if request.body().is_end_stream() { Ok(Response::new(Full::<Bytes>::default())) } else { Err("no") }
        },
    ));
    drop(service.clone().oneshot(request("")).await.unwrap());
    assert_eq!(service.oneshot(request("x")).await.err(), Some("no"));
    assert_eq!(*recorder.seen.lock().unwrap(), [(OK, "-".into(), 0, 0, None), (None, "-".into(), 0, 0, None)]);
}

#[tokio::test]
async fn one_inside_another_shares_the_record() {
    let ((outer, outer_layer), (inner, inner_layer)) = (recorder(), recorder());
    let service = ServiceBuilder::new().layer(outer_layer).layer(inner_layer).service(service_fn(
        |_: Request<RequestBody<RequestBody<Full<Bytes>>>>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("12345")))
        },
    ));
    service.oneshot(request("")).await.unwrap().into_body().collect().await.unwrap();
    for recorder in [outer, inner] {
        assert_eq!(*recorder.seen.lock().unwrap(), [(OK, "-".into(), 0, 5, None)]);
        assert_eq!(*recorder.agents.lock().unwrap(), ["test"]);
    }
}
