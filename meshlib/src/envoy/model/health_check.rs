//! Active health checks.

use std::{num::NonZeroU32, time::Duration};

use super::{extension, own_extension};
use crate::{
    cluster::config::{HealthCheckConfig, HealthCheckKind},
    envoy::{
        diagnostic::{Code, Diagnostic, Span},
        names::Category,
        reader::{FromConfig, Harmless, Read, Reader, Unsupported, Value},
    },
};

/// `HealthCheck`.
pub(in crate::envoy) struct HealthCheck {
    pub(in crate::envoy) config: HealthCheckConfig,
    pub(in crate::envoy) named: bool,
    pub(in crate::envoy) span: Span,
    /// Where it says that it is a gRPC check.
    pub(in crate::envoy) grpc: Option<Span>,
}

/// Envoy's, whatever the interval is.
const NO_TRAFFIC_INTERVAL: Duration = Duration::from_secs(60);

const OTHER_CHECKS: [&str; 2] = ["http_health_check", "tcp_health_check"];

impl FromConfig for HealthCheck {
    const MESSAGE: &'static str = "health_check";
    const HARMLESS: &'static [Harmless] = &[
        ("always_log_health_check_failures", "only adds lines to a log of events, which is unsupported on its own"),
        ("always_log_health_check_success", "only adds lines to a log of events, which is unsupported on its own"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("health checks by HTTP", &["http_health_check"]),
        ("health checks by TCP", &["tcp_health_check"]),
        ("health checks of Redis", &["redis_health_check"]),
        ("jitter", &["initial_jitter", "interval_jitter", "interval_jitter_percent"]),
        ("another port", &["alt_port"]),
        ("intervals that depend on the state", &["no_traffic_healthy_interval", "unhealthy_interval"]),
        ("intervals that depend on the state", &["unhealthy_edge_interval", "healthy_edge_interval"]),
        ("a log of events", &["event_log_path", "event_logger", "event_service"]),
        ("TLS towards hosts", &["tls_options", "transport_socket_match_criteria"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = reader.or("name", String::new());
        let timeout = required_positive(reader, "timeout");
        let interval = required_positive(reader, "interval");
        let no_traffic = positive(reader, "no_traffic_interval");
        let unhealthy = reader.required::<NonZeroU32>("unhealthy_threshold");
        let healthy = reader.required::<NonZeroU32>("healthy_threshold");
        let reuse = reader.or("reuse_connection", true);
        let grpc = reader.key_span("grpc_health_check");
        let kind = reader.get("grpc_health_check").map(grpc_check).transpose();
        let custom = reader.get("custom_health_check").map(custom_check).transpose();
        if !OTHER_CHECKS.iter().any(|name| reader.is_set(name)) {
            reader.exactly_one_of(&["grpc_health_check", "custom_health_check"])?;
        }
        let mut config = HealthCheckConfig::grpc(timeout?, interval?, unhealthy?.get(), healthy?.get());
        config.check = kind?.or(custom?).unwrap_or(config.check);
        config.no_traffic_interval = no_traffic?.unwrap_or(NO_TRAFFIC_INTERVAL);
        config.reuse_connection = reuse?;
        Ok(Self { config, named: !name?.is_empty(), span: reader.span(), grpc })
    }
}

fn grpc_check(value: Value<'_>) -> Read<HealthCheckKind> {
    value.message("grpc_health_check", |reader| {
        if let Some(value) = reader.get("initial_metadata").filter(|value| value.items().next().is_some()) {
            let message = "`initial_metadata` of health checks is not supported by this version";
            return Err(value.error(Code::Unsupported, message, "Envoy knows it, meshlib does not"));
        }
        let service_name = reader.or("service_name", String::new());
        let authority = reader.optional::<String>("authority");
        let authority = authority?.filter(|authority| !authority.is_empty());
        Ok(HealthCheckKind::Grpc { service_name: service_name?, authority })
    })
}

/// Only the application's own: Envoy's are not supported.
fn custom_check(value: Value<'_>) -> Read<HealthCheckKind> {
    value.message("custom_health_check", |reader| {
        match own_extension::read(reader, &reader.diagnostics().extensions().health_checks) {
            Some(own) => own.map(HealthCheckKind::Custom),
            None => extension::read(reader, Category::HealthCheck).and_then(|found| {
                let message = "this is no health check";
                Err(found.config.error(Code::UnknownExtension, message, ""))
            }),
        }
    })
}

/// Each of several checks needs a name, as in Envoy, or logs could not tell them apart.
pub(in crate::envoy) fn names(checks: &[HealthCheck], reader: &Reader<'_>) -> Read<()> {
    let nameless = checks.iter().find(|check| !check.named).filter(|_| checks.len() > 1);
    nameless.map_or(Ok(()), |check| {
        let error = Diagnostic::error(Code::MissingField, "each of several health checks needs a `name`");
        Err(reader.diagnostics().error(error.at(check.span, "this one has none")))
    })
}

fn required_positive(reader: &mut Reader<'_>, name: &'static str) -> Read<Duration> {
    match positive(reader, name) {
        Ok(None) => reader.required(name),
        Ok(Some(duration)) => Ok(duration),
        Err(reported) => Err(reported),
    }
}

/// A duration above zero.
pub(super) fn positive(reader: &mut Reader<'_>, name: &'static str) -> Read<Option<Duration>> {
    let Some(value) = reader.get(name) else { return Ok(None) };
    match value.read::<Duration>()? {
        Duration::ZERO => Err(value.invalid("longer than nothing")),
        duration => Ok(Some(duration)),
    }
}
