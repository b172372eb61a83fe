use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, Request, StatusCode};
use tokio::time::Instant;

use super::*;
use crate::base::{
    Attempt, ConnectionInfo, FinishObserver, ResponseFlags,
    info::{FinishObservers, TlsInfo},
};

/// Makes the record keep the headers that a format names.
struct Wants(Format);

impl FinishObserver for Wants {
    fn on_finish(&self, _: &RequestInfo, _: &Record) {}

    fn request_headers(&self) -> &[HeaderName] {
        &self.0.request_headers
    }

    fn response_headers(&self) -> &[HeaderName] {
        &self.0.response_headers
    }
}

fn info(format: &Format) -> RequestInfo {
    let peer = "127.0.0.1:42620".parse().ok();
    let tls = TlsInfo::new(Some("a\u{7}b".into()), None, Some("TLSv1.3"));
    let connection = ConnectionInfo::new(peer, "[::ffff:10.0.0.1]:443".parse().ok()).with_tls(tls);
    let observers = FinishObservers::new([Arc::new(Wants(format.clone())) as Arc<dyn FinishObserver>]);
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_351_021_614);
    RequestInfo::new(Some(Arc::new(connection)), Instant::now(), start, observers)
}

fn render(format: &Format, info: &RequestInfo) -> String {
    let mut line = BytesMut::new();
    info.read(|record| format.push(&mut line, info, record));
    String::from_utf8(line.to_vec()).unwrap()
}

fn echo() -> Request<()> {
    Request::post("https://127.0.0.1:10443/api.Echo/Echo")
        .version(Version::HTTP_2)
        .header("user-agent", "grpcurl/v1.8.6 grpc-go/1.44.1-dev")
        .header("x-request-id", "e57dfd7c-0000-4000-8000-000000000000")
        .body(())
        .unwrap()
}

fn attempt(info: &RequestInfo, host: &str) {
    info.update(|record| record.attempts.push(Attempt::new(host.parse().unwrap(), Instant::now())));
}

/// The lines of Envoy 1.40, for the same requests.
#[tokio::test(start_paused = true)]
async fn golden_line_of_a_call() {
    let format = Format::default();
    let info = info(&format);
    info.capture_request(&echo());
    info.add_bytes_received(11);
    info.add_bytes_sent(11);
    attempt(&info, "127.0.0.11:18786");
    let headers = HeaderMap::from_iter([("x-envoy-upstream-service-time".parse().unwrap(), HeaderValue::from(9))]);
    info.capture_response(StatusCode::OK, &headers);
    tokio::time::advance(Duration::from_millis(4)).await;
    info.note_request_end();
    assert_eq!(render(&Format::parse("%REQUEST_DURATION%").unwrap(), &info), "4");
    tokio::time::advance(Duration::from_millis(6)).await;
    let expected = concat!(
        "[2026-11-22T12:37:01.614Z] \"POST /api.Echo/Echo HTTP/2\" 200 - 11 11 10 9 \"-\" ",
        "\"grpcurl/v1.8.6 grpc-go/1.44.1-dev\" \"e57dfd7c-0000-4000-8000-000000000000\" \"127.0.0.1:10443\" ",
        "\"127.0.0.11:18786\"\n"
    );
    assert_eq!(render(&format, &info), expected);
}

/// Method, path, protocol, then status, flags and bytes, as Envoy's lines have them.
#[tokio::test(start_paused = true)]
async fn golden_lines_of_failures() {
    use ResponseFlags as F;
    let get = |path: &str| Request::get(path).header("host", "a").body(()).unwrap();
    for (request, status, flags, sent, host, expected) in [
        (get("/healthz"), 200, F::empty(), 0, None, r#""GET /healthz HTTP/1.1" 200 - 0 0 0 -"#),
        (get("/foo"), 404, F::NO_ROUTE_FOUND, 0, None, r#""GET /foo HTTP/1.1" 404 NR 0 0 0 -"#),
        (echo(), 200, F::NO_ROUTE_FOUND, 0, None, r#""POST /api.Echo/Echo HTTP/2" 200 NR 0 0 0 -"#),
        (get("/healthz"), 503, F::FAILED_LOCAL_HEALTH_CHECK, 0, None, r#""GET /healthz HTTP/1.1" 503 LH 0 0 0 -"#),
        (get("/x"), 0, F::DOWNSTREAM_CONNECTION_TERMINATION, 0, None, r#""GET /x HTTP/1.1" 0 DC 0 0 0 -"#),
        (get("/x"), 503, F::UPSTREAM_CONNECTION_FAILURE, 98, Some("1.2.3.4:5"), r#""GET /x HTTP/1.1" 503 UF 0 98 0 -"#),
        (get("/x"), 503, F::NO_HEALTHY_UPSTREAM, 19, None, r#""GET /x HTTP/1.1" 503 UH 0 19 0 -"#),
        (
            echo(),
            200,
            F::UPSTREAM_REQUEST_TIMEOUT,
            0,
            Some("1.2.3.4:5"),
            r#""POST /api.Echo/Echo HTTP/2" 200 UT 0 0 0 -"#,
        ),
    ] {
        let format = Format::default();
        let info = info(&format);
        info.capture_request(&request);
        info.update(|record| record.flags |= flags);
        info.add_bytes_sent(sent);
        if let Ok(status) = StatusCode::from_u16(status) {
            info.capture_response(status, &HeaderMap::new());
        }
        host.inspect(|host| attempt(&info, host));
        let line = render(&format, &info);
        assert!(line.starts_with(&format!("[2026-11-22T12:37:01.614Z] {expected} \"-\" ")), "{line}");
        assert!(line.ends_with(&format!("\"{}\"\n", host.unwrap_or("-"))), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_head_has_no_method_and_path() {
    let format = Format::default();
    let line = render(&format, &info(&format));
    assert_eq!(line, "[2026-11-22T12:37:01.614Z] \"- - HTTP/1.1\" 0 - 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\"\n");
}

#[tokio::test(start_paused = true)]
async fn every_other_operator() {
    for (text, expected) in [
        ("%REQ(USER-AGENT):4%", "grpc"),
        ("%REQ(X-NONE?USER-AGENT):7%", "grpcurl"),
        ("%REQ(X-NONE?X-NOR-THIS)%", "-"),
        ("%REQ(:SCHEME)% %REQ(:authority)% %REQ(Host)%", "https 127.0.0.1:10443 127.0.0.1:10443"),
        ("%REQ(:PATH)% %REQ_WITHOUT_QUERY(:PATH)%", "/a?b=c /a"),
        ("%RESP(:STATUS)% %RESP(X-A)% %RESP(X-B?X-A)% %RESP(X-B)%", "200 b\\tb b\\tb -"),
        ("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)%", "NotFound NOT_FOUND 5"),
        ("%GRPC_STATUS_NUMBER%", "5"),
        ("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.1.1.1:0 10.1.1.1"),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "127.0.0.1:42620"),
        ("%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%", "10.0.0.1:443 443"),
        ("%UPSTREAM_CLUSTER% %ROUTE_NAME% %VIRTUAL_HOST_NAME%", "c r v"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_HOST%", "2 [::1]:2"),
        ("%REQUESTED_SERVER_NAME% %DOWNSTREAM_TLS_VERSION%", "a\\u{7}b TLSv1.3"),
        ("%DURATION% %REQUEST_DURATION%", "0 -"),
        ("100%% %START_TIME(%s)%", "100% 1795351021"),
    ] {
        let format = Format::parse(text).unwrap();
        let info = info(&format);
        let mut request = echo();
        *request.uri_mut() = "https://127.0.0.1:10443/a?b=c".parse().unwrap();
        info.capture_request(&request);
        let headers = HeaderMap::from_iter([("x-a".parse().unwrap(), HeaderValue::from_static("b\tb"))]);
        info.capture_response(StatusCode::OK, &headers);
        attempt(&info, "127.0.0.1:1");
        attempt(&info, "[::1]:2");
        info.update(|record| {
            record.grpc_status = Some(5);
            record.trusted_client = Some("10.1.1.1".parse().unwrap());
            (record.cluster, record.route) = (Some("c".into()), Some("r".into()));
            record.virtual_host = Some("v".into());
        });
        assert_eq!(render(&format, &info), expected, "{text}");
    }
}
