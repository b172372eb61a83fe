//! Single fields: what they configure.

use std::time::Duration;

use super::*;
use crate::{
    cluster::config::*,
    http::{header_match::*, options::*},
    proxy::config::*,
};

fn one_cluster(lines: &str) -> ClusterConfig {
    loaded(&cluster(lines)).config.clusters.remove(0)
}

fn http(lines: &str) -> HttpConnectionManagerConfig {
    let text = with(&manager(lines), "codec_type: AUTO", "codec_type: http2");
    loaded(&text).config.listeners.remove(0).filter_chains.remove(0).http
}

#[test]
fn a_silent_cluster_has_envoys_defaults() {
    let config = ClusterConfig::new("c", DiscoveryConfig::Static(Vec::new()));
    assert_eq!(one_cluster(""), config.connect_failover(false));
}

#[test]
fn clusters() {
    let cluster = one_cluster(
        "    connect_timeout: 2s
    common_lb_config: {healthy_panic_threshold: {value: 0}}
    circuit_breakers:
      thresholds:
      - {priority: HIGH, max_requests: 1}
      - {max_connections: 1, max_pending_requests: 2, max_requests: 3, max_retries: \"4\"}
    ignore_health_on_host_removal: true
    common_http_protocol_options: {idle_timeout: 60s}
    http2_protocol_options: {max_concurrent_streams: 7, initial_stream_window_size: 65536}
    health_checks:
    - name: one
      timeout: 1s
      interval: 2s
      no_traffic_interval: 3s
      unhealthy_threshold: 4
      healthy_threshold: 5
      reuse_connection: false
      grpc_health_check: {service_name: echo, authority: host}
",
    );
    assert_eq!(cluster.connect_timeout, Duration::from_secs(2));
    assert_eq!(cluster.panic_threshold, 0.0);
    assert_eq!(
        cluster.circuit_breakers,
        CircuitBreakersConfig { max_connections: 1, max_pending_requests: 2, max_requests: 3, max_retries: 4 }
    );
    assert!(cluster.ignore_health_on_host_removal);
    assert_eq!(cluster.idle_timeout, Duration::from_secs(60));
    let mut http2 = Http2Options::upstream();
    http2.max_concurrent_streams = 7;
    http2.initial_stream_window_size = 65536;
    assert_eq!(cluster.protocol, UpstreamProtocol::Http2(http2));
    let mut check = HealthCheckConfig::grpc(Duration::from_secs(1), Duration::from_secs(2), 4, 5);
    check.no_traffic_interval = Duration::from_secs(3);
    check.reuse_connection = false;
    check.check = HealthCheckKind::Grpc { service_name: "echo".to_owned(), authority: Some("host".to_owned()) };
    assert_eq!(cluster.health_checks, [check]);
}

#[test]
fn both_ways_to_say_what_is_spoken() {
    let old = one_cluster(
        "    http2_protocol_options: {max_concurrent_streams: 5}\n    common_http_protocol_options: {idle_timeout: 5s}\n",
    );
    let new = one_cluster(
        "    typedExtensionProtocolOptions:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        commonHttpProtocolOptions: {idle_timeout: 5s}
        explicitHttpConfig: {http2ProtocolOptions: {maxConcurrentStreams: 5}}
",
    );
    assert_eq!(old, new);
    assert_eq!(one_cluster("    http2_protocol_options: null\n").protocol, UpstreamProtocol::Http1);
}

#[test]
fn every_way_to_be_a_dns_cluster() {
    let old = one_cluster(
        "    type: strict_dns
    dns_lookup_family: V4_ONLY
    dns_refresh_rate: 2s
    respect_dns_ttl: true
    dns_failure_refresh_rate: {base_interval: 1s}
    hosts: [{socket_address: {address: a.test, port_value: 80}}]
",
    );
    let new = one_cluster(
        "    cluster_type:
      name: envoy.cluster.dns
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
        dns_lookup_family: V4_ONLY
        dns_refresh_rate: 2s
        respect_dns_ttl: true
        dns_failure_refresh_rate: {base_interval: 1s, max_interval: 10s}
    load_assignment:
      cluster_name: c
      endpoints: {lb_endpoints: {endpoint: {address: {socket_address: {address: a.test, port_value: 80}}}}}
",
    );
    assert_eq!(old, new);
    let mut dns = StrictDnsConfig::new(vec![DnsEndpoint { host: "a.test".into(), port: 80, weight: 1 }]);
    dns.refresh_rate = Duration::from_secs(2);
    dns.respect_ttl = true;
    dns.failure_refresh = Some((Duration::from_secs(1), Duration::from_secs(10)));
    dns.lookup_family = DnsLookupFamily::V4Only;
    assert_eq!(new.discovery, DiscoveryConfig::StrictDns(dns));
}

#[test]
fn weights_and_families_of_addresses() {
    let cluster = one_cluster(
        "    load_assignment:
      cluster_name: c
      endpoints:
      - lb_endpoints:
        - {endpoint: {address: {socket_address: {address: \"::1\", port_value: 80}}}, load_balancing_weight: 3}
      - lb_endpoints:
        - {endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}}
",
    );
    let endpoint = |address: &str, weight| StaticEndpoint { address: address.parse().unwrap(), weight };
    let expected = vec![endpoint("[::1]:80", 3), endpoint("10.0.0.1:80", 1)];
    assert_eq!(cluster.discovery, DiscoveryConfig::Static(expected));
}

#[test]
fn connection_managers() {
    let http = http(
        "          server_name: mesh
          use_remote_address: true
          xff_num_trusted_hops: 2
          generate_request_id: \"false\"
          stream_idle_timeout: 0s
          request_headers_timeout: 3s
          max_request_headers_kb: 96
          drain_timeout: 2s
          common_http_protocol_options:
            idle_timeout: 4s
            max_headers_count: 50
            max_connection_duration: 600s
            max_connection_duration_jitter: {value: 15}
          http2_protocol_options: {initial_connection_window_size: 1048576}
",
    );
    assert_eq!((http.server_name.as_str(), http.use_remote_address), ("mesh", true));
    assert_eq!((http.xff_num_trusted_hops, http.generate_request_id), (2, false));
    let mut http2 = Http2Options::downstream();
    http2.initial_connection_window_size = 1 << 20;
    let server = ServerOptions {
        http2,
        codec: CodecType::Http2,
        stream_idle_timeout: Duration::ZERO,
        request_headers_timeout: Duration::from_secs(3),
        max_request_headers_bytes: 96 << 10,
        idle_timeout: Duration::from_secs(4),
        max_request_headers_count: 50,
        max_connection_duration: Duration::from_secs(600),
        max_connection_duration_jitter: 15.0,
        drain_timeout: Duration::from_secs(2),
        ..ServerOptions::default()
    };
    assert_eq!(http.server, server);
}

#[test]
fn header_matchers_in_every_spelling() {
    let spellings = [
        ("exact_match: a", "string_match: {exact: a}", HeaderMatchValue::Exact("a".to_owned())),
        ("prefix_match: a", "string_match: {prefix: a}", HeaderMatchValue::Prefix("a".to_owned())),
        ("suffix_match: a", "string_match: {suffix: a}", HeaderMatchValue::Suffix("a".to_owned())),
        ("contains_match: a", "string_match: {contains: a}", HeaderMatchValue::Contains("a".to_owned())),
        ("regex_match: a+", "string_match: {safe_regex: {regex: a+}}", HeaderMatchValue::Regex("a+".to_owned())),
        (
            "safe_regex_match: {google_re2: {}, regex: a+}",
            "safe_regex_match: {regex: a+}",
            HeaderMatchValue::Regex("a+".to_owned()),
        ),
        ("present_match: true", "invert_match: false", HeaderMatchValue::Present),
    ];
    for (old, new, value) in spellings {
        for spelling in [old, new] {
            let text = with(
                SIDECAR_V3,
                "prefix: \"/api.Echo/\"",
                &format!("prefix: /\n                  headers: {{name: x-a, {spelling}}}"),
            );
            let config = loaded(&text).config;
            let route = &config.listeners[0].filter_chains[0].http.routes.virtual_hosts[0].routes[0];
            assert_eq!(route.matches.headers.len(), 1);
            assert_eq!(route.matches.headers[0].value, value, "{spelling}");
            assert!(!route.matches.headers[0].invert);
        }
    }
    let absent = with(
        SIDECAR_V3,
        "prefix: \"/api.Echo/\"",
        "path: /\n                  headers: {name: x-a, present_match: false}",
    );
    let config = loaded(&absent).config;
    let route = &config.listeners[0].filter_chains[0].http.routes.virtual_hosts[0].routes[0];
    assert!(route.matches.headers[0].invert);
    assert_eq!(route.matches.path, crate::route::config::PathMatch::Exact("/".to_owned()));
}

#[test]
fn routes_without_timeout_and_with_names() {
    let text = with(
        SIDECAR_V3,
        "                  cluster: echo-grpc",
        "                  cluster: echo-grpc\n                  timeout: 0s\n                name: r",
    );
    let config = loaded(&text).config;
    let route = &config.listeners[0].filter_chains[0].http.routes.virtual_hosts[0].routes[0];
    assert_eq!((route.action.timeout, route.name.as_deref()), (None, Some("r")));
}

#[test]
fn access_logs() {
    let old = with(SIDECAR_2019, "path: \"/dev/stdout\"", "path: /a\n              format: \"%PROTOCOL%\"");
    let new = with(
        SIDECAR_V3,
        "path: \"/dev/stdout\"",
        "path: /a\n              log_format: {text_format_source: {inline_string: \"%PROTOCOL%\"}}",
    );
    let expected = loaded(&old).config.listeners[0].filter_chains[0].http.access_logs.clone();
    assert_eq!(expected, [AccessLogConfig::file("/a").format("%PROTOCOL%").into()]);
    assert_eq!(loaded(&new).config.listeners[0].filter_chains[0].http.access_logs, expected);
    let stdout = SIDECAR_V3
        .replace("envoy.access_loggers.file\n", "envoy.access_loggers.stdout\n")
        .replace("access_loggers.file.v3.FileAccessLog", "access_loggers.stream.v3.StdoutAccessLog")
        .replace("              path: \"/dev/stdout\"\n", "")
        .replace("      path: \"/dev/stdout\"\n", "");
    assert_eq!(loaded(&stdout).config, loaded(SIDECAR_V3).config);
}

#[test]
fn tls() {
    let text = with(
        EDGE_2019,
        "          tls_certificates:",
        "          alpn_protocols: \"h2,http/1.1\"\n          tls_params: {tls_minimum_protocol_version: TLSv1_2}\n          tls_certificates:",
    );
    let text = with(&text, "filename: \"/etc/ssl/envoy/tls.key\"", "inline_bytes: aGVsbG8=");
    let config = loaded(&text).config;
    let tls = config.listeners[0].filter_chains[0].tls.as_ref().unwrap();
    assert_eq!(tls.alpn.as_deref().unwrap(), ["h2", "http/1.1"]);
    assert_eq!(tls.certificates[0].private_key, DataSource::Inline((*b"hello").into()));
}

#[test]
fn admin_and_node() {
    assert_eq!(loaded("admin: {}").config.admin, None);
    assert_eq!(
        loaded("admin:\nnode: {id: a, cluster: b, metadata: {x: [1]}}").config.node,
        NodeConfig { id: "a".to_owned(), cluster: "b".to_owned() }
    );
}

#[test]
fn harmless_fields_are_accepted_and_listed_once() {
    let fields: Vec<_> = crate::envoy::harmless_fields().collect();
    assert!(fields.contains(&("listener", "traffic_direction", "only tracing and stats tags of Envoy use it")));
    for (index, (message, field, reason)) in fields.iter().enumerate() {
        assert!(!reason.is_empty());
        assert!(!fields[..index].iter().any(|(m, f, _)| (m, f) == (message, field)), "{message}.{field}");
    }
    let listed: std::collections::BTreeSet<_> = fields.iter().map(|(message, ..)| message).collect();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/envoy/model");
    let sources =
        std::fs::read_dir(directory).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let declared: usize = sources.map(|source| source.matches("const HARMLESS").count()).sum();
    assert_eq!(listed.len(), declared, "a message with harmless fields is not listed");
    loaded(&cluster("    metadata: {filter_metadata: {}}\n    cleanup_interval: 5s\n"));
}

#[test]
fn a_load_assignment_of_another_name_is_only_suspicious() {
    let warnings = loaded(&with(SIDECAR_V3, "cluster_name: echo-grpc", "cluster_name: echo")).warnings;
    assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [Code::Suspicious]);
    insta::assert_snapshot!(warnings);
}

#[test]
fn unset_is_null_or_an_empty_list() {
    let text = cluster(
        "    outlier_detection: null\n    dns_resolvers: []\n    http2_protocol_options: ~\n    connect_timeout:\n",
    );
    assert_eq!(loaded(&text).config, loaded(&cluster("")).config);
}
