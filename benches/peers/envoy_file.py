"""The file that meshlib and Envoy both run: the reference edge's chain, with a listener for each way to be reached."""

FILE = """\
static_resources:
  listeners:
{listeners}
  clusters:
{clusters}
admin:
  address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}
"""

LISTENER = """\
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          codec_type: AUTO
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {log}
          http2_protocol_options:
            initial_stream_window_size: 1048576
            initial_connection_window_size: 16777216
            max_concurrent_streams: 1024
          route_config:
            name: local_route
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
{routes}
          http_filters:
          - name: envoy.filters.http.health_check
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck
              pass_through_mode: false
              headers:
              - name: ":path"
                string_match: {{exact: /healthz}}
              - name: x-envoy-livenessprobe
                string_match: {{exact: healthz}}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"""

TLS = """\
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params:
              tls_minimum_protocol_version: TLSv1_2
              tls_maximum_protocol_version: TLSv1_3
            tls_certificates:
            - certificate_chain: {{filename: {certificate}}}
              private_key: {{filename: {key}}}
"""

ROUTE = """\
              - match: {{prefix: {prefix}}}
                route: {{cluster: {cluster}, timeout: {timeout}}}
"""

CLUSTER = """\
  - name: {name}
    connect_timeout: 0.5s
    type: STATIC
    lb_policy: ROUND_ROBIN
{protocol}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
{endpoints}
"""

ENDPOINT = """\
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"""

# Checks as in the reference. There are none of HTTP/1.1 hosts: gRPC's need HTTP/2, and meshlib knows no others.
HTTP2 = """\
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config:
          http2_protocol_options:
            initial_stream_window_size: 1048576
            initial_connection_window_size: 16777216
    health_checks:
    - timeout: 1s
      interval: 10s
      no_traffic_interval: 10s
      unhealthy_threshold: 2
      healthy_threshold: 2
      grpc_health_check: {}
"""

# Given to Envoy beside the file: which of its HTTP/2 codecs it uses.
CODEC = """\
layered_runtime:
  layers:
  - name: codec
    static_layer:
      envoy.reloadable_features.http2_use_oghttp2: {oghttp2}
"""

EDGE_ROUTES = [("/api.Echo/", "http2"), ("/h1/", "http1")]
SIDECAR_ROUTES = [("/api.Echo/", "http2"), ("/grpc.health.v1.Health/", "http2")]


def listener(name, port, log, routes, certificate=None):
    """One listener; `certificate` is a pair of files."""
    lines = "".join(ROUTE.format(prefix=prefix, cluster=cluster, timeout="15s") for prefix, cluster in routes)
    text = LISTENER.format(name=name, port=port, log=log, routes=lines.rstrip())
    if certificate:
        text += TLS.format(certificate=certificate[0], key=certificate[1])
    return text


def cluster(name, ports, protocol):
    endpoints = "".join(ENDPOINT.format(port=port) for port in ports).rstrip()
    return CLUSTER.format(name=name, endpoints=endpoints, protocol=protocol.rstrip() or "    # HTTP/1.1")


def edge(ports, hosts, certificates, log):
    """All listeners, in front of the backend's HTTP/2 and HTTP/1.1 hosts."""
    pair = {name: (certificates.certificate(name), certificates.key(name)) for name in ("rsa", "ecdsa")}
    listeners = [
        listener("h2c", ports["h2c"], log, EDGE_ROUTES),
        listener("http1", ports["http1"], log, EDGE_ROUTES),
        listener("tls", ports["tls"], log, EDGE_ROUTES, pair["ecdsa"]),
        listener("tls_rsa", ports["tls_rsa"], log, EDGE_ROUTES, pair["rsa"]),
    ]
    clusters = [cluster("http2", hosts["http2"], HTTP2), cluster("http1", hosts["http1"], "")]
    return FILE.format(listeners="".join(listeners).rstrip(), clusters="".join(clusters).rstrip(), admin=ports["admin"])


def sidecar(ports, host, log):
    """The reference's sidecar: one listener, one host, health checks passed on to the application."""
    listeners = listener("h2c", ports["h2c"], log, SIDECAR_ROUTES).rstrip()
    clusters = cluster("http2", [host], HTTP2).rstrip()
    return FILE.format(listeners=listeners, clusters=clusters, admin=ports["admin"])
