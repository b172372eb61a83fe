//! Conditions on headers, in every spelling since 2017.

use crate::{
    envoy::{
        diagnostic::{Code, Diagnostic},
        reader::{FromConfig, Read, Reader, Unsupported, Value},
    },
    http::header_match::{HeaderMatch, HeaderMatchName, HeaderMatchValue},
};

const KINDS: [&str; 10] = [
    "exact_match",
    "regex_match",
    "safe_regex_match",
    "range_match",
    "present_match",
    "prefix_match",
    "suffix_match",
    "contains_match",
    "string_match",
    "runtime_match",
];

type FromText = fn(String) -> HeaderMatchValue;

impl FromConfig for HeaderMatch {
    const MESSAGE: &'static str = "header_matcher";
    const UNSUPPORTED: &'static [Unsupported] = &[("ranges of numbers", &["range_match"])];

    fn from_config(reader: &mut Reader<'_>) -> Read<Self> {
        let name = match reader.get("name") {
            Some(value) => header_name(value),
            None => reader.required::<String>("name").map(|_| HeaderMatchName::Path),
        };
        let value = condition(reader);
        let invert = reader.or("invert_match", false);
        let missing = reader.only("treat_missing_header_as_empty", false);
        let (name, (value, absent), invert) = (name?, value?, invert?);
        missing?;
        Ok(Self { name, value, invert: invert != absent })
    }
}

fn header_name(value: Value<'_>) -> Read<HeaderMatchName> {
    let name = value.read::<String>()?;
    name.parse().map_err(|_| {
        let error = Diagnostic::error(Code::HeaderName, format!("{} is not the name of a header", value.quoted()));
        let error = error.at(value.span(), "");
        let pseudo = "of those with a colon there are `:path`, `:method`, `:authority` and `:scheme`";
        value.diagnostics().error(if name.starts_with(':') { error.help(pseudo) } else { error })
    })
}

/// The condition, and whether it is that the header is absent.
fn condition(reader: &mut Reader<'_>) -> Read<(HeaderMatchValue, bool)> {
    for (name, instead) in [
        ("exact_match", "`string_match` with `exact`"),
        ("prefix_match", "`string_match` with `prefix`"),
        ("suffix_match", "`string_match` with `suffix`"),
        ("contains_match", "`string_match` with `contains`"),
        ("safe_regex_match", "`string_match` with `safe_regex`"),
        ("regex_match", "`string_match` with `safe_regex`"),
    ] {
        reader.deprecated(name, instead);
    }
    let exclusive = reader.at_most_one_of(&KINDS);
    let texts: [(&'static str, FromText); 4] = [
        ("exact_match", HeaderMatchValue::Exact),
        ("prefix_match", HeaderMatchValue::Prefix),
        ("suffix_match", HeaderMatchValue::Suffix),
        ("contains_match", HeaderMatchValue::Contains),
    ];
    let mut found = Ok(None);
    for (name, make) in texts {
        if let Some(value) = reader.get(name) {
            found = value.read().map(|text| Some((make(text), false)));
        }
    }
    for (name, read) in
        [("safe_regex_match", safe_regex as fn(Value<'_>) -> _), ("regex_match", regex), ("string_match", string)]
    {
        if let Some(value) = reader.get(name) {
            found = read(value).map(|value| Some((value, false)));
        }
    }
    if let Some(present) = reader.get("present_match") {
        found = present.read::<bool>().map(|present| Some((HeaderMatchValue::Present, !present)));
    }
    exclusive?;
    // Without a condition, the header has to be there.
    Ok(found?.unwrap_or((HeaderMatchValue::Present, false)))
}

/// `StringMatcher`.
fn string(value: Value<'_>) -> Read<HeaderMatchValue> {
    value.message("string_match", |reader| {
        let case = reader.only("ignore_case", false);
        let custom = reader.get("custom").map(|custom| {
            custom.error(Code::Unsupported, "matchers that are extensions are not supported by this version", "")
        });
        let one = reader.exactly_one_of(&["exact", "prefix", "suffix", "contains", "safe_regex", "custom"]);
        let texts: [(&'static str, FromText); 4] = [
            ("exact", HeaderMatchValue::Exact),
            ("prefix", HeaderMatchValue::Prefix),
            ("suffix", HeaderMatchValue::Suffix),
            ("contains", HeaderMatchValue::Contains),
        ];
        let mut found = Ok(None);
        for (name, make) in texts {
            if let Some(value) = reader.get(name) {
                found = value.read().map(|text| Some(make(text)));
            }
        }
        if let Some(value) = reader.get("safe_regex") {
            found = safe_regex(value).map(Some);
        }
        one?;
        case?;
        custom.map_or(Ok(()), Err)?;
        found.map(|value| value.unwrap_or(HeaderMatchValue::Present))
    })
}

/// `RegexMatcher`.
fn safe_regex(value: Value<'_>) -> Read<HeaderMatchValue> {
    value.message("safe_regex", |reader| {
        // Until 2022 the engine had to be named; there was but this one.
        if let Some(engine) = reader.get("google_re2") {
            engine.message("google_re2", |engine| engine.optional::<u32>("max_program_size"))?;
        }
        match reader.get("regex") {
            Some(value) => regex(value),
            None => reader.required::<String>("regex").map(HeaderMatchValue::Regex),
        }
    })
}

fn regex(value: Value<'_>) -> Read<HeaderMatchValue> {
    let pattern = value.read::<String>()?;
    match regex::Regex::new(&pattern) {
        Ok(_) => Ok(HeaderMatchValue::Regex(pattern)),
        Err(error) => {
            let message = format!("`{}` is not a regular expression", value.field());
            // The library's text draws its own picture of the place; its last line says what is wrong.
            let text = error.to_string();
            Err(value.error(Code::InvalidValue, message, text.lines().last().unwrap_or_default().trim()))
        }
    }
}
