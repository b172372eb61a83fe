//! What an application gets, and what becomes of its answers.

use http::{HeaderValue, header};

use super::*;
use crate::{
    base::{
        FinishObserver, RequestInfo,
        info::{FinishObservers, Record},
    },
    net::listen::ConnectionLimit,
};

#[tokio::test(start_paused = true)]
async fn errors_and_panics_are_answered() {
    let (resources, serving) = start(|server| server);
    let client = Http2::connect(&resources, &serving).await;
    for path in ["/fail", "/panic"] {
        assert_eq!(client.get(path).await.unwrap().0.status, 500, "{path}");
    }
    let request = Request::post("http://a/fail").header("content-type", "application/grpc").body(()).unwrap();
    let (response, _) = client.send.clone().ready().await.unwrap().send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &HeaderValue::from(2)));
    assert_eq!(client.get("/hello").await.unwrap().1, "hello", "the connection lives");
}

#[tokio::test(start_paused = true)]
async fn responses_have_a_date_and_no_headers_of_another_version() {
    let resources = Testkit::seeded(7).resources;
    let app = tower::service_fn(|_: Request<Body>| async {
        let mut response = Response::new(Body::from("hello"));
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok::<_, BoxError>(response)
    });
    let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
    let (head, body) = Http2::connect(&resources, &serving).await.get("/").await.unwrap();
    assert_eq!(body, "hello");
    assert!(head.headers.contains_key(header::DATE) && !head.headers.contains_key(header::CONNECTION));
    let mut client = Http1(connect(&resources, &serving).await);
    client.send(GET).await;
    let answer = client.rest().await;
    assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_request_knows_its_client() {
    let resources = Testkit::seeded(7).resources;
    let app = tower::service_fn(|request: Request<Body>| async move {
        let info = RequestInfo::of(request.extensions()).unwrap();
        let connection = info.connection().unwrap();
        Ok::<_, BoxError>(Response::new(Body::from(format!(
            "{} {}",
            connection.peer.unwrap(),
            connection.local.unwrap()
        ))))
    });
    let serving = HttpServer::new(&resources).bind(any(), app).unwrap();
    let body = Http2::connect(&resources, &serving).await.get("/").await.unwrap().1;
    assert!(body.starts_with("127.0.0.1:") && body.ends_with(&format!(" {}", serving.local_addr())), "{body}");
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl FinishObserver for Seen {
    fn on_finish(&self, _: &RequestInfo, record: &Record) {
        let status = record.status.map_or(0, |status| status.as_u16());
        self.0.lock().unwrap().push(format!("{} {status} {}", record.uri.path(), record.flags));
    }
}

#[tokio::test(start_paused = true)]
async fn observers_see_every_request_refused_ones_too() {
    let seen = Arc::new(Seen::default());
    let observers = FinishObservers::new([seen.clone() as Arc<dyn FinishObserver>]);
    let (resources, serving) = start(|server| server.observers(observers));
    let mut client = Http1(connect(&resources, &serving).await);
    client.send(GET).await;
    client.until("hello").await;
    client.send("GET /no-host HTTP/1.1\r\n\r\n").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    let seen = std::mem::take(&mut *seen.0.lock().unwrap());
    assert_eq!(seen, ["/hello 200 -", "/no-host 400 DPE"]);
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_wait() {
    let (resources, serving) = start(|server| server.connection_limit(ConnectionLimit::new(1)));
    let mut first = Http1(connect(&resources, &serving).await);
    first.send(GET).await;
    first.until("hello").await;
    let mut second = Http1(connect(&resources, &serving).await);
    second.send(GET).await;
    let begin = Instant::now();
    let (answer, ()) = tokio::join!(second.until("hello"), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(first);
    });
    assert!(answer.starts_with("HTTP/1.1 200 "));
    assert_eq!(seconds(begin), 3);
}

#[test]
fn a_server_needs_a_runtime_and_says_so() {
    let resources = Testkit::seeded(7).resources;
    let app = tower::service_fn(app);
    let error = HttpServer::new(&resources).bind(any(), app).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
    let acceptor = resources.network().bind(any()).unwrap();
    HttpServer::new(&resources).serve(acceptor, app).unwrap_err();
}
