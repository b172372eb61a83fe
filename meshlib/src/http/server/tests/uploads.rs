//! Applications that pass a request on, to a host that answers before it has all of it.

use futures_util::StreamExt;
use http::Version;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{sync::mpsc::Sender, task::JoinHandle};

use super::*;
use crate::{
    base::{Error, ErrorKind},
    http::{h1, h2, options::Http2Options},
};

const HALF: &[u8] = b"the first half,";
const REST: &[u8] = b" and the other.";

/// Answers with what it gets, as it comes.
async fn echo(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(request.into_body()))
}

/// A host that does so.
fn echoing() -> (Resources, Serving) {
    let resources = Testkit::seeded(7).resources;
    let host = HttpServer::new(&resources).bind(any(), tower::service_fn(echo)).unwrap();
    (resources, host)
}

/// Asks with a body that is fed.
async fn ask(resources: &Resources, of: &Serving, version: Version) -> (Sender<Bytes>, JoinHandle<Response<Body>>) {
    let (sender, body) = fed();
    let request = Request::post("http://a/").body(body).unwrap();
    (sender, tokio::spawn(pass_on(connect(resources, of).await, version, request)))
}

/// Passes the request on over a connection of its own.
async fn pass_on(io: BoxIo, version: Version, request: Request<Body>) -> Response<Body> {
    if version == Version::HTTP_2 {
        let (client, connection) = h2::client::handshake(io, &Http2Options::upstream());
        tokio::spawn(connection);
        return client.exchange(request).await.unwrap();
    }
    let (client, connection) = h1::client::handshake(io);
    tokio::spawn(connection);
    client.exchange(request).await.unwrap()
}

/// A body that is fed.
fn fed() -> (Sender<Bytes>, Body) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (sender, Body::new(StreamBody::new(frames.map(|data| Ok::<_, BoxError>(Frame::data(data))))))
}

/// Every pair of protocols, from the client and to the host.
fn pairs() -> impl Iterator<Item = (Version, Version)> {
    let versions = [Version::HTTP_11, Version::HTTP_2];
    versions.into_iter().flat_map(move |client| versions.map(|host| (client, host)))
}

#[tokio::test(start_paused = true)]
async fn an_application_may_read_the_hosts_answer_before_it_answers() {
    for (from, to) in pairs() {
        let (resources, host) = echoing();
        let (network, at) = (resources.network().clone(), host.local_addr());
        let app = tower::service_fn(move |request: Request<Body>| {
            let network = network.clone();
            async move {
                let answer = pass_on(network.connect(at).await?, to, request).await;
                Ok::<_, BoxError>(Response::new(Body::from(answer.into_body().collect().await?.to_bytes())))
            }
        });
        let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
        let (sender, answer) = ask(&resources, &serving, from).await;
        for part in [HALF, REST] {
            sender.send(Bytes::from_static(part)).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        drop(sender);
        let answer = tokio::time::timeout(Duration::from_secs(1), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{from:?} to {to:?}: no answer")).unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), [HALF, REST].concat(), "{from:?} to {to:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_client_that_goes_meanwhile() {
    /// A request's body, and what it holds.
    struct Holding(Body, Arc<()>);
    impl http_body::Body for Holding {
        type Data = Bytes;
        type Error = crate::base::Error;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            let _ = &self.1;
            Pin::new(&mut self.0).poll_frame(cx)
        }
    }
    for (from, to) in pairs() {
        let (resources, host) = echoing();
        let (network, at) = (resources.network().clone(), host.local_addr());
        let held = Arc::new(());
        let holds = Arc::downgrade(&held);
        let app = tower::service_fn(move |request: Request<Body>| {
            let (network, held) = (network.clone(), holds.upgrade());
            async move {
                let request = request.map(|body| Body::new(Holding(body, held.unwrap())));
                let answer = pass_on(network.connect(at).await?, to, request).await;
                Ok::<_, BoxError>(Response::new(Body::from(answer.into_body().collect().await?.to_bytes())))
            }
        });
        let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
        let (sender, answer) = ask(&resources, &serving, from).await;
        sender.send(Bytes::from_static(HALF)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&held), 2, "{from:?} to {to:?}: the request is under way");
        answer.abort();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(Arc::strong_count(&held), 1, "{from:?} to {to:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_uploads_of_one_request_both_go_on() {
    for (from, to) in pairs() {
        let (resources, host) = echoing();
        let (network, at) = (resources.network().clone(), host.local_addr());
        let app = tower::service_fn(move |request: Request<Body>| {
            let network = network.clone();
            async move {
                let (head, mut body) = request.into_parts();
                let (senders, answers): (Vec<_>, Vec<_>) = [fed(), fed()].into_iter().unzip();
                let mut bodies = Vec::new();
                for copy in answers {
                    let copy = Request::from_parts(head.clone(), copy);
                    bodies.push(pass_on(network.connect(at).await?, to, copy).await.into_body().collect());
                }
                tokio::spawn(async move {
                    while let Some(Ok(frame)) = body.frame().await {
                        for sender in &senders {
                            sender.send(frame.data_ref().cloned().unwrap_or_default()).await.unwrap();
                        }
                    }
                });
                let both = futures_util::future::try_join_all(bodies).await?;
                let both: Vec<_> = both.into_iter().map(|body| body.to_bytes()).collect();
                Ok::<_, BoxError>(Response::new(Body::from(both.concat().escape_ascii().to_string())))
            }
        });
        let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
        let (sender, answer) = ask(&resources, &serving, from).await;
        for part in [HALF, REST] {
            sender.send(Bytes::from_static(part)).await.unwrap();
        }
        drop(sender);
        let answer = tokio::time::timeout(Duration::from_secs(1), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{from:?} to {to:?}: no answer")).unwrap();
        let expected = [HALF, REST, HALF, REST].concat();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), expected, "{from:?} to {to:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_in_a_task_of_its_own_ends_when_the_client_goes() {
    for (from, to) in pairs() {
        let (resources, host) = echoing();
        let (network, at) = (resources.network().clone(), host.local_addr());
        let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let app = tower::service_fn(move |request: Request<Body>| {
            let (network, done) = (network.clone(), done.clone());
            async move {
                let task = tokio::spawn(async move {
                    let answer = pass_on(network.connect(at).await.unwrap(), to, request).await;
                    let read = answer.into_body().collect().await;
                    done.send(read.map(|all| all.to_bytes()).map_err(|error| error.kind())).unwrap();
                });
                task.await?;
                Ok::<_, BoxError>(Response::new(Body::empty()))
            }
        });
        let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
        let (sender, answer) = ask(&resources, &serving, from).await;
        sender.send(Bytes::from_static(HALF)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer.abort();
        let read = tokio::time::timeout(Duration::from_secs(1), ended.recv()).await;
        let read = read.unwrap_or_else(|_| panic!("{from:?} to {to:?} goes on")).unwrap();
        assert_eq!(read, Err(ErrorKind::DownstreamTermination), "{from:?} to {to:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_in_a_task_of_its_own_outlives_the_request_that_it_came_of() {
    for (from, to) in pairs() {
        let (resources, host) = echoing();
        let (network, at) = (resources.network().clone(), host.local_addr());
        let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
        let app = tower::service_fn(move |request: Request<Body>| {
            let (network, done) = (network.clone(), done.clone());
            async move {
                let (begun, has_begun) = tokio::sync::oneshot::channel();
                let (sender, copy) = fed();
                tokio::spawn(async move {
                    let (mut head, _) = request.into_parts();
                    head.headers.remove(http::header::CONTENT_LENGTH);
                    let copy = Request::from_parts(head, copy);
                    let answer = pass_on(network.connect(at).await.unwrap(), to, copy).await;
                    begun.send(()).unwrap();
                    let read = answer.into_body().collect().await;
                    done.send(read.map(|all| all.to_bytes()).map_err(|error| error.kind())).unwrap();
                });
                tokio::spawn(async move {
                    for part in [HALF, REST] {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        sender.send(Bytes::from_static(part)).await.unwrap();
                    }
                });
                has_begun.await?;
                Ok::<_, BoxError>(Response::new(Body::from("accepted")))
            }
        });
        let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
        let io = connect(&resources, &serving).await;
        let answer = pass_on(io, from, Request::post("http://a/").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "accepted");
        let read = tokio::time::timeout(Duration::from_secs(9), ended.recv()).await;
        let read = read.unwrap_or_else(|_| panic!("{from:?} to {to:?} goes on")).unwrap();
        assert_eq!(read.unwrap(), [HALF, REST].concat(), "{from:?} to {to:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_is_not_to_blame_for_an_upload_that_fails() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let (resources, host) = echoing();
        let (sender, receiver) = tokio::sync::oneshot::channel::<Error>();
        let frames = futures_util::stream::once(async { Err::<Frame<Bytes>, _>(receiver.await.unwrap()) });
        let request = Request::post("http://a/").body(Body::new(StreamBody::new(frames))).unwrap();
        let mut answer = pass_on(connect(&resources, &host).await, version, request).await.into_body();
        sender.send(Error::new(ErrorKind::DownstreamTermination)).unwrap();
        let error = answer.frame().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DownstreamTermination, "{version:?}: {error}");
    }
}
