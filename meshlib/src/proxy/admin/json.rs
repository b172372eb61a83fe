//! The little JSON that the admin interface writes. It reads none.

use std::fmt::{self, Write};

/// A JSON value.
pub(super) enum Json {
    Null,
    Bool(bool),
    Whole(i64),
    Real(f64),
    Text(String),
    Array(Vec<Self>),
    /// Members keep their order.
    Object(Vec<(&'static str, Self)>),
}

impl Json {
    pub(super) fn text(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string())
    }

    pub(super) fn whole(number: impl TryInto<i64>) -> Self {
        Self::Whole(number.try_into().unwrap_or(i64::MAX))
    }

    /// With line breaks, and one space for each level, as Envoy prints its messages.
    pub(super) fn pretty(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, Some(0));
        out.push('\n');
        out
    }

    /// `indent` is the level, or `None` for one line without spaces. The depth is what this crate builds, four or so.
    fn write(&self, out: &mut impl Write, indent: Option<usize>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Whole(value) => write!(out, "{value}"),
            Self::Real(value) if value.is_finite() => write!(out, "{value}"),
            Self::Real(_) => out.write_str("null"),
            Self::Text(text) => quote(out, text),
            Self::Array(values) => sequence(out, indent, ('[', ']'), values, |out, value, indent| {
                value.write(out, indent) //
            }),
            Self::Object(members) => sequence(out, indent, ('{', '}'), members, |out, (name, value), indent| {
                quote(out, name)?;
                out.write_str(if indent.is_some() { ": " } else { ":" })?;
                value.write(out, indent)
            }),
        }
    }
}

/// One line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

fn sequence<W: Write, T>(
    out: &mut W,
    indent: Option<usize>,
    (open, close): (char, char),
    items: &[T],
    mut item: impl FnMut(&mut W, &T, Option<usize>) -> fmt::Result,
) -> fmt::Result {
    out.write_char(open)?;
    let inner = indent.map(|level| level + 1);
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        new_line(out, inner)?;
        item(out, value, inner)?;
    }
    if !items.is_empty() {
        new_line(out, indent)?;
    }
    out.write_char(close)
}

fn new_line(out: &mut impl Write, indent: Option<usize>) -> fmt::Result {
    match indent {
        Some(level) => write!(out, "\n{:level$}", ""),
        None => Ok(()),
    }
}

/// A string of RFC 8259. `<`, `>` and `&` are escaped too, so that no reader takes the answer for HTML.
fn quote(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", u32::from(character))?,
            control if control.is_control() => write!(out, "\\u{:04x}", u32::from(control))?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_in_both_forms() {
        let json = Json::Object(vec![
            ("text", Json::text("a\"\\\n\u{1}</script>\u{e9}")),
            ("list", Json::Array(vec![Json::Null, Json::Bool(true), Json::Whole(-1), Json::Real(1.5)])),
            ("empty", Json::Object(Vec::new())),
            ("not a number", Json::Real(f64::NAN)),
        ]);
        assert_eq!(
            json.to_string(),
            "{\"text\":\"a\\\"\\\\\\n\\u0001\\u003c/script\\u003e\u{e9}\",\"list\":[null,true,-1,1.5],\"empty\":{},\
             \"not a number\":null}"
        );
        let short = Json::Object(vec![("a", Json::Array(vec![Json::whole(1_u64)])), ("b", Json::Array(Vec::new()))]);
        assert_eq!(short.pretty(), "{\n \"a\": [\n  1\n ],\n \"b\": []\n}\n");
    }
}
