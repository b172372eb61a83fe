//! HTTP filters: those before the router, and the router.

use super::{extension, own_extension};
use crate::{
    envoy::{
        diagnostic::{Code, Span, Spanned},
        names::{Category, Kind},
        reader::{FromConfig, Harmless, Read, Reader, Unsupported, Value},
    },
    proxy::config::{HealthCheckFilterConfig, HttpFilterConfig},
};

/// One entry of `http_filters`.
enum Filter {
    Router,
    Other(HttpFilterConfig),
}

impl FromConfig for Filter {
    const MESSAGE: &'static str = "http_filter";
    const UNSUPPORTED: &'static [Unsupported] = &[("filters from elsewhere", &["config_discovery"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let optional = reader.only("is_optional", false);
        let disabled = reader.only("disabled", false);
        let filter = match own_extension::read(reader, &reader.diagnostics().extensions().http_filters) {
            Some(own) => own.map(Self::Other),
            None => Self::built_in(reader),
        };
        optional?;
        disabled?;
        filter
    }
}

impl Filter {
    fn built_in(reader: &mut Reader<'_>) -> Read<Self> {
        let found = extension::read(reader, Category::HttpFilter)?;
        match found.kind {
            Kind::HealthCheck => found.config.read().map(|filter| Self::Other(HttpFilterConfig::HealthCheck(filter))),
            _ => found.config.read::<Router>().map(|Router| Self::Router),
        }
    }
}

/// All filters before the router. Envoy's rule: the router is there, once, and last.
pub(super) fn filters(value: Option<Value<'_>>, manager: Value<'_>) -> Read<Vec<HttpFilterConfig>> {
    const RULE: &str = "the router (`envoy.filters.http.router`) must be the last HTTP filter";
    let read: Vec<_> = value.into_iter().flat_map(Value::items).map(Value::read::<Spanned<Filter>>).collect();
    let mut filters = Vec::with_capacity(read.len());
    let mut router: Option<Span> = None;
    let mut result = Ok(());
    let mut failed = false;
    for filter in read {
        let Ok(Spanned { value, span }) = filter else {
            failed = true;
            continue;
        };
        if let Some(router) = router {
            let error = crate::envoy::diagnostic::Diagnostic::error(Code::FilterOrder, RULE);
            let error = error.at(span, "this filter would never be reached").and(router, "the router ends the chain");
            result = Err(manager.diagnostics().error(error));
        }
        match value {
            Filter::Router => router = router.or(Some(span)),
            Filter::Other(filter) => filters.push(filter),
        }
    }
    result?;
    // A filter that could not be read may be the router.
    if router.is_none() && !failed {
        return Err(value.unwrap_or(manager).error(Code::FilterOrder, RULE, "there is no router here"));
    }
    Ok(filters)
}

/// `Router`.
pub(super) struct Router;

impl FromConfig for Router {
    const MESSAGE: &'static str = "router";
    const HARMLESS: &'static [Harmless] = &[
        ("dynamic_stats", "stats that cost extra are not made"),
        ("suppress_grpc_request_failure_code_stats", "stats that cost extra are not made"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("tracing", &["start_child_span"]),
        ("a log of upstream requests", &["upstream_log", "upstream_log_options"]),
        ("strict checks of headers", &["strict_check_headers"]),
        ("filters of upstream requests", &["upstream_http_filters"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let suppress = reader.only("suppress_envoy_headers", false);
        let respect = reader.only("respect_expected_rq_timeout", false);
        let early = reader.only("reject_connect_request_early_data", false);
        suppress?;
        respect?;
        early.map(|()| Self)
    }
}

impl FromConfig for HealthCheckFilterConfig {
    const MESSAGE: &'static str = "health_check";
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("caching of answers, which needs pass-through mode", &["cache_time"]),
        ("answers that depend on clusters", &["cluster_min_healthy_percentages"]),
        ("a path; it is a condition on the header `:path` since 2018", &["endpoint"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let pass_through = match reader.get("pass_through_mode") {
            None => reader.required("pass_through_mode"),
            Some(value) => match value.read() {
                Ok(true) => {
                    let message = "this version supports `pass_through_mode` only as `false`";
                    Err(value.error(Code::Unsupported, message, "not supported"))
                }
                other => other,
            },
        };
        let headers = reader.list("headers");
        pass_through?;
        headers.map(Self::new)
    }
}
