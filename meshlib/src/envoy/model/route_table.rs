//! Route tables and virtual hosts.

use std::collections::HashMap;

use super::route::Route;
use crate::{
    envoy::{
        diagnostic::{Code, Diagnostic, Diagnostics, Span, Spanned},
        reader::{FromConfig, Harmless, NonEmpty, Read, Reader, Unsupported},
    },
    route::config::{RouteTableConfig, VirtualHostConfig},
};

/// `RouteConfiguration`.
#[derive(Default)]
pub(super) struct RouteTable(pub(super) RouteTableConfig);

impl FromConfig for RouteTable {
    const MESSAGE: &'static str = "route_config";
    const HARMLESS: &'static [Harmless] = &[
        ("max_direct_response_body_size_bytes", "direct responses are unsupported on their own"),
        ("metadata", "no filter of this version reads it"),
        ("most_specific_header_mutations_wins", "changes of headers are unsupported on their own"),
    ];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("virtual hosts from a management server", &["vhds"]),
        ("changes of headers", &["request_headers_to_add", "request_headers_to_remove", "internal_only_headers"]),
        ("changes of headers", &["response_headers_to_add", "response_headers_to_remove"]),
        ("clusters chosen by plugins", &["cluster_specifier_plugins", "route_specifiers"]),
        ("mirroring", &["request_mirror_policies"]),
        ("settings of filters", &["typed_per_filter_config"]),
        ("virtual hosts by another header", &["vhost_header"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = reader.or("name", String::new());
        let hosts = reader.list::<VirtualHost>("virtual_hosts");
        let validate = reader.only("validate_clusters", true);
        let ports = reader.only("ignore_port_in_host_matching", false);
        let parameters = reader.only("ignore_path_parameters_in_path_matching", false);
        let hosts = hosts?;
        let domains = unique_domains(reader.diagnostics(), hosts.iter().flat_map(|host| &host.domains));
        let mut table = RouteTableConfig::new(name?, Vec::new());
        table.virtual_hosts.extend(hosts.into_iter().map(|host| host.config));
        validate.and(ports).and(parameters).and(domains).map(|()| Self(table))
    }
}

/// A domain stands once in a table, whatever its case.
fn unique_domains<'h>(diagnostics: &Diagnostics, domains: impl Iterator<Item = &'h Spanned<String>>) -> Read<()> {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut result = Ok(());
    for domain in domains {
        if let Some(first) = seen.get(&domain.value.to_ascii_lowercase()) {
            let message = format!("the domain `{}` stands twice", domain.value);
            let error = Diagnostic::error(Code::Domain, message).at(domain.span, "again").and(*first, "first");
            result = Err(diagnostics.error(error));
        } else {
            seen.insert(domain.value.to_ascii_lowercase(), domain.span);
        }
    }
    result
}

/// `VirtualHost`.
pub(super) struct VirtualHost {
    config: VirtualHostConfig,
    domains: Vec<Spanned<String>>,
}

impl FromConfig for VirtualHost {
    const MESSAGE: &'static str = "virtual_host";
    const HARMLESS: &'static [Harmless] = &[("metadata", "no filter of this version reads it")];
    const UNSUPPORTED: &'static [Unsupported] = &[
        ("routes by a tree of rules", &["matcher", "route_specifiers"]),
        ("stats of virtual clusters", &["virtual_clusters"]),
        ("rate limiting", &["rate_limits"]),
        ("changes of headers", &["request_headers_to_add", "request_headers_to_remove"]),
        ("changes of headers", &["response_headers_to_add", "response_headers_to_remove"]),
        ("CORS", &["cors"]),
        ("settings of filters", &["typed_per_filter_config", "per_filter_config"]),
        ("retries", &["retry_policy", "retry_policy_typed_config", "hedge_policy"]),
        ("limits on buffered bodies", &["per_request_buffer_limit_bytes", "request_body_buffer_limit"]),
        ("mirroring", &["request_mirror_policies"]),
    ];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = reader.required::<NonEmpty>("name");
        let domains = domains(reader);
        let routes = reader.list::<Route>("routes");
        let tls = reader.choice("require_tls", &[("NONE", Some(())), ("EXTERNAL_ONLY", None), ("ALL", None)]);
        let mut defaults = Ok(());
        let switches =
            ["include_request_attempt_count", "include_attempt_count_in_response", "include_is_timeout_retry_header"];
        for switch in switches {
            defaults = defaults.and(reader.only(switch, false));
        }
        let (name, domains) = (name?, domains?);
        let routes = routes?.into_iter().map(|route| route.0).collect();
        let names = domains.iter().map(|domain| domain.value.clone()).collect();
        let config = VirtualHostConfig::new(name.0, names, routes);
        defaults.and(tls.map(|_| ())).map(|()| Self { config, domains })
    }
}

fn domains(reader: &mut Reader<'_>) -> Read<Vec<Spanned<String>>> {
    let Some(value) = reader.get("domains") else { return reader.required::<String>("domains").map(|_| Vec::new()) };
    let mut domains = Vec::new();
    let mut result = Ok(());
    for item in value.items() {
        match item.read::<Spanned<String>>() {
            Ok(domain) if is_domain(&domain.value) => domains.push(domain),
            Ok(_) => {
                let message = format!("{} is not a domain that can match", item.quoted());
                let error = Diagnostic::error(Code::Domain, message).at(item.span(), "");
                let help = "a domain is `example.com`, `*.example.com`, `example.*` or `*`";
                result = Err(item.diagnostics().error(error.help(help)));
            }
            Err(reported) => result = Err(reported),
        }
    }
    result?;
    if domains.is_empty() {
        return Err(value.invalid("a list of at least one domain"));
    }
    Ok(domains)
}

/// One star at most, at the begin or the end.
fn is_domain(domain: &str) -> bool {
    let inner = domain.strip_prefix('*').or_else(|| domain.strip_suffix('*')).unwrap_or(domain);
    !domain.is_empty() && !inner.contains('*')
}
