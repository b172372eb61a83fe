//! `/clusters`: every cluster, its limits, and each of its hosts with its numbers.

use std::{
    fmt::Write,
    sync::{Arc, atomic::Ordering},
};

use super::{json::Json, query::Filter};
use crate::cluster::{
    config::CircuitBreakersConfig,
    host::{HealthFlags, Host},
    host_set::HostSetCell,
};

/// A cluster as `/clusters` shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdminCluster {
    /// Its name.
    pub name: Arc<str>,
    /// Its limits.
    pub circuit_breakers: CircuitBreakersConfig,
    /// Where its hosts are published.
    pub hosts: HostSetCell,
}

impl AdminCluster {
    /// This cluster.
    pub fn new(name: impl Into<Arc<str>>, circuit_breakers: CircuitBreakersConfig, hosts: HostSetCell) -> Self {
        Self { name: name.into(), circuit_breakers, hosts }
    }

    /// The limits of the default priority, then those of the high one, which nothing in meshlib uses: Envoy's
    /// defaults.
    fn thresholds(&self) -> [(&'static str, CircuitBreakersConfig); 2] {
        [("default", self.circuit_breakers), ("high", CircuitBreakersConfig::default())]
    }
}

fn limits(breakers: &CircuitBreakersConfig) -> [(&'static str, u32); 4] {
    [
        ("max_connections", breakers.max_connections),
        ("max_pending_requests", breakers.max_pending_requests),
        ("max_requests", breakers.max_requests),
        ("max_retries", breakers.max_retries),
    ]
}

/// One line for each fact: `cluster::fact::value` and `cluster::address:port::fact::value`.
pub(super) fn print_text(clusters: &[AdminCluster], filter: &Filter) -> String {
    let mut out = String::new();
    for cluster in clusters.iter().filter(|cluster| filter.accepts(&cluster.name)) {
        let name = &cluster.name;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name}::observability_name::{name}");
        for (priority, breakers) in cluster.thresholds() {
            for (limit, value) in limits(&breakers) {
                let _ = writeln!(out, "{name}::{priority}_priority::{limit}::{value}");
            }
        }
        let _ = writeln!(out, "{name}::added_via_api::false");
        cluster.hosts.load().hosts().iter().for_each(|host| host_lines(&mut out, name, host));
    }
    out
}

fn host_lines(out: &mut String, cluster: &str, host: &Host) {
    let address = host.address();
    let mut line = |fact: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{cluster}::{address}::{fact}::{value}");
    };
    for (fact, _, value) in numbers(host) {
        line(fact, &value);
    }
    line("hostname", &host.hostname().map_or("", |hostname| hostname));
    line("health_flags", &host.health());
    line("weight", &host.weight());
    for (fact, value) in [("region", ""), ("zone", ""), ("sub_zone", ""), ("canary", "false"), ("priority", "0")] {
        line(fact, &value);
    }
    // Outlier detection's rates; -1 is Envoy's "not computed".
    line("success_rate", &"-1");
    line("local_origin_success_rate", &"-1");
}

/// A host's numbers in the order of their names; whether each is a gauge.
fn numbers(host: &Host) -> [(&'static str, bool, u64); 9] {
    let stats = host.stats();
    [
        ("cx_active", true, &stats.cx_active),
        ("cx_connect_fail", false, &stats.cx_connect_fail),
        ("cx_total", false, &stats.cx_total),
        ("rq_active", true, &stats.rq_active),
        ("rq_error", false, &stats.rq_error),
        ("rq_pending_active", true, &stats.rq_pending_active),
        ("rq_success", false, &stats.rq_success),
        ("rq_timeout", false, &stats.rq_timeout),
        ("rq_total", false, &stats.rq_total),
    ]
    .map(|(name, gauge, value)| (name, gauge, value.load(Ordering::Relaxed)))
}

/// Envoy's `Clusters` message. Like every proto3 message it leaves out what is at its default.
pub(super) fn print_json(clusters: &[AdminCluster], filter: &Filter) -> String {
    let statuses = clusters.iter().filter(|cluster| filter.accepts(&cluster.name)).map(status).collect();
    Json::Object(vec![("cluster_statuses", Json::Array(statuses))]).pretty()
}

fn status(cluster: &AdminCluster) -> Json {
    let set = cluster.hosts.load();
    let hosts: Vec<Json> = set.hosts().iter().map(|host| host_status(host)).collect();
    let thresholds = cluster.thresholds().into_iter().map(|(priority, breakers)| {
        let mut members = if priority == "high" { vec![("priority", Json::text("HIGH"))] } else { Vec::new() };
        members.extend(limits(&breakers).map(|(limit, value)| (limit, Json::whole(value))));
        Json::Object(members)
    });
    let thresholds = thresholds.collect();
    let mut members = vec![("name", Json::text(&cluster.name))];
    if !hosts.is_empty() {
        members.push(("host_statuses", Json::Array(hosts)));
    }
    members.push(("circuit_breakers", Json::Object(vec![("thresholds", Json::Array(thresholds))])));
    members.push(("observability_name", Json::text(&cluster.name)));
    Json::Object(members)
}

fn host_status(host: &Host) -> Json {
    let address = host.address();
    let socket = vec![("address", Json::text(address.ip())), ("port_value", Json::whole(address.port()))];
    let (counters, gauges): (Vec<_>, Vec<_>) = numbers(host).into_iter().partition(|(_, gauge, _)| !gauge);
    let stats = counters.into_iter().chain(gauges).map(|(name, gauge, value)| {
        let mut members = if gauge { vec![("type", Json::text("GAUGE"))] } else { Vec::new() };
        if value != 0 {
            // 64-bit numbers are strings in proto3 JSON.
            members.push(("value", Json::text(value)));
        }
        members.push(("name", Json::text(name)));
        Json::Object(members)
    });
    let mut members = vec![
        ("address", Json::Object(vec![("socket_address", Json::Object(socket))])),
        ("stats", Json::Array(stats.collect())),
        ("health_status", health_status(host.health())),
        ("weight", Json::whole(host.weight())),
    ];
    members.extend(host.hostname().map(|hostname| ("hostname", Json::text(hostname))));
    members.push(("locality", Json::Object(Vec::new())));
    Json::Object(members)
}

fn health_status(health: HealthFlags) -> Json {
    let flags = [
        ("failed_active_health_check", HealthFlags::FAILED_ACTIVE_HC),
        ("failed_outlier_check", HealthFlags::FAILED_OUTLIER_CHECK),
        ("pending_dynamic_removal", HealthFlags::PENDING_DYNAMIC_REMOVAL),
    ];
    let mut members: Vec<_> = flags
        .into_iter()
        .filter(|(_, flag)| health.contains(*flag))
        .map(|(name, _)| (name, Json::Bool(true)))
        .collect();
    members.push(("eds_health_status", Json::text("HEALTHY")));
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use super::{super::query::Query, *};
    use crate::cluster::host_set::HostSet;

    fn cluster() -> AdminCluster {
        let health = HealthFlags::FAILED_ACTIVE_HC;
        let first = Host::new("127.0.0.1:39192".parse().unwrap(), Some("echo.local".into()), 1, health);
        first.stats().cx_total.store(10, Ordering::Relaxed);
        first.stats().rq_active.store(2, Ordering::Relaxed);
        let second = Host::new("[::1]:80".parse().unwrap(), None, 3, HealthFlags::HEALTHY);
        let set = HostSet::new(vec![Arc::new(first), Arc::new(second)], 50.0);
        let breakers = CircuitBreakersConfig { max_connections: 7, ..CircuitBreakersConfig::default() };
        AdminCluster::new("echo-grpc", breakers, HostSetCell::new(set))
    }

    fn filter(query: &str) -> Filter {
        Filter::read(Query::new(Some(query))).unwrap()
    }

    #[test]
    fn text_has_envoys_lines_in_envoys_order() {
        let text = print_text(&[cluster()], &filter(""));
        let (cluster_lines, hosts) = text.split_at(text.find("echo-grpc::127").unwrap());
        assert_eq!(
            cluster_lines,
            "echo-grpc::observability_name::echo-grpc\n\
             echo-grpc::default_priority::max_connections::7\n\
             echo-grpc::default_priority::max_pending_requests::1024\n\
             echo-grpc::default_priority::max_requests::1024\n\
             echo-grpc::default_priority::max_retries::3\n\
             echo-grpc::high_priority::max_connections::1024\n\
             echo-grpc::high_priority::max_pending_requests::1024\n\
             echo-grpc::high_priority::max_requests::1024\n\
             echo-grpc::high_priority::max_retries::3\n\
             echo-grpc::added_via_api::false\n"
        );
        let first: Vec<&str> = hosts.lines().take(19).map(|line| line.trim_start_matches("echo-grpc::")).collect();
        let expected = [
            "cx_active::0",
            "cx_connect_fail::0",
            "cx_total::10",
            "rq_active::2",
            "rq_error::0",
            "rq_pending_active::0",
            "rq_success::0",
            "rq_timeout::0",
            "rq_total::0",
            "hostname::echo.local",
            "health_flags::/failed_active_hc",
            "weight::1",
            "region::",
            "zone::",
            "sub_zone::",
            "canary::false",
            "priority::0",
            "success_rate::-1",
            "local_origin_success_rate::-1",
        ];
        assert_eq!(first, expected.map(|fact| format!("127.0.0.1:39192::{fact}")));
        assert!(hosts.contains("echo-grpc::[::1]:80::health_flags::healthy\n"), "{hosts}");
        assert!(hosts.contains("echo-grpc::[::1]:80::weight::3\n"));
    }

    #[test]
    fn filtered_by_name() {
        assert_eq!(print_text(&[cluster()], &filter("filter=^other")), "");
        assert!(print_text(&[cluster()], &filter("filter=grpc")).contains("::cx_total::10\n"));
    }

    #[test]
    fn json_is_envoys_message() {
        let json = print_json(&[cluster()], &filter(""));
        for part in [
            "{\n \"cluster_statuses\": [\n  {\n   \"name\": \"echo-grpc\",\n   \"host_statuses\": [\n",
            "      \"socket_address\": {\n       \"address\": \"127.0.0.1\",\n       \"port_value\": 39192\n      }\n",
            "      {\n       \"value\": \"10\",\n       \"name\": \"cx_total\"\n      },\n      {\n       \"name\": \"rq_error\"\n",
            "      {\n       \"type\": \"GAUGE\",\n       \"value\": \"2\",\n       \"name\": \"rq_active\"\n      },\n",
            "      \"failed_active_health_check\": true,\n      \"eds_health_status\": \"HEALTHY\"\n",
            "     {\n      \"priority\": \"HIGH\",\n      \"max_connections\": 1024,\n",
            "   \"observability_name\": \"echo-grpc\"\n  }\n ]\n}\n",
        ] {
            assert!(json.contains(part), "{part}\nis not in\n{json}");
        }
    }
}
