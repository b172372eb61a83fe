//! Header names that a proxy sets or reads, and the headers that end at each hop.
//!
//! ```
//! use http::HeaderMap;
//! use meshlib::http::headers::strip_hop_by_hop;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("connection", "close, x-once".parse().unwrap());
//! headers.insert("x-once", "1".parse().unwrap());
//! headers.insert("te", "gzip, trailers".parse().unwrap());
//! strip_hop_by_hop(&mut headers);
//! assert_eq!(headers.len(), 1);
//! assert_eq!(headers["te"], "trailers");
//! ```

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, TE, TRANSFER_ENCODING, UPGRADE},
};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: HeaderName = HeaderName::from_static($text);)*
    };
}

names! {
    /// The id that follows a request through every hop.
    X_REQUEST_ID = "x-request-id";
    /// The addresses a request came through, the client's first.
    X_FORWARDED_FOR = "x-forwarded-for";
    /// The scheme the client used.
    X_FORWARDED_PROTO = "x-forwarded-proto";
    /// The host the client asked for.
    X_FORWARDED_HOST = "x-forwarded-host";
    /// Whether the request came from inside.
    X_ENVOY_INTERNAL = "x-envoy-internal";
    /// The trusted address of an outside client.
    X_ENVOY_EXTERNAL_ADDRESS = "x-envoy-external-address";
    /// The route's timeout, in milliseconds, told to the upstream.
    X_ENVOY_EXPECTED_RQ_TIMEOUT_MS = "x-envoy-expected-rq-timeout-ms";
    /// Milliseconds until the upstream's response headers.
    X_ENVOY_UPSTREAM_SERVICE_TIME = "x-envoy-upstream-service-time";
    /// Which node answered a health check.
    X_ENVOY_UPSTREAM_HEALTHCHECKED_CLUSTER = "x-envoy-upstream-healthchecked-cluster";
    /// Tells the caller to take this host out of rotation at once.
    X_ENVOY_IMMEDIATE_HEALTH_CHECK_FAIL = "x-envoy-immediate-health-check-fail";
    /// A limit refused the request: do not retry at once.
    X_ENVOY_OVERLOADED = "x-envoy-overloaded";
    /// The path before a rewrite.
    X_ENVOY_ORIGINAL_PATH = "x-envoy-original-path";
    /// How many tries this is.
    X_ENVOY_ATTEMPT_COUNT = "x-envoy-attempt-count";
    /// HTTP/1.0's keep-alive parameters.
    KEEP_ALIVE = "keep-alive";
    /// An old client's `connection` towards a proxy.
    PROXY_CONNECTION = "proxy-connection";
    /// A gRPC call's status.
    GRPC_STATUS = "grpc-status";
    /// A gRPC call's status in words, percent-encoded.
    GRPC_MESSAGE = "grpc-message";
    /// A gRPC call's deadline.
    GRPC_TIMEOUT = "grpc-timeout";
}

/// Takes `expect: 100-continue` away: whether it was there. Our own codecs answer it when the request's body is first
/// asked for; an upstream that answered too would be a second voice.
#[cfg(feature = "proxy")]
pub(crate) fn take_expectation(headers: &mut HeaderMap) -> bool {
    use http::header::EXPECT;

    let expects = headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expects {
        headers.remove(EXPECT);
    }
    expects
}

/// Removes the headers that belong to one connection: `connection` and what it names, `keep-alive`,
/// `proxy-connection`, `transfer-encoding`, `upgrade`, and `te` but for `trailers`.
///
/// For requests and responses both. `connection` cannot take away what a proxy or the framing rests on (`host`,
/// `content-length`, `forwarded`, `x-forwarded-*`, `x-envoy-*`, `x-request-id`): a client could otherwise hide who it
/// is. Costs one walk over the names when nothing is to be removed, and allocates only for a `connection` header.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Every gRPC request has this one, as it may stay.
    let stays = |name: &HeaderName, value: &HeaderValue| *name == TE && value == "trailers";
    if !headers.iter().any(|(name, value)| is_hop_by_hop(name) && !stays(name, value)) {
        return;
    }
    let nominated: Vec<HeaderValue> = headers.get_all(CONNECTION).iter().cloned().collect();
    for name in nominated.iter().flat_map(tokens) {
        if let Ok(name) = HeaderName::from_bytes(name)
            && !is_protected(&name)
        {
            headers.remove(name);
        }
    }
    keep_te_trailers(headers);
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// The size of these fields as limits count it: names, values, and 32 bytes each (RFC 9113, section 6.5.2).
pub fn list_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    let names = ["connection", "te", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
    names.contains(&name.as_str())
}

fn is_protected(name: &HeaderName) -> bool {
    [HOST, CONTENT_LENGTH, TE, FORWARDED, X_REQUEST_ID].contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str().starts_with("x-envoy-")
}

fn keep_te_trailers(headers: &mut HeaderMap) {
    let mut trailers = false;
    for value in headers.get_all(TE) {
        trailers |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"trailers"));
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

/// The number in a `content-length`: digits and nothing else (RFC 9110, section 8.6).
#[cfg(feature = "proxy")]
pub(crate) fn content_length(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// A target in origin form, in two parts: it begins with a slash, which a URI with a query and no path has not.
#[cfg(feature = "proxy")]
pub(crate) fn origin_form(target: &http::Uri) -> [&str; 2] {
    let text = target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    [if text.starts_with(['/', '*']) { "" } else { "/" }, text]
}

/// The members of a comma-separated list, trimmed, the empty ones left out.
pub(crate) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn every_hop_by_hop_header_goes_and_the_rest_stays() {
        let mut headers = map(&[
            ("connection", "keep-alive , X-One,,"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("x-three", "3"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("x-three", "3")]));
    }

    #[test]
    fn what_a_proxy_rests_on_cannot_be_nominated() {
        let kept =
            [("host", "a"), ("content-length", "1"), ("x-forwarded-for", "1.2.3.4"), ("x-envoy-internal", "true")];
        let mut headers = map(&kept);
        headers.insert(CONNECTION, "host, content-length, X-Forwarded-For, x-envoy-internal, te".parse().unwrap());
        headers.insert(TE, "trailers;q=0.5, Trailers".parse().unwrap());
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.remove(TE).unwrap(), "trailers");
        assert_eq!(headers, map(&kept));
    }
}
