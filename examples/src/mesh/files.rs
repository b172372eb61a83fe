//! The two files, filled in.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::Options;
use crate::certificate::SelfSigned;

const EDGE: &str = include_str!("edge.envoy.yaml");
const SIDECAR: &str = include_str!("sidecar.envoy.yaml");

/// What lets the edge's health checks through the sidecar to the application.
const HEALTH_ROUTE: &str = "- match:
                  prefix: \"/grpc.health.v1.Health/\"
                route:
                  cluster: echo-grpc";

pub(super) fn edge(certificate: &SelfSigned, upstream_port: u16, options: &Options, log: &Path) -> String {
    EDGE.replace("CERTIFICATE", &certificate.chain_path().to_string_lossy())
        .replace("PRIVATE_KEY", &certificate.key_path().to_string_lossy())
        .replace("UPSTREAM_PORT", &upstream_port.to_string())
        .replace("INTERVAL", &checks(options.interval))
        .replace("# REFRESH_RATE", &format!("dns_refresh_rate: {}s", options.refresh.as_secs_f64()))
        .replace("ACCESS_LOG", &log.to_string_lossy())
}

pub(super) fn sidecar(
    listen: SocketAddr,
    application: SocketAddr,
    health_route: bool,
    interval: Duration,
    log: &Path,
) -> String {
    let health_route = if health_route { HEALTH_ROUTE } else { "" };
    SIDECAR
        .replace("# HEALTH_ROUTE", health_route)
        .replace("POD_ADDRESS", &listen.ip().to_string())
        .replace("SIDECAR_PORT", &listen.port().to_string())
        .replace("APPLICATION_PORT", &application.port().to_string())
        .replace("INTERVAL", &checks(interval))
        .replace("ACCESS_LOG", &log.to_string_lossy())
}

/// An interval; a short one holds without traffic too, so that the first checks do not wait for 60 s.
fn checks(interval: Duration) -> String {
    let seconds = interval.as_secs_f64();
    if interval < Duration::from_secs(10) {
        return format!("{seconds}s\n      no_traffic_interval: {seconds}s");
    }
    format!("{seconds}s")
}
