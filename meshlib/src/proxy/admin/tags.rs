//! Envoy's tag extraction: the parts of a stat's name that are labels of its metric.
//!
//! `cluster.echo.upstream_rq_200` is the metric `cluster.upstream_rq` with `envoy_response_code="200"` and
//! `envoy_cluster_name="echo"`. As in Envoy, a name ends at its first dot.

/// A stat's name, taken apart.
pub(super) struct Tagged<'a> {
    /// What is left of the name, dots included.
    pub(super) name: String,
    /// Labels and their values, in Envoy's order.
    pub(super) labels: Vec<(&'static str, &'a str)>,
}

const RESPONSE_CODE: &str = "envoy_response_code";
const RESPONSE_CODE_CLASS: &str = "envoy_response_code_class";
const CONNECTION_MANAGER: &str = "envoy_http_conn_manager_prefix";
const CLUSTER: &str = "envoy_cluster_name";
const WORKER: &str = "envoy_worker_id";
const LISTENER: &str = "envoy_listener_address";

/// Takes a stat's name apart.
pub(super) fn extract(name: &str) -> Tagged<'_> {
    let (name, suffix, mut labels) = response_code(name);
    let name = match name.split_once('.') {
        Some(("cluster", rest)) => format!("cluster.{}{suffix}", label(CLUSTER, rest, &mut labels)),
        Some(("http", rest)) => format!("http.{}{suffix}", label(CONNECTION_MANAGER, rest, &mut labels)),
        Some(("listener", rest)) => listener(rest, suffix, &mut labels),
        Some(("server", rest)) => {
            let (scope, rest) = worker(rest, &mut labels);
            format!("server.{scope}{rest}{suffix}")
        }
        _ => format!("{name}{suffix}"),
    };
    Tagged { name, labels }
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

/// `upstream_rq_200` is `upstream_rq` of a code, `upstream_rq_2xx` is `upstream_rq_xx` of a class. The `xx` comes back
/// as a suffix, so that the rest stays one slice.
fn response_code(name: &str) -> (&str, &'static str, Labels<'_>) {
    let as_it_is = (name, "", Vec::new());
    let Some((before, code)) = name.rsplit_once("_rq_") else { return as_it_is };
    let digits = code.bytes().take_while(u8::is_ascii_digit).count();
    match (digits, code.len(), code.split_at_checked(1)) {
        (3, 3, _) => (name.get(..before.len() + 3).unwrap_or(name), "", vec![(RESPONSE_CODE, code)]),
        (1, 3, Some((class, "xx"))) => {
            (name.get(..before.len() + 4).unwrap_or(name), "xx", vec![(RESPONSE_CODE_CLASS, class)])
        }
        _ => as_it_is,
    }
}

/// Takes the first part of `rest` for a label's value; without a dot there is no label.
fn label<'a>(label: &'static str, rest: &'a str, labels: &mut Labels<'a>) -> &'a str {
    match rest.split_once('.') {
        Some((value, rest)) => {
            labels.push((label, value));
            rest
        }
        None => rest,
    }
}

/// A listener's stats begin with its address, or with a name, which is no label; a connection manager's stats may
/// follow.
fn listener<'a>(rest: &'a str, suffix: &str, labels: &mut Labels<'a>) -> String {
    let (address, rest) = match address_end(rest).and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?))) {
        Some((address, rest)) => (Some(address), rest),
        None => (None, rest),
    };
    let (scope, rest) = match rest.split_once("http.") {
        Some((scope, rest)) if scope.is_empty() || scope.find('.') == scope.len().checked_sub(1) => {
            (format!("{scope}http."), label(CONNECTION_MANAGER, rest, labels))
        }
        _ => {
            let (scope, rest) = worker(rest, labels);
            (scope.to_owned(), rest)
        }
    };
    labels.extend(address.map(|address| (LISTENER, address)));
    format!("listener.{scope}{rest}{suffix}")
}

/// `worker_0.` is the scope `worker.` of a worker.
fn worker<'a>(rest: &'a str, labels: &mut Labels<'a>) -> (&'static str, &'a str) {
    match rest.strip_prefix("worker_").and_then(|rest| rest.split_once('.')) {
        Some((id, rest)) if id.bytes().all(|byte| byte.is_ascii_digit()) => {
            labels.push((WORKER, id));
            ("worker.", rest)
        }
        _ => ("", rest),
    }
}

/// Where an address as stats write it ends: `127.0.0.1_8080.` or `[__1]_8080.`, a colon being an underscore.
fn address_end(rest: &str) -> Option<usize> {
    let host = match rest.strip_prefix('[') {
        Some(v6) => v6.find(']').filter(|end| v6.bytes().take(*end).all(|b| b == b'_' || b.is_ascii_hexdigit()))? + 2,
        None => rest.find('_').filter(|end| {
            let octets = rest.get(..*end).unwrap_or_default().split('.');
            octets.clone().count() == 4 && octets.clone().all(|octet| octet.parse::<u8>().is_ok())
        })?,
    };
    let port = rest.get(host..)?.strip_prefix('_')?;
    let digits = port.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0 && port.as_bytes().get(digits) == Some(&b'.')).then_some(host + 1 + digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(name: &str) -> String {
        let tagged = extract(name);
        let labels: Vec<String> = tagged.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        format!("{}|{}", tagged.name, labels.join(","))
    }

    #[test]
    fn as_envoy_extracts_them() {
        for (name, expected) in [
            ("cluster.echo-grpc.upstream_rq_total", "cluster.upstream_rq_total|envoy_cluster_name=echo-grpc"),
            (
                "cluster.a.external.upstream_rq_404",
                "cluster.external.upstream_rq|envoy_response_code=404,envoy_cluster_name=a",
            ),
            ("cluster.a.upstream_rq_5xx", "cluster.upstream_rq_xx|envoy_response_code_class=5,envoy_cluster_name=a"),
            ("cluster.a.upstream_rq_0rtt", "cluster.upstream_rq_0rtt|envoy_cluster_name=a"),
            ("http.in.downstream_cx_total", "http.downstream_cx_total|envoy_http_conn_manager_prefix=in"),
            ("http1.response_flood", "http1.response_flood|"),
            ("cluster_manager.active_clusters", "cluster_manager.active_clusters|"),
            ("server.uptime", "server.uptime|"),
            (
                "listener.127.0.0.1_39191.downstream_cx_total",
                "listener.downstream_cx_total|envoy_listener_address=127.0.0.1_39191",
            ),
            ("listener.[__1]_443.no_filter", "listener.no_filter|envoy_listener_address=[__1]_443"),
            (
                "listener.0.0.0.0_443.http.in.downstream_rq_2xx",
                "listener.http.downstream_rq_xx|envoy_response_code_class=2,envoy_http_conn_manager_prefix=in,\
                 envoy_listener_address=0.0.0.0_443",
            ),
            (
                "listener.admin.http.admin.downstream_rq_completed",
                "listener.admin.http.downstream_rq_completed|envoy_http_conn_manager_prefix=admin",
            ),
            ("listener.admin.downstream_cx_total", "listener.admin.downstream_cx_total|"),
            (
                "listener.127.0.0.1_1.worker_3.downstream_cx_active",
                "listener.worker.downstream_cx_active|envoy_worker_id=3,envoy_listener_address=127.0.0.1_1",
            ),
            ("server.worker_0.watchdog_miss", "server.worker.watchdog_miss|envoy_worker_id=0"),
            ("listener.1.2.3_4.x", "listener.1.2.3_4.x|"),
            ("listener.[zz]_1.x", "listener.[zz]_1.x|"),
        ] {
            assert_eq!(tagged(name), expected, "{name}");
        }
    }

    #[test]
    fn no_name_breaks_it() {
        for odd in [
            "",
            ".",
            "cluster",
            "cluster.",
            "http..",
            "listener.",
            "listener.[",
            "_rq_200",
            "_rq_2xx",
            "\u{e9}_rq_\u{e9}xx",
        ] {
            extract(odd);
        }
    }
}
