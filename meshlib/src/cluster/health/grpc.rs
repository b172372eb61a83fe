//! `grpc.health.v1.Health/Check`: the request that Envoy sends, and which responses are a pass.

use std::{pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri};
use http_body_util::BodyExt;

use super::{
    result::{FailureKind, ProbeFailure, ProbeResult},
    wire,
};
use crate::{
    base::{Error, ErrorKind},
    http::{Body, headers::X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL},
};

const PATH: &str = "/grpc.health.v1.Health/Check";
/// The largest response body that is read. The message of a healthy server is two bytes long.
const MAX_BODY: usize = 64 << 10;

/// A prepared question; asking clones reference counts and a few header values.
#[derive(Clone, Debug)]
pub(super) struct GrpcCheck {
    uri: Uri,
    timeout: HeaderValue,
    frame: Bytes,
}

impl GrpcCheck {
    /// Asks for `service`, or for the whole server if it is empty.
    pub(super) fn new(service: &str, authority: &str, timeout: Duration) -> Result<Self, Error> {
        let wrong = |what: &str| {
            let detail = format!("{what} of the health check cannot be sent");
            move |error: http::Error| Error::new(ErrorKind::Configuration).with_detail(detail).with_source(error)
        };
        let uri = uri::Builder::new().scheme("http").authority(authority).path_and_query(PATH).build();
        Ok(Self {
            uri: uri.map_err(wrong(&format!(
                "the authority {authority:?} (another can be set as grpc_health_check.authority)"
            )))?,
            timeout: HeaderValue::try_from(grpc_timeout(timeout))
                .map_err(|error| wrong("the timeout")(error.into()))?,
            frame: wire::request(service),
        })
    }

    pub(super) fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.frame.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = http::Version::HTTP_2;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert("grpc-timeout", self.timeout.clone());
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Envoy/HC"));
        request
    }
}

/// At most eight digits and a unit, in milliseconds where they suffice.
fn grpc_timeout(timeout: Duration) -> String {
    const MOST: u128 = 99_999_999;
    let millis = timeout.as_millis().max(1);
    [(1, 'm'), (1_000, 'S'), (60_000, 'M'), (3_600_000, 'H')]
        .into_iter()
        .map(|(unit, letter)| (millis / unit, letter))
        .find(|(amount, _)| *amount <= MOST)
        .map_or_else(|| format!("{MOST}H"), |(amount, letter)| format!("{amount}{letter}"))
}

/// Passes on HTTP 200, `grpc-status: 0` at the end and exactly one message that says SERVING, from a host that does not
/// ask to be left at the same time.
pub(super) async fn judge(response: Response<Body>) -> ProbeResult {
    let (head, body) = response.into_parts();
    if head.headers.contains_key(X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL) {
        return Err(ProbeFailure::protocol("the host asks to be left (x-envoy-immediate-health-check-fail)"));
    }
    if head.status != StatusCode::OK {
        let grpc = grpc_status(&head.headers).map_or_else(String::new, |status| format!(", gRPC status {status}"));
        return Err(ProbeFailure::protocol(format!("HTTP status {}{grpc}", head.status)));
    }
    let (message, trailers) = read(body).await?;
    // A response of headers alone carries its status there; one with a message must have trailers.
    let status = match &trailers {
        Some(trailers) => grpc_status(trailers),
        None if message.is_empty() => grpc_status(&head.headers),
        None => None,
    };
    match status {
        None => return Err(ProbeFailure::protocol("the response ends without gRPC status")),
        Some("0") => {}
        Some(other) => return Err(ProbeFailure::protocol(format!("gRPC status {other}"))),
    }
    if !message.is_empty() && !is_grpc(&head.headers) {
        return Err(ProbeFailure::protocol("the response is not gRPC"));
    }
    match wire::is_serving(&message) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ProbeFailure::protocol("not serving")),
        Err(reason) => Err(ProbeFailure::protocol(reason)),
    }
}

async fn read(body: Body) -> Result<(BytesMut, Option<HeaderMap>), ProbeFailure> {
    let mut body = pin!(body);
    let mut message = BytesMut::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| network(&error))?;
        match frame.into_data() {
            Ok(data) if message.len() + data.len() > MAX_BODY => {
                return Err(ProbeFailure::protocol("the response is larger than 64 KiB"));
            }
            Ok(data) => message.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
        }
    }
    Ok((message, trailers))
}

/// No whole answer came.
pub(super) fn network(error: &Error) -> ProbeFailure {
    ProbeFailure::new(FailureKind::Network, error.to_string())
}

fn grpc_status(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-status").and_then(|status| status.to_str().ok())
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    content_type.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_fit_eight_digits() {
        for (timeout, expected) in [
            (Duration::from_secs(1), "1000m"),
            (Duration::from_micros(10), "1m"),
            (Duration::from_millis(99_999_999), "99999999m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666666M"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(grpc_timeout(timeout), expected);
        }
    }

    #[test]
    fn an_authority_that_cannot_be_sent_is_an_error() {
        let error = GrpcCheck::new("", "no such\nname", Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("no such"), "{error}");
        for name in ["echo-grpc", "echo_grpc.v1", "127.0.0.1:80"] {
            assert!(GrpcCheck::new("", name, Duration::from_secs(1)).is_ok(), "{name}");
        }
    }
}
