//! Durations as protobuf's JSON writes them: seconds with a fraction, and an `s`.

use std::time::Duration;

use super::{FromValue, Read, Value};
use crate::envoy::{
    diagnostic::{Code, Diagnostic},
    yaml::ScalarValue,
};

/// What protobuf allows: about ten thousand years.
const MAX_SECONDS: u64 = 315_576_000_000;

impl FromValue for Duration {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let text = match value.scalar() {
            Some(ScalarValue::String(text)) => text,
            Some(ScalarValue::Int(number)) => return Err(bad(value, meant(&number.to_string()))),
            Some(ScalarValue::Float(number)) => return Err(bad(value, meant(&number.to_string()))),
            _ => return Err(value.wrong_type("a duration like `0.5s`")),
        };
        let seconds = text.strip_suffix('s').and_then(parse);
        seconds.ok_or_else(|| bad(value, suggestion(text)))
    }
}

fn parse(number: &str) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds = whole.parse().ok().filter(|seconds| *seconds <= MAX_SECONDS)?;
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds, nanoseconds))
}

fn bad(value: Value<'_>, suggestion: Option<String>) -> crate::envoy::diagnostic::Reported {
    let message = format!("`{}` is not a duration: {}", value.field(), value.quoted());
    let label = suggestion.map_or_else(String::new, |text| format!("did you mean `{text}`?"));
    let error = Diagnostic::error(Code::Duration, message).at(value.span(), label);
    value.diagnostics().error(error.help("a duration is a number of seconds followed by `s`: `0.5s`, `10s`, `300s`"))
}

fn meant(seconds: &str) -> Option<String> {
    parse(seconds).map(|_| format!("{seconds}s"))
}

/// The same duration as Envoy wants it, for the units that people write.
fn suggestion(text: &str) -> Option<String> {
    let digits = text.find(|next: char| !next.is_ascii_digit() && next != '.')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "ms" => 1e-3,
        "us" => 1e-6,
        "ns" => 1e-9,
        "" | "sec" | "secs" | "second" | "seconds" | "S" | "s" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    let seconds = format!("{:.9}", number * factor);
    meant(seconds.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(parse("10"), Some(Duration::from_secs(10)));
        assert_eq!(parse("0.000000001"), Some(Duration::from_nanos(1)));
        assert_eq!(parse("315576000000"), Some(Duration::from_secs(MAX_SECONDS)));
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "315576000001", "0.0000000001", " 1", "99999999999999999999"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(suggestion("500ms").as_deref(), Some("0.5s"));
        assert_eq!(suggestion("5m").as_deref(), Some("300s"));
        assert_eq!(suggestion("1 s").as_deref(), Some("1s"));
        assert_eq!(suggestion("soon"), None);
    }
}
