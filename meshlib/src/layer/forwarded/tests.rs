use super::*;
use crate::base::info::TlsInfo;

fn apply(layer: ForwardedLayer, tls: bool, headers: &[(&'static str, &str)]) -> (HeaderMap, Option<IpAddr>) {
    let connection = ConnectionInfo::new(Some("192.0.2.2:9".parse().unwrap()), None);
    let connection = if tls { connection.with_tls(TlsInfo::default()) } else { connection };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    let trusted = layer.apply(&mut map, Some(&connection));
    (map, trusted)
}

fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// What Envoy 1.40 was seen to be sent, and to send on, with these settings.
#[test]
fn agrees_with_envoy() {
    let sent = [
        ("x-forwarded-for", "8.8.8.8, 10.1.1.1"),
        ("x-request-id", "mine"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "h"),
        ("x-envoy-expected-rq-timeout-ms", "5"),
        ("x-envoy-retry-on", "5xx"),
        ("x-envoy-ip-tags", "a"),
        ("x-envoy-force-trace", "1"),
        ("x-envoy-internal", "true"),
        ("x-envoy-original-path", "/z"),
        ("x-envoy-external-address", "1.1.1.1"),
        ("x-envoy-attempt-count", "3"),
        ("x-envoy-decorator-operation", "a"),
        ("x-envoy-downstream-service-cluster", "c"),
    ];
    let inside = map(&[
        ("x-forwarded-for", "8.8.8.8, 10.1.1.1"),
        ("x-request-id", "mine"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "h"),
        ("x-envoy-original-path", "/z"),
        ("x-envoy-external-address", "1.1.1.1"),
        ("x-envoy-attempt-count", "3"),
        ("x-envoy-decorator-operation", "a"),
        ("x-envoy-downstream-service-cluster", "c"),
    ]);
    let edge = |proto, client| {
        map(&[
            ("x-forwarded-for", "8.8.8.8, 10.1.1.1,192.0.2.2"),
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", "h"),
            ("x-envoy-external-address", client),
            ("x-envoy-attempt-count", "3"),
        ])
    };
    let layer = ForwardedLayer::new();
    let some = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    assert_eq!(apply(layer, false, &sent), (inside.clone(), some("10.1.1.1")));
    assert_eq!(apply(layer.trusted_hops(1), false, &sent), (inside, some("8.8.8.8")));
    let layer = layer.use_remote_address(true);
    assert_eq!(apply(layer, false, &sent), (edge("http", "192.0.2.2"), None));
    assert_eq!(apply(layer, true, &sent), (edge("https", "192.0.2.2"), None));
    assert_eq!(apply(layer.trusted_hops(1), false, &sent), (edge("https", "10.1.1.1"), some("10.1.1.1")));
}

#[test]
fn without_x_forwarded_for() {
    let proto = ("x-forwarded-proto", "http");
    assert_eq!(apply(ForwardedLayer::new(), false, &[]), (map(&[proto]), None));
    let edge = ForwardedLayer::new().use_remote_address(true);
    let expected = [("x-forwarded-for", "192.0.2.2"), proto, ("x-envoy-external-address", "192.0.2.2")];
    assert_eq!(apply(edge, false, &[]), (map(&expected), None));
    assert_eq!(apply(edge.trusted_hops(2), false, &[]).0, map(&expected));
}

#[test]
fn several_lines_are_one_list_and_nonsense_is_nobody() {
    let lines = [("x-forwarded-for", "1.1.1.1,2.2.2.2"), ("x-forwarded-for", "::1")];
    let edge = ForwardedLayer::new().use_remote_address(true);
    assert_eq!(apply(edge, false, &lines).0["x-forwarded-for"], "1.1.1.1,2.2.2.2,::1,192.0.2.2");
    for (hops, expected) in [(0, Some("::1")), (1, Some("2.2.2.2")), (2, Some("1.1.1.1")), (3, None)] {
        let trusted = apply(ForwardedLayer::new().trusted_hops(hops), false, &lines).1;
        assert_eq!(trusted.map(|address| address.to_string()).as_deref(), expected);
    }
    assert_eq!(apply(ForwardedLayer::new(), false, &[("x-forwarded-for", "unknown")]).1, None);
}

#[test]
fn a_request_id_from_outside_is_kept_when_told_to() {
    let edge = ForwardedLayer::new().use_remote_address(true);
    let sent = [("x-request-id", "mine")];
    assert!(!apply(edge, false, &sent).0.contains_key("x-request-id"));
    assert!(apply(edge.preserve_external_request_id(true), false, &sent).0.contains_key("x-request-id"));
}
