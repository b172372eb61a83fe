//! Header fields that HPACK should not remember.
//!
//! `h2` keeps the values of one name in a chain of its table and walks it for each field of that name it sends. A
//! header that never has the same value twice fills the table with 60 or more of them, walks through all of them each
//! time, and drives out the fields that do come again. A field marked as sensitive is neither kept nor looked for
//! among others.

use http::HeaderMap;

/// What is different in each message, or from one second to the next.
const UNIQUE: [&str; 9] = [
    "date",
    "grpc-timeout",
    "traceparent",
    "tracestate",
    "x-b3-parentspanid",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

/// Marks the headers of a message that is about to be sent.
pub(super) fn mark_unique(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        // A single digit of milliseconds does come again.
        if UNIQUE.contains(&name.as_str()) && value.len() > 1 {
            value.set_sensitive(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::http::headers::X_ENVOY_UPSTREAM_SERVICE_TIME;

    #[test]
    fn every_one_is_marked_and_no_other() {
        let names = UNIQUE.into_iter().chain(["grpc-status", "content-type", "x-forwarded-for"]);
        let header = |name| (HeaderName::from_static(name), HeaderValue::from_static("12"));
        let mut headers: HeaderMap = names.map(header).collect();
        mark_unique(&mut headers);
        let marked = headers.iter().filter(|(_, value)| value.is_sensitive());
        assert!(marked.map(|(name, _)| name.as_str()).eq(UNIQUE));
        let mut fast = HeaderMap::from_iter([(X_ENVOY_UPSTREAM_SERVICE_TIME, HeaderValue::from_static("1"))]);
        mark_unique(&mut fast);
        assert!(fast.values().all(|value| !value.is_sensitive()));
    }
}
