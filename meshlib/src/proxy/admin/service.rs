//! The admin interface as a tower service.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use pin_project::pin_project;
use tower_service::Service;

use super::{
    MAX_BODY_BYTES,
    commands::{self, Answer},
    query::Query,
    state::AdminState,
};
use crate::http::Body;

/// What a frame of a body counts for at least, so that tiny and empty ones are bounded too.
const MIN_FRAME_BYTES: usize = 64;

/// Answers admin requests. Always ready; never fails; cloning shares the state.
#[derive(Clone, Debug)]
pub struct Admin(Arc<AdminState>);

impl Admin {
    /// An admin interface over this state.
    pub fn new(state: AdminState) -> Self {
        Self(Arc::new(state))
    }

    /// Lists other clusters from now on: after a reload, for example.
    pub fn publish_clusters(&self, clusters: Vec<super::AdminCluster>) {
        self.0.clusters.store(Arc::new(clusters));
    }
}

impl<B: http_body::Body> Service<Request<B>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = AdminFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> AdminFuture<B> {
        let (head, body) = request.into_parts();
        AdminFuture { body, read: 0, method: head.method, uri: head.uri, state: self.0.clone() }
    }
}

/// The future of [`Admin`]: reads the request's body to its end, since a command counts only once it is whole, and
/// throws it away.
#[pin_project]
#[derive(Debug)]
pub struct AdminFuture<B> {
    #[pin]
    body: B,
    read: usize,
    method: Method,
    uri: Uri,
    state: Arc<AdminState>,
}

impl<B: http_body::Body> Future for AdminFuture<B> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answer = loop {
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Buf::remaining);
                    *this.read = this.read.saturating_add(bytes.max(MIN_FRAME_BYTES));
                    if *this.read > MAX_BODY_BYTES {
                        break Answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large");
                    }
                }
                Some(Err(_)) => break Answer::refusal(StatusCode::BAD_REQUEST, "Bad Request"),
                None => break answer(this.state, this.method, this.uri),
            }
        };
        Poll::Ready(Ok(response(answer, *this.method == Method::HEAD)))
    }
}

/// As Envoy decides: an unknown path first, then a method that may not change state; any method may read.
fn answer(state: &AdminState, method: &Method, uri: &Uri) -> Answer {
    let Some(command) = commands::find(uri.path()) else {
        return Answer::refusal(StatusCode::NOT_FOUND, format!("invalid path. {}", commands::list()));
    };
    if command.mutates && method != Method::POST {
        tracing::warn!(path = uri.path(), %method, "admin: changing state takes POST");
        let text = format!("Method {method} not allowed, POST required.");
        return Answer::refusal(StatusCode::METHOD_NOT_ALLOWED, text);
    }
    (command.run)(state, Query::new(uri.query()))
}

fn response(answer: Answer, head_only: bool) -> Response<Body> {
    let content_type = if answer.json { "application/json" } else { "text/plain; charset=UTF-8" };
    let body = if head_only { Body::empty() } else { Body::from(answer.body) };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::SERVER, HeaderValue::from_static("envoy"));
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        // RFC 9110, 15.5.6 asks for it; Envoy leaves it out.
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full, StreamBody};
    use tower::ServiceExt;

    use super::{
        super::{ServerState, ServerStats, stack},
        *,
    };
    use crate::base::{Drain, DrainPhase, Stats};

    fn state() -> (AdminState, ServerState) {
        let (stats, server) = (Stats::new(), ServerState::new(Drain::new()));
        (AdminState::new(stats.clone(), ServerStats::new(&stats, server.clone(), 1)), server)
    }

    async fn ask(admin: &Admin, method: Method, uri: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
        let response = admin.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let status = response.status().as_u16();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    async fn get(admin: &Admin, uri: &str) -> (u16, String) {
        ask(admin, Method::GET, uri).await
    }

    #[tokio::test(start_paused = true)]
    async fn ready_follows_the_server() {
        let (state, server) = state();
        let admin = Admin::new(state);
        assert_eq!(get(&admin, "/ready").await, (503, "PRE_INITIALIZING\n".to_owned()));
        server.set_initializing();
        assert_eq!(get(&admin, "/ready").await, (503, "INITIALIZING\n".to_owned()));
        server.set_initialized();
        assert_eq!(get(&admin, "/ready?x=1").await, (200, "LIVE\n".to_owned()));
        assert_eq!(ask(&admin, Method::POST, "/healthcheck/fail").await, (200, "OK\n".to_owned()));
        assert!(server.drain().health_failing());
        assert_eq!(get(&admin, "/ready").await, (503, "DRAINING\n".to_owned()));
        let (_, stats) = get(&admin, "/stats?filter=server.(live|state)").await;
        assert_eq!(stats, "server.live: 0\nserver.state: 1\n");
        assert_eq!(ask(&admin, Method::POST, "/healthcheck/ok").await, (200, "OK\n".to_owned()));
        assert_eq!(get(&admin, "/ready").await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn only_post_changes_state() {
        let (state, server) = state();
        let quit = Arc::new(AtomicBool::new(false));
        let seen = quit.clone();
        let admin = Admin::new(state.with_quit(move || seen.store(true, Ordering::Relaxed)));
        for path in ["/healthcheck/fail", "/healthcheck/ok", "/quitquitquit"] {
            let expected = (405, "Method GET not allowed, POST required.".to_owned());
            assert_eq!(get(&admin, path).await, expected);
            assert_eq!(ask(&admin, Method::PUT, path).await.0, 405);
            assert_eq!(ask(&admin, Method::HEAD, path).await, (405, String::new()));
        }
        assert!(!quit.load(Ordering::Relaxed) && !server.drain().health_failing());
        assert_eq!(ask(&admin, Method::POST, "/quitquitquit").await, (200, "OK\n".to_owned()));
        assert!(quit.load(Ordering::Relaxed));
        assert_eq!(ask(&admin, Method::PUT, "/server_info").await.0, 200, "any method reads");
    }

    #[tokio::test(start_paused = true)]
    async fn quitting_stops_the_drain_unless_told_otherwise() {
        let (state, server) = state();
        assert_eq!(ask(&Admin::new(state), Method::POST, "/quitquitquit").await.0, 200);
        assert_eq!(server.drain().phase(), DrainPhase::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_paths_list_the_commands_and_repeat_nothing() {
        let admin = Admin::new(state().0);
        let (_, help) = get(&admin, "/help").await;
        assert!(help.starts_with("admin commands are:\n  /: Admin home page\n"), "{help}");
        assert!(help.contains("  /healthcheck/fail (POST): cause the server to fail health checks\n"), "{help}");
        assert_eq!(get(&admin, "/").await, (200, help.clone()));
        for path in ["/nope?script", "/ready/", "/Ready", "/healthcheck", "/stats/", "//ready"] {
            assert_eq!(get(&admin, path).await, (404, format!("invalid path. {help}")), "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stats_in_every_format() {
        let admin = Admin::new(state().0);
        assert_eq!(get(&admin, "/stats?filter=uptime").await, (200, "server.uptime: 0\n".to_owned()));
        let prometheus = (200, "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} 0\n".to_owned());
        assert_eq!(get(&admin, "/stats/prometheus?filter=uptime").await, prometheus);
        assert_eq!(get(&admin, "/stats?format=prometheus&filter=uptime").await, prometheus);
        let json = get(&admin, "/stats?format=json&filter=uptime").await;
        assert_eq!(json, (200, r#"{"stats":[{"name":"server.uptime","value":0}]}"#.to_owned()));
        assert_eq!(get(&admin, "/stats?filter=%5B").await.0, 400);
        assert_eq!(get(&admin, "/stats?format=html").await.0, 400);
        assert_eq!(get(&admin, "/clusters?filter=%5B").await.0, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn the_stack_bounds_bodies_in_size_and_time() {
        let stack = stack(state().0);
        let post = |body: Body| Request::post("/healthcheck/fail").body(body).unwrap();
        let large = Full::new(Bytes::from(vec![b'x'; MAX_BODY_BYTES + 1]));
        assert_eq!(stack.call(post(Body::new(large))).await.unwrap().status(), 413);
        let empty = || Ok::<_, Infallible>(http_body::Frame::data(Bytes::new()));
        let empty_for_ever = StreamBody::new(futures_util::stream::repeat_with(empty));
        assert_eq!(stack.call(post(Body::new(empty_for_ever))).await.unwrap().status(), 413);
        let endless = StreamBody::new(futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>());
        let begin = tokio::time::Instant::now();
        assert_eq!(stack.call(post(Body::new(endless))).await.unwrap().status(), 408);
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
        assert_eq!(stack.call(post(Body::from("ignored"))).await.unwrap().status(), 200);
    }
}
