//! `/stats` as text: counters and gauges in the order of their names, then histograms.

use std::fmt::Write;

use super::query::{StatKind, StatsQuery};
use crate::base::stats::{HistogramSnapshot, StatValue};

/// The quantiles that Envoy computes, in percent.
pub(super) const QUANTILES: [f64; 10] = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 100.0];

/// The stats that a query asks for. `usedonly` leaves out what stands at zero; Envoy would keep a gauge that was
/// once higher.
pub(super) fn select(stats: Vec<(String, StatValue)>, query: &StatsQuery) -> Vec<(String, StatValue)> {
    stats.into_iter().filter(|(name, value)| is_wanted(value, query) && query.filter.accepts(name)).collect()
}

fn is_wanted(value: &StatValue, query: &StatsQuery) -> bool {
    let (used, kind) = match value {
        StatValue::Counter(count) => (*count != 0, StatKind::Counters),
        StatValue::Gauge(level) => (*level != 0, StatKind::Gauges),
        StatValue::Histogram(snapshot) => (snapshot.count() != 0, StatKind::Histograms),
    };
    (used || !query.used_only) && (query.kind == StatKind::All || query.kind == kind)
}

/// One line for each stat.
pub(super) fn print(stats: &[(String, StatValue)]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    for (name, value) in stats {
        let _ = match value {
            StatValue::Counter(count) => writeln!(out, "{name}: {count}"),
            StatValue::Gauge(level) => writeln!(out, "{name}: {level}"),
            StatValue::Histogram(_) => Ok(()),
        };
    }
    for (name, value) in stats {
        if let StatValue::Histogram(snapshot) = value {
            let _ = write!(out, "{name}: ");
            quantiles(&mut out, snapshot);
        }
    }
    out
}

/// `P50(interval,cumulative)`. Envoy's first figure is of the last flush interval; here nothing is flushed, and both
/// are of the whole time.
fn quantiles(out: &mut String, snapshot: &HistogramSnapshot) {
    if snapshot.count() == 0 {
        out.push_str("No recorded values\n");
        return;
    }
    for (index, percent) in QUANTILES.into_iter().enumerate() {
        let separator = if index == 0 { "" } else { " " };
        let value = snapshot.quantile(percent / 100.0).unwrap_or_default();
        let _ = write!(out, "{separator}P{percent}({value},{value})");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{super::query::Query, *};
    use crate::base::Stats;

    fn text(stats: &Stats, query: &str) -> String {
        let query = StatsQuery::read(Query::new(Some(query))).unwrap();
        print(&select(stats.snapshot(), &query))
    }

    #[test]
    fn sorted_with_histograms_last() {
        let stats = Stats::new();
        stats.counter("cluster.b.upstream_rq_total").add(3);
        let gauge = stats.gauge("cluster.a.membership_total");
        gauge.set(0);
        let histogram = stats.histogram("cluster.a.upstream_rq_time");
        assert_eq!(
            text(&stats, ""),
            "cluster.a.membership_total: 0\ncluster.b.upstream_rq_total: 3\n\
             cluster.a.upstream_rq_time: No recorded values\n"
        );
        assert_eq!(text(&stats, "usedonly"), "cluster.b.upstream_rq_total: 3\n");
        histogram.record(0);
        assert_eq!(text(&stats, "type=Gauges"), "cluster.a.membership_total: 0\n");
        let line = text(&stats, "type=Histograms");
        assert!(line.starts_with("cluster.a.upstream_rq_time: P0(0,0) P25("), "{line}");
        assert!(line.contains(" P99.5(") && line.ends_with(")\n"), "{line}");
        assert_eq!(text(&stats, "type=TextReadouts"), "");
        assert_eq!(text(&stats, "filter=%5Ecluster%5C.b"), "cluster.b.upstream_rq_total: 3\n");
    }
}
