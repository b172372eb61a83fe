//! `/stats?format=json`.

use super::{json::Json, stats_text::QUANTILES};
use crate::base::stats::{HistogramSnapshot, StatValue};

/// One object on one line; the histograms are its last element, where there are any.
pub(super) fn print(stats: &[(String, StatValue)]) -> String {
    let mut values = Vec::with_capacity(stats.len());
    let mut histograms = Vec::new();
    for (name, value) in stats {
        let value = match value {
            StatValue::Counter(count) => Json::whole(*count),
            StatValue::Gauge(level) => Json::Whole(*level),
            StatValue::Histogram(snapshot) => {
                histograms.push(Json::Object(vec![("name", Json::text(name)), ("values", quantiles(snapshot))]));
                continue;
            }
        };
        values.push(Json::Object(vec![("name", Json::text(name)), ("value", value)]));
    }
    if !histograms.is_empty() {
        let supported = QUANTILES.into_iter().map(Json::Real).collect();
        values.push(Json::Object(vec![(
            "histograms",
            Json::Object(vec![
                ("supported_quantiles", Json::Array(supported)),
                ("computed_quantiles", Json::Array(histograms)),
            ]),
        )]));
    }
    Json::Object(vec![("stats", Json::Array(values))]).to_string()
}

/// `null` without values. Interval and cumulative figures are the same, as in the text.
fn quantiles(snapshot: &HistogramSnapshot) -> Json {
    let value = |percent: f64| snapshot.quantile(percent / 100.0).map_or(Json::Null, Json::Real);
    let both = |percent| Json::Object(vec![("cumulative", value(percent)), ("interval", value(percent))]);
    Json::Array(QUANTILES.into_iter().map(both).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stats;

    #[test]
    fn as_envoy_prints_it() {
        let stats = Stats::new();
        assert_eq!(print(&stats.snapshot()), r#"{"stats":[]}"#);
        stats.counter("server.a").add(30);
        assert_eq!(print(&stats.snapshot()), r#"{"stats":[{"name":"server.a","value":30}]}"#);
        let histogram = stats.histogram("h");
        let json = print(&stats.snapshot());
        let empty = r#"{"histograms":{"supported_quantiles":[0,25,50,75,90,95,99,99.5,99.9,100],"computed_quantiles":[{"name":"h","values":[{"cumulative":null,"interval":null},"#;
        assert!(json.starts_with(r#"{"stats":[{"name":"server.a","value":30},"#) && json.contains(empty), "{json}");
        histogram.record(0);
        assert!(print(&stats.snapshot()).contains(r#"[{"cumulative":0,"interval":0},"#));
    }
}
