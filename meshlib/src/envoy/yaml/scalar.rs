//! Scalars, and their types by the core rules of YAML 1.2: `yes` is a string.

use std::sync::Arc;

/// A scalar as it was written.
#[derive(Clone, Debug)]
pub struct Scalar {
    text: Arc<str>,
    plain: bool,
}

/// What a scalar is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScalarValue<'a> {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, or a whole one beyond 64 bits.
    Float(f64),
    /// Everything else, and everything in quotes.
    String(&'a str),
}

impl Scalar {
    /// A scalar; `plain` when nothing (no quotes, no `|`, no `!!str`) says that it is a string.
    pub(super) fn new(text: impl Into<Arc<str>>, plain: bool) -> Self {
        Self { text: text.into(), plain }
    }

    /// Its text, quotes and escapes resolved.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// What it is.
    pub fn value(&self) -> ScalarValue<'_> {
        let text = self.text();
        if !self.plain {
            return ScalarValue::String(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => ScalarValue::Null,
            "true" | "True" | "TRUE" => ScalarValue::Bool(true),
            "false" | "False" | "FALSE" => ScalarValue::Bool(false),
            _ => number(text).unwrap_or(ScalarValue::String(text)),
        }
    }
}

/// A number by the core rules; `None` for anything else.
pub(crate) fn number(text: &str) -> Option<ScalarValue<'static>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            // `from_str_radix` would take a sign here.
            let digits = Some(digits).filter(|digits| digits.chars().all(|digit| digit.is_digit(radix)))?;
            return i64::from_str_radix(digits, radix).ok().map(ScalarValue::Int);
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(ScalarValue::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(ScalarValue::Float(f64::NAN)),
        _ => {}
    }
    // What the core rules and Rust both take: `1.5e3`, `.5`, `5.`; not `inf`, `nan`, `1_000`.
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.parse().map(ScalarValue::Int).or_else(|_| text.parse().map(ScalarValue::Float)).ok()
}

#[cfg(test)]
mod tests {
    use super::{ScalarValue::*, *};

    #[test]
    fn core_schema() {
        let value = |text: &'static str| number(text).unwrap_or(String(text));
        assert_eq!(value("0x1F"), Int(31));
        assert_eq!(value("0o17"), Int(15));
        assert_eq!(value("017"), Int(17));
        assert_eq!(value("-5"), Int(-5));
        assert_eq!(value(".5"), Float(0.5));
        assert_eq!(value("1e3"), Float(1000.0));
        assert_eq!(value("-.inf"), Float(f64::NEG_INFINITY));
        assert_eq!(value("99999999999999999999"), Float(1e20));
        for text in ["inf", "nan", "NaN", "0x", "0x-1", "1_000", "1.2.3", "--1", "127.0.0.1", "5s", "-", "."] {
            assert_eq!(value(text), String(text));
        }
        let scalar = |text: &str, plain| Scalar::new(text, plain);
        assert_eq!(scalar("yes", true).value(), String("yes"));
        assert_eq!(scalar("true", true).value(), Bool(true));
        assert_eq!(scalar("true", false).value(), String("true"));
        assert_eq!(scalar("", true).value(), Null);
        assert_eq!(scalar("", false).value(), String(""));
    }
}
