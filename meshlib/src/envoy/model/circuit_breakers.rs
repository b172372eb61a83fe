//! Circuit breakers.

use crate::{
    cluster::config::CircuitBreakersConfig,
    envoy::{
        diagnostic::{Code, Diagnostic, Spanned},
        reader::{FromConfig, Harmless, Read, Reader, Unsupported},
    },
};

impl FromConfig for CircuitBreakersConfig {
    const MESSAGE: &'static str = "circuit_breakers";
    const UNSUPPORTED: &'static [Unsupported] = &[("limits of single hosts", &["per_host_thresholds"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let thresholds = reader.list::<Spanned<Thresholds>>("thresholds")?;
        // Requests of high priority cannot be configured, so their limits are without effect.
        let mut default = thresholds.into_iter().filter(|thresholds| !thresholds.value.high);
        let first = default.next();
        if let (Some(first), Some(second)) = (&first, default.next()) {
            let error = Diagnostic::error(Code::Conflict, "the thresholds of one priority stand twice");
            let error = error.at(second.span, "again").and(first.span, "first");
            return Err(reader.diagnostics().error(error));
        }
        Ok(first.map_or_else(Self::default, |thresholds| thresholds.value.limits))
    }
}

/// `Thresholds`.
pub(super) struct Thresholds {
    high: bool,
    limits: CircuitBreakersConfig,
}

impl FromConfig for Thresholds {
    const MESSAGE: &'static str = "thresholds";
    const HARMLESS: &'static [Harmless] = &[("track_remaining", "only adds gauges")];
    const UNSUPPORTED: &'static [Unsupported] =
        &[("budgets of retries", &["retry_budget"]), ("a limit of pools", &["max_connection_pools"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let high = reader.choice("priority", &[("DEFAULT", Some(false)), ("HIGH", Some(true))]);
        let default = CircuitBreakersConfig::default();
        let connections = reader.or("max_connections", default.max_connections);
        let pending = reader.or("max_pending_requests", default.max_pending_requests);
        let requests = reader.or("max_requests", default.max_requests);
        let retries = reader.or("max_retries", default.max_retries);
        let limits = CircuitBreakersConfig {
            max_connections: connections?,
            max_pending_requests: pending?,
            max_requests: requests?,
            max_retries: retries?,
        };
        Ok(Self { high: high?.unwrap_or_default(), limits })
    }
}
