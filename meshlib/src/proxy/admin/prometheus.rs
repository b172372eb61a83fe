//! `/stats/prometheus`: the text exposition format, with Envoy's names, types, labels and buckets.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
};

use super::tags::{self, Tagged};
use crate::base::stats::{HistogramSnapshot, StatValue};

/// Upper limits of Envoy's buckets: as a label, and as the whole number that our histograms count up to. Counts
/// beyond 15 are exact to an eighth of their value only.
const BUCKETS: [(&str, u64); 19] = [
    ("0.5", 0),
    ("1", 1),
    ("5", 5),
    ("10", 10),
    ("25", 25),
    ("50", 50),
    ("100", 100),
    ("250", 250),
    ("500", 500),
    ("1000", 1_000),
    ("2500", 2_500),
    ("5000", 5_000),
    ("10000", 10_000),
    ("30000", 30_000),
    ("60000", 60_000),
    ("300000", 300_000),
    ("600000", 600_000),
    ("1800000", 1_800_000),
    ("3600000", 3_600_000),
];

type Labels<'a> = Vec<(&'static str, &'a str)>;
/// The stats of one type by the name of their metric.
type Family<'a, T> = BTreeMap<String, Vec<(Labels<'a>, T)>>;

/// Counters, then gauges, then histograms, each metric with all its stats behind one `# TYPE` line.
pub(super) fn print(stats: &[(String, StatValue)]) -> String {
    let (mut counters, mut gauges, mut histograms) = (Family::new(), Family::new(), Family::new());
    for (name, value) in stats {
        let tagged = tags::extract(name);
        match value {
            StatValue::Counter(count) => add(&mut counters, tagged, *count),
            StatValue::Gauge(level) => add(&mut gauges, tagged, *level),
            StatValue::Histogram(snapshot) => add(&mut histograms, tagged, snapshot),
        }
    }
    let mut out = String::new();
    simple(&mut out, "counter", &counters);
    simple(&mut out, "gauge", &gauges);
    for (name, stats) in &histograms {
        let name = MetricName(name);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# TYPE {name} histogram");
        stats.iter().for_each(|(labels, snapshot)| histogram(&mut out, &name, labels, snapshot));
    }
    out
}

fn add<'a, T>(family: &mut Family<'a, T>, tagged: Tagged<'a>, value: T) {
    family.entry(tagged.name).or_default().push((tagged.labels, value));
}

fn simple<T: Display>(out: &mut String, kind: &str, family: &Family<'_, T>) {
    for (name, stats) in family {
        let name = MetricName(name);
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for (labels, value) in stats {
            let _ = writeln!(out, "{name}{{{}}} {value}", LabelList(labels));
        }
    }
}

fn histogram(out: &mut String, name: &MetricName<'_>, labels: &Labels<'_>, snapshot: &HistogramSnapshot) {
    let labels = LabelList(labels);
    let comma = if labels.0.is_empty() { "" } else { "," };
    for (limit, up_to) in BUCKETS {
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{limit}\"}} {}", snapshot.count_up_to(up_to));
    }
    let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", snapshot.count());
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", snapshot.sum());
    let _ = writeln!(out, "{name}_count{{{labels}}} {}", snapshot.count());
}

/// `envoy_` before the name, and an underscore for every character that a metric's name may not have.
struct MetricName<'a>(&'a str);

impl Display for MetricName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("envoy_")?;
        self.0
            .chars()
            .try_for_each(|character| f.write_char(if character.is_ascii_alphanumeric() { character } else { '_' }))
    }
}

/// `a="b",c="d"`; values escaped.
struct LabelList<'a>(&'a [(&'static str, &'a str)]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (label, value)) in self.0.iter().enumerate() {
            write!(f, "{}{label}=\"", if index == 0 { "" } else { "," })?;
            value.chars().try_for_each(|character| match character {
                '\\' => f.write_str("\\\\"),
                '"' => f.write_str("\\\""),
                '\n' => f.write_str("\\n"),
                other => f.write_char(other),
            })?;
            f.write_char('"')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stats;

    #[test]
    fn metrics_are_grouped_by_type_and_name() {
        let stats = Stats::new();
        stats.counter("cluster.b.upstream_rq_200").add(5);
        stats.counter("cluster.a.upstream_rq_200").add(4);
        stats.counter("cluster.a.upstream_rq_5xx").add(1);
        stats.counter("http1.response_flood");
        stats.counter("http.in.no_route");
        let gauge = stats.gauge("cluster.a.membership_total");
        gauge.set(3);
        assert_eq!(
            print(&stats.snapshot()),
            "# TYPE envoy_cluster_upstream_rq counter\n\
             envoy_cluster_upstream_rq{envoy_response_code=\"200\",envoy_cluster_name=\"a\"} 4\n\
             envoy_cluster_upstream_rq{envoy_response_code=\"200\",envoy_cluster_name=\"b\"} 5\n\
             # TYPE envoy_cluster_upstream_rq_xx counter\n\
             envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"5\",envoy_cluster_name=\"a\"} 1\n\
             # TYPE envoy_http_no_route counter\n\
             envoy_http_no_route{envoy_http_conn_manager_prefix=\"in\"} 0\n\
             # TYPE envoy_http1_response_flood counter\n\
             envoy_http1_response_flood{} 0\n\
             # TYPE envoy_cluster_membership_total gauge\n\
             envoy_cluster_membership_total{envoy_cluster_name=\"a\"} 3\n"
        );
    }

    #[test]
    fn histograms_have_cumulative_buckets() {
        let stats = Stats::new();
        let histogram = stats.histogram("cluster.a.upstream_rq_time");
        [0, 1, 7, 7_000, u64::MAX].into_iter().for_each(|value| histogram.record(value));
        let text = print(&stats.snapshot());
        let count = |limit: &str| {
            let line = format!("envoy_cluster_upstream_rq_time_bucket{{envoy_cluster_name=\"a\",le=\"{limit}\"}} ");
            text.lines().find_map(|found| found.strip_prefix(&line)).unwrap().to_owned()
        };
        let counts = ["0.5", "1", "5", "10", "5000", "10000", "3600000", "+Inf"].map(count);
        assert_eq!(counts, ["1", "2", "2", "3", "3", "4", "4", "5"]);
        assert!(text.starts_with("# TYPE envoy_cluster_upstream_rq_time histogram\n"));
        assert!(text.ends_with("envoy_cluster_upstream_rq_time_count{envoy_cluster_name=\"a\"} 5\n"), "{text}");
    }

    #[test]
    fn hostile_names_stay_inside_their_quotes() {
        let stats = Stats::new();
        stats.counter("cluster.a\"}\n\\x.b c");
        assert_eq!(
            print(&stats.snapshot()),
            "# TYPE envoy_cluster_b_c counter\nenvoy_cluster_b_c{envoy_cluster_name=\"a\\\"}\\n\\\\x\"} 0\n"
        );
    }
}
