//! One message of a file: its fields, each of which must be accounted for.

use super::{FromConfig, FromValue, Harmless, Read, Unsupported, Value, suggest::suggest};
use crate::envoy::{
    diagnostic::{Code, Diagnostic, Diagnostics, Reported, Span},
    yaml::Entry,
};

/// The fields of one message.
#[derive(Debug)]
pub struct Reader<'a> {
    value: Value<'a>,
    message: &'static str,
    fields: Vec<Field<'a>>,
    /// Every name asked for.
    known: Vec<&'static str>,
    /// Those that had to be there, and were not.
    missing: Vec<&'static str>,
    harmless: &'static [Harmless],
    unsupported: &'static [Unsupported],
}

#[derive(Debug)]
struct Field<'a> {
    entry: &'a Entry,
    used: bool,
}

/// Whether `key` is `name`, or `name` in camelCase.
fn names(key: &str, name: &str) -> bool {
    let mut rest = key.chars();
    let mut upper = false;
    for expected in name.chars() {
        if expected == '_' {
            upper = true;
            continue;
        }
        let expected = if std::mem::take(&mut upper) { expected.to_ascii_uppercase() } else { expected };
        if rest.next() != Some(expected) {
            return key == name;
        }
    }
    rest.next().is_none() || key == name
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        value: Value<'a>,
        message: &'static str,
        harmless: &'static [Harmless],
        unsupported: &'static [Unsupported],
    ) -> Read<Self> {
        let fields = value.fields()?.iter();
        let used = |entry: &Entry| value.is_typed() && entry.key() == "@type";
        let fields = fields.map(|entry| Field { entry, used: used(entry) }).collect();
        Ok(Self { value, message, fields, known: Vec::new(), missing: Vec::new(), harmless, unsupported })
    }

    /// Where the message stands.
    pub fn span(&self) -> Span {
        self.value.span()
    }

    /// The message itself.
    pub fn value(&self) -> Value<'a> {
        self.value
    }

    /// Where errors and warnings go.
    pub fn diagnostics(&self) -> &'a Diagnostics {
        self.value.diagnostics()
    }

    /// The field's value, if it is there and not null.
    pub fn get(&mut self, name: &'static str) -> Option<Value<'a>> {
        self.known.push(name);
        let mut found: Option<&'a Entry> = None;
        for field in self.fields.iter_mut().filter(|field| names(field.entry.key(), name)) {
            if let Some(first) = found.filter(|_| !field.used) {
                let error = Diagnostic::error(Code::DuplicateKey, format!("`{name}` is given twice"))
                    .at(field.entry.key_span(), "given again here")
                    .and(first.key_span(), "first given here");
                self.value.diagnostics().error(error);
            }
            field.used = true;
            found = found.or(Some(field.entry));
        }
        let value = Value::new(found?.value(), name, self.value.diagnostics());
        (!value.is_null()).then_some(value)
    }

    /// A field that need not be there.
    ///
    /// # Errors
    /// It is there, and cannot be read.
    pub fn optional<T: FromValue>(&mut self, name: &'static str) -> Read<Option<T>> {
        self.get(name).map(T::from_value).transpose()
    }

    /// A field that need not be there, with its default.
    ///
    /// # Errors
    /// It is there, and cannot be read.
    pub fn or<T: FromValue>(&mut self, name: &'static str, default: T) -> Read<T> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn required<T: FromValue>(&mut self, name: &'static str) -> Read<T> {
        match self.get(name) {
            Some(value) => T::from_value(value),
            None => {
                // Reported at the end: a misspelt field nearby explains it better.
                self.missing.push(name);
                Err(Reported::later())
            }
        }
    }

    /// A repeated field: a list, one value in place of a list, or nothing.
    ///
    /// # Errors
    /// Some element cannot be read; all of them are looked at.
    pub fn list<T: FromValue>(&mut self, name: &'static str) -> Read<Vec<T>> {
        let items: Vec<_> = self.get(name).into_iter().flat_map(Value::items).map(T::from_value).collect();
        items.into_iter().collect()
    }

    /// A field of which only one value is supported: Envoy's default.
    ///
    /// # Errors
    /// It is there, and is another value.
    pub fn only<T: FromValue + PartialEq + std::fmt::Debug>(&mut self, name: &'static str, value: T) -> Read<()> {
        let Some(given) = self.get(name) else { return Ok(()) };
        if given.read::<T>()? == value {
            return Ok(());
        }
        let message = format!("this version supports `{name}` only as `{value:?}`");
        Err(given.error(Code::Unsupported, message, "not supported"))
    }

    /// Where the field's key stands, whatever its value.
    pub fn key_span(&self, name: &str) -> Option<Span> {
        self.entry(name).map(Entry::key_span)
    }

    /// Where the field is null: there, but not set.
    pub fn null(&self, name: &str) -> Option<Span> {
        let entry = self.entry(name)?;
        Value::new(entry.value(), "", self.diagnostics()).is_null().then(|| entry.key_span())
    }

    /// Reports when more than one of these fields is set.
    ///
    /// # Errors
    /// More than one is set.
    pub fn at_most_one_of(&mut self, names: &[&'static str]) -> Read<()> {
        let mut set = names.iter().filter(|name| self.is_set(name)).filter_map(|name| self.entry(name));
        let (Some(first), Some(second)) = (set.next(), set.next()) else { return Ok(()) };
        let message = format!("`{}` and `{}` exclude each other", first.key(), second.key());
        let error = Diagnostic::error(Code::Conflict, message).at(second.key_span(), "").and(first.key_span(), "");
        Err(self.diagnostics().error(error))
    }

    /// Reports when none of these fields is set, or more than one.
    ///
    /// # Errors
    /// None is set, or more than one.
    pub fn exactly_one_of(&mut self, names: &[&'static str]) -> Read<()> {
        self.at_most_one_of(names)?;
        if names.iter().any(|name| self.is_set(name)) {
            return Ok(());
        }
        let list: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("`{}` needs one of {}", self.message, list.join(", "));
        Err(self.value.error(Code::MissingField, message, ""))
    }

    /// Warns that a field is an outdated spelling, when it is set.
    pub fn deprecated(&mut self, name: &'static str, instead: &str) {
        if let Some(entry) = self.entry(name).filter(|_| self.is_set(name)) {
            let message = format!("`{}` is outdated: write {instead}", entry.key());
            self.diagnostics().warn(Diagnostic::warning(Code::Deprecated, message).at(entry.key_span(), ""));
        }
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.entry(name).is_some_and(|entry| !Value::new(entry.value(), "", self.diagnostics()).is_null())
    }

    fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.fields.iter().map(|field| field.entry).find(|entry| names(entry.key(), name))
    }

    /// Accounts for every field that was not asked for, and for those that are missing.
    pub(super) fn finish(mut self) -> Read<()> {
        let mut result = Ok(());
        self.refuse_unsupported().unwrap_or_else(|reported| result = Err(reported));
        for (name, _) in self.harmless {
            self.get(name);
        }
        let diagnostics = self.diagnostics();
        for field in self.fields.iter().filter(|field| !field.used) {
            let key = field.entry.key();
            let suggestion = suggest(key, self.known.iter().copied());
            self.missing.retain(|name| Some(*name) != suggestion);
            let label = suggestion.map_or_else(|| "no such field".to_owned(), |name| format!("did you mean `{name}`?"));
            let message = format!("unknown field `{key}` in `{}`", self.message);
            let error = Diagnostic::error(Code::UnknownField, message).at(field.entry.key_span(), label);
            result = Err(diagnostics.error(error));
        }
        for name in &self.missing {
            let message = format!("`{}` needs the field `{name}`", self.message);
            result = Err(self.value.error(Code::MissingField, message, format!("`{name}` is missing")));
        }
        result
    }

    fn refuse_unsupported(&mut self) -> Read<()> {
        let mut result = Ok(());
        for (what, names) in self.unsupported {
            for name in *names {
                let span = self.key_span(name);
                let (Some(value), Some(span)) = (self.get(name), span) else { continue };
                if !value.is_empty_list() {
                    let message = format!("`{name}` in `{}` ({what}) is not supported by this version", self.message);
                    let error =
                        Diagnostic::error(Code::Unsupported, message).at(span, "Envoy knows it, meshlib does not");
                    result = Err(value.diagnostics().error(error));
                }
            }
        }
        result
    }
}

impl<T: FromConfig> FromValue for T {
    fn from_value(value: Value<'_>) -> Read<Self> {
        let mut reader = Reader::new(value, T::MESSAGE, T::HARMLESS, T::UNSUPPORTED)?;
        let result = T::from_config(&mut reader);
        reader.finish()?;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn both_cases_name_a_field() {
        for key in ["max_request_headers_kb", "maxRequestHeadersKb"] {
            assert!(names(key, "max_request_headers_kb"));
        }
        assert!(names("http2ProtocolOptions", "http2_protocol_options"));
        assert!(names("acceptHttp10", "accept_http_10"));
        for key in ["MaxRequestHeadersKb", "max_requestHeadersKb", "maxRequestHeaders", "maxRequestHeadersKbs", ""] {
            assert!(!names(key, "max_request_headers_kb"));
        }
    }
}
