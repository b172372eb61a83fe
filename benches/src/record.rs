//! A closed request, as an access log sees it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{Request, StatusCode};
use meshlib::{
    base::{
        ConnectionInfo, FinishObserver, RequestInfo, Stats,
        info::{Attempt, FinishObservers},
    },
    layer::access_log::{AccessLog, Format},
};
use tokio::time::Instant;

use crate::sink::Discard;

/// An access log in the default format, into nothing.
pub fn log() -> Arc<AccessLog> {
    Arc::new(AccessLog::new(Format::default(), Arc::new(Discard), &Stats::new()))
}

/// The record of one gRPC call, of which `log` has captured what its format names.
pub fn closed(log: &Arc<AccessLog>) -> RequestInfo {
    let peer = "192.0.2.9:40123".parse().ok();
    let connection = Arc::new(ConnectionInfo::new(peer, "10.0.0.1:443".parse().ok()));
    let observers = FinishObservers::new([log.clone() as Arc<dyn FinishObserver>]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_358_970_448);
    let info = RequestInfo::new(Some(connection), Instant::now(), time, observers);
    let request = Request::post("https://echo.example/api.Echo/Echo")
        .header("user-agent", "grpc-go/1.60.0")
        .header("x-forwarded-for", "192.0.2.9")
        .header("x-request-id", "01234567-89ab-4def-8123-456789abcdef")
        .body(());
    info.capture_request(&request.expect("a request"));
    let mut response = http::HeaderMap::new();
    response.insert("x-envoy-upstream-service-time", "3".parse().expect("a value"));
    info.capture_response(StatusCode::OK, &response);
    let host = "10.0.0.7:8786".parse().expect("an address");
    info.update(|record| record.attempts.push(Attempt::new(host, Instant::now())));
    info.add_bytes_received(11);
    info.add_bytes_sent(11);
    info
}
