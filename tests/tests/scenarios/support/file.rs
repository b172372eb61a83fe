//! The Envoy file of one proxy: a listener that routes everything to one cluster.

use std::{fmt::Write, net::SocketAddr, path::Path};

use meshlib_examples::certificate::SelfSigned;

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// What the file says beyond its listener, its route and its cluster. Each addition is a line of YAML in flow style.
#[derive(Clone, Debug)]
pub(crate) struct File {
    upstreams: Vec<SocketAddr>,
    prefix: String,
    manager: Vec<String>,
    route: Vec<String>,
    cluster: Vec<String>,
}

impl File {
    /// Plain text, everything to these hosts over HTTP/2.
    pub(crate) fn to(upstreams: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self::http1_to(upstreams).cluster(format!(
            "typed_extension_protocol_options: {{envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {{\"@type\": \
             {TYPES}.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {{http2_protocol_options: {{}}}}}}}}"
        ))
    }

    /// The same over HTTP/1.1.
    pub(crate) fn http1_to(upstreams: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            upstreams: upstreams.into_iter().collect(),
            prefix: "/".to_owned(),
            manager: Vec::new(),
            route: Vec::new(),
            cluster: Vec::new(),
        }
    }

    /// Routes only what begins so.
    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// One more field of the connection manager.
    pub(crate) fn manager(mut self, line: impl Into<String>) -> Self {
        self.manager.push(line.into());
        self
    }

    /// One more field of the route's action.
    pub(crate) fn route(mut self, field: impl Into<String>) -> Self {
        self.route.push(field.into());
        self
    }

    /// One more field of the cluster.
    pub(crate) fn cluster(mut self, line: impl Into<String>) -> Self {
        self.cluster.push(line.into());
        self
    }

    /// The file's text.
    pub(crate) fn text(&self, certificate: Option<&SelfSigned>, log: &Path) -> String {
        let (listener, cluster) = (self.listener(log), self.endpoints());
        let tls = certificate.map(transport_socket).unwrap_or_default();
        format!("static_resources:\n  listeners:\n{listener}{tls}  clusters:\n{cluster}")
    }

    fn listener(&self, log: &Path) -> String {
        let mut text = format!(
            r#"  - name: main
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          access_log:
          - name: envoy.access_loggers.file
            typed_config: {{"@type": {TYPES}.access_loggers.file.v3.FileAccessLog, path: {log}}}
          http_filters:
          - name: envoy.filters.http.health_check
            typed_config:
              "@type": {TYPES}.filters.http.health_check.v3.HealthCheck
              pass_through_mode: false
              headers:
              - {{name: ":path", string_match: {{exact: /healthz}}}}
              - {{name: x-envoy-livenessprobe, string_match: {{exact: healthz}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": {TYPES}.filters.http.router.v3.Router}}
          route_config:
            name: local_route
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "{prefix}"}}
                route: {{cluster: app{action}}}
"#,
            log = log.display(),
            prefix = self.prefix,
            action = self.route.iter().map(|field| format!(", {field}")).collect::<String>(),
        );
        for line in &self.manager {
            let _ = writeln!(text, "          {line}");
        }
        text
    }

    fn endpoints(&self) -> String {
        let endpoint = |address: &SocketAddr| {
            let (address, port) = (address.ip(), address.port());
            format!("{{endpoint: {{address: {{socket_address: {{address: {address}, port_value: {port}}}}}}}}}")
        };
        let endpoints = self.upstreams.iter().map(endpoint).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "  - name: app\n    connect_timeout: 0.5s\n    type: STATIC\n    load_assignment: {{cluster_name: app, \
             endpoints: [{{lb_endpoints: [{endpoints}]}}]}}\n"
        );
        for line in &self.cluster {
            let _ = writeln!(text, "    {line}");
        }
        text
    }
}

fn transport_socket(certificate: &SelfSigned) -> String {
    format!(
        "      transport_socket:\n        name: envoy.transport_sockets.tls\n        typed_config:\n          \"@type\": \
         {TYPES}.transport_sockets.tls.v3.DownstreamTlsContext\n          common_tls_context:\n            \
         tls_certificates: [{{certificate_chain: {{filename: {}}}, private_key: {{filename: {}}}}}]\n",
        certificate.chain_path().display(),
        certificate.key_path().display()
    )
}
