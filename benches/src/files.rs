//! Envoy files of any size.

use std::fmt::Write;

use meshlib::{envoy, route::config::RouteTableConfig};

const HEAD: &str = r#"static_resources:
  clusters:
  - name: echo
    type: STATIC
    load_assignment:
      cluster_name: echo
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8786}}}
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 8785}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            name: local
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
"#;

/// A file of one listener and `count` routes, each of four lines.
pub fn with_routes(count: usize) -> String {
    let mut file = HEAD.to_owned();
    for at in 0..count {
        write!(
            file,
            "              - match:\n                  prefix: /api.Service{at}/\n\
             \x20               route:\n                  cluster: echo\n"
        )
        .expect("room");
    }
    file
}

/// The routes of such a file.
pub fn route_table(file: &str) -> RouteTableConfig {
    let loaded = envoy::load("envoy.yaml", file).expect("a good file");
    let listener = loaded.config.listeners.first().expect("a listener");
    listener.filter_chains.first().expect("a filter chain").http.routes.clone()
}
