//! The query of an admin request: which stats or clusters, in which form. Bounded in what it may cost.

use std::{borrow::Cow, fmt::Display};

use regex::{Regex, RegexBuilder};

/// The longest regular expression, in bytes.
const MAX_FILTER: usize = 1024;
/// The most memory that a compiled regular expression may take, in bytes. Matching takes time linear in the name.
const MAX_COMPILED: usize = 1 << 20;

/// The parameters of a query string.
#[derive(Clone, Copy)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The first value of `name`, decoded; empty for a bare `name`.
    pub(super) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.0.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find_map(|(key, value)| {
            (key == name).then(|| percent_decode(value)) //
        })
    }
}

/// `%41` is `A`; anything else stays as it is, `+` included, as in Envoy.
fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match (*byte, bytes.as_slice()) {
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high * 16 + low);
                    bytes.nth(1);
                }
                _ => decoded.push(*byte),
            },
            _ => decoded.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A filter by name: a regular expression that is searched for, or everything.
pub(super) struct Filter {
    regex: Option<Regex>,
    inverted: bool,
}

impl Filter {
    /// Reads `filter` and `invert_filter`. The error is Envoy's answer to a bad expression.
    pub(super) fn read(query: Query<'_>) -> Result<Self, String> {
        let regex = match query.get("filter") {
            Some(filter) if !filter.is_empty() => Some(compile(&filter)?),
            _ => None,
        };
        Ok(Self { regex, inverted: query.get("invert_filter").is_some() })
    }

    pub(super) fn accepts(&self, name: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(name) != self.inverted)
    }
}

fn compile(filter: &str) -> Result<Regex, String> {
    let invalid = |why: &dyn Display| format!("Invalid re2 regex: {why}");
    if filter.len() > MAX_FILTER {
        return Err(invalid(&format_args!("longer than {MAX_FILTER} bytes")));
    }
    RegexBuilder::new(filter).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build().map_err(|error| {
        // The last line says what is wrong; those before it repeat the expression.
        invalid(&error.to_string().lines().last().unwrap_or_default())
    })
}

/// Which stats.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StatKind {
    All,
    Counters,
    Gauges,
    Histograms,
    /// meshlib has none.
    TextReadouts,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Prometheus,
}

/// A request for stats.
pub(super) struct StatsQuery {
    pub(super) format: Format,
    pub(super) kind: StatKind,
    pub(super) used_only: bool,
    pub(super) filter: Filter,
}

impl StatsQuery {
    /// Reads the parameters of `/stats`. As in Envoy, `usedonly` needs no value and unknown parameters mean nothing;
    /// the error is the text of a 400.
    pub(super) fn read(query: Query<'_>) -> Result<Self, String> {
        let format = match query.get("format").as_deref() {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some("prometheus") => Format::Prometheus,
            Some(_) => return Err("usage: /stats?format=(json|prometheus|text)\n\n".to_owned()),
        };
        let kind = match query.get("type").as_deref() {
            None | Some("All") => StatKind::All,
            Some("Counters") => StatKind::Counters,
            Some("Gauges") => StatKind::Gauges,
            Some("Histograms") => StatKind::Histograms,
            Some("TextReadouts") => StatKind::TextReadouts,
            Some(_) => return Err("invalid &type= param".to_owned()),
        };
        // Envoy's default differs by form; each of ours has only that one.
        let buckets = if format == Format::Prometheus { "cumulative" } else { "summary" };
        if query.get("histogram_buckets").is_some_and(|value| value != buckets) {
            return Err(format!("usage: /stats?histogram_buckets=({buckets})\n"));
        }
        Ok(Self { format, kind, used_only: query.get("usedonly").is_some(), filter: Filter::read(query)? })
    }

    pub(super) fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let query = Query::new(Some("usedonly&filter=a%2eb%252e%zz%4&format=json&filter=second"));
        assert_eq!(query.get("usedonly").as_deref(), Some(""));
        assert_eq!(query.get("filter").as_deref(), Some("a.b%2e%zz%4"));
        assert_eq!(query.get("absent"), None);
        assert_eq!(Query::new(Some("a=%ff")).get("a").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn filters_search_and_invert() {
        let filter = |query| Filter::read(Query::new(Some(query)));
        assert!(filter("filter=rq_to").unwrap().accepts("cluster.a.upstream_rq_total"));
        assert!(!filter("filter=^rq_to").unwrap().accepts("cluster.a.upstream_rq_total"));
        assert!(filter("filter=^rq&invert_filter").unwrap().accepts("cluster.a.upstream_rq_total"));
        assert!(filter("filter=").unwrap().accepts("anything"));
    }

    #[test]
    fn costly_or_broken_filters_are_refused() {
        for bad in ["[", "(((a{1000}){1000}){1000})", &"a".repeat(MAX_FILTER + 1)] {
            let refused = Filter::read(Query::new(Some(&format!("filter={bad}")))).err().unwrap();
            assert!(refused.starts_with("Invalid re2 regex: ") && refused.len() < 200, "{refused}");
        }
    }

    #[test]
    fn stats_parameters_are_checked() {
        let read = |query| StatsQuery::read(Query::new(Some(query)));
        assert_eq!(read("format=html").err().unwrap(), "usage: /stats?format=(json|prometheus|text)\n\n");
        assert_eq!(read("type=counters").err().unwrap(), "invalid &type= param");
        assert!(read("histogram_buckets=detailed").is_err());
        assert!(read("format=prometheus&histogram_buckets=cumulative").is_ok());
        assert_eq!(read("what=ever").unwrap().format, Format::Text);
    }
}
