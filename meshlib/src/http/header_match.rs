//! Conditions on headers, as routes and filters have them.
//!
//! A [`HeaderMatch`] is the plain value that a configuration holds; a [`HeaderMatcher`] is its compiled form, which
//! answers for a request without allocating (unless a header stands several times).
//!
//! ```
//! use http::Request;
//! use meshlib::http::header_match::{HeaderMatch, HeaderMatcher};
//!
//! let probe = HeaderMatcher::new(&HeaderMatch::exact(":path".parse().unwrap(), "/healthz")).unwrap();
//! assert!(probe.matches(&Request::get("/healthz").body(()).unwrap()));
//! assert!(!probe.matches(&Request::get("/healthz?x=1").body(()).unwrap()));
//! ```

use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName, Request, header::HOST};
use regex::bytes::{Regex, RegexBuilder};

use crate::base::RequestInfo;

/// A condition on one header. `:path`, `:method` and `:authority` are headers here, as in Envoy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HeaderMatch {
    /// Which header.
    pub name: HeaderMatchName,
    /// What of it.
    pub value: HeaderMatchValue,
    /// Whether the condition is turned round (`invert_match`).
    pub invert: bool,
}

impl HeaderMatch {
    /// The header `name` has exactly this value.
    pub fn exact(name: HeaderMatchName, value: impl Into<String>) -> Self {
        Self { name, value: HeaderMatchValue::Exact(value.into()), invert: false }
    }
}

/// A header's name, or a part of the request line that Envoy treats as a header; parsed of `:path` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderMatchName {
    /// `:path`, query included.
    Path,
    /// `:method`.
    Method,
    /// `:authority`, or `host`.
    Authority,
    /// `:scheme`.
    Scheme,
    /// Any other.
    Header(HeaderName),
}

impl std::str::FromStr for HeaderMatchName {
    type Err = http::header::InvalidHeaderName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(match name {
            ":path" => Self::Path,
            ":method" => Self::Method,
            ":authority" => Self::Authority,
            ":scheme" => Self::Scheme,
            other if other.eq_ignore_ascii_case("host") => Self::Authority,
            other => Self::Header(other.parse()?),
        })
    }
}

/// What a header's value must be. Case counts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HeaderMatchValue {
    /// There is such a header.
    Present,
    /// Exactly this.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// It ends so.
    Suffix(String),
    /// It contains this.
    Contains(String),
    /// The whole value matches this regular expression.
    Regex(String),
}

/// The longest regular expression that is compiled, in bytes.
const MAX_REGEX_LENGTH: usize = 4096;
/// The most memory that one compiled expression, and its lazily built automaton, may take.
const MAX_REGEX_MEMORY: usize = 1 << 20;

/// A [`HeaderMatch`] compiled.
#[derive(Clone, Debug)]
pub struct HeaderMatcher {
    name: HeaderMatchName,
    value: Matcher,
    invert: bool,
}

#[derive(Clone, Debug)]
enum Matcher {
    Present,
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    Regex(Regex),
}

impl HeaderMatcher {
    /// Compiles a condition.
    ///
    /// # Errors
    /// A regular expression that is not one, or that is too large.
    pub fn new(config: &HeaderMatch) -> Result<Self, HeaderMatchError> {
        let bytes = |text: &String| text.as_bytes().into();
        let value = match &config.value {
            HeaderMatchValue::Present => Matcher::Present,
            HeaderMatchValue::Exact(text) => Matcher::Exact(bytes(text)),
            HeaderMatchValue::Prefix(text) => Matcher::Prefix(bytes(text)),
            HeaderMatchValue::Suffix(text) => Matcher::Suffix(bytes(text)),
            HeaderMatchValue::Contains(text) => Matcher::Contains(bytes(text)),
            HeaderMatchValue::Regex(pattern) => Matcher::Regex(full_match(pattern)?),
        };
        Ok(Self { name: config.name.clone(), value, invert: config.invert })
    }

    /// Compiles several conditions, all of which must hold.
    ///
    /// # Errors
    /// The first that cannot be compiled.
    pub fn all(configs: &[HeaderMatch]) -> Result<Vec<Self>, HeaderMatchError> {
        configs.iter().map(Self::new).collect()
    }

    /// Whether the condition holds. Several values of one header are joined by commas. A header that is not there
    /// meets no condition on its value, not even an inverted one: Envoy's rule.
    pub fn matches<B>(&self, request: &Request<B>) -> bool {
        match self.value_of(request) {
            Some(value) => self.value.holds(&value) != self.invert,
            None => matches!(self.value, Matcher::Present) && self.invert,
        }
    }

    fn value_of<'a, B>(&self, request: &'a Request<B>) -> Option<Cow<'a, [u8]>> {
        let uri = request.uri();
        let text = match &self.name {
            HeaderMatchName::Path => uri.path_and_query()?.as_str(),
            HeaderMatchName::Method => request.method().as_str(),
            HeaderMatchName::Scheme => scheme(request)?,
            HeaderMatchName::Authority => match uri.authority() {
                Some(authority) => authority.as_str(),
                None => return joined(request.headers(), &HOST),
            },
            HeaderMatchName::Header(name) => return joined(request.headers(), name),
        };
        Some(Cow::Borrowed(text.as_bytes()))
    }
}

/// The request's scheme: its target's, otherwise what the connection says.
fn scheme<B>(request: &Request<B>) -> Option<&str> {
    request.uri().scheme_str().or_else(|| {
        let connection = RequestInfo::of(request.extensions())?.connection()?;
        Some(if connection.tls.is_some() { "https" } else { "http" })
    })
}

fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.as_bytes();
    let mut value = Cow::Borrowed(first);
    for next in values {
        let all = value.to_mut();
        all.push(b',');
        all.extend_from_slice(next.as_bytes());
    }
    Some(value)
}

impl Matcher {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(text) => value == &**text,
            Self::Prefix(text) => value.starts_with(text),
            Self::Suffix(text) => value.ends_with(text),
            // An empty needle is in everything, and `windows` takes no zero.
            Self::Contains(text) => text.is_empty() || value.windows(text.len()).any(|window| window == &**text),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// Matches bytes, not text: a header that is no UTF-8 is looked at like any other.
fn full_match(pattern: &str) -> Result<Regex, HeaderMatchError> {
    let error = |why: String| HeaderMatchError { pattern: pattern.chars().take(200).collect(), why };
    if pattern.len() > MAX_REGEX_LENGTH {
        return Err(error(format!("longer than {MAX_REGEX_LENGTH} bytes")));
    }
    let compile = |pattern: &str| {
        RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(MAX_REGEX_MEMORY)
            .dfa_size_limit(MAX_REGEX_MEMORY)
            .build()
            .map_err(|why| error(why.to_string()))
    };
    // Alone first: `a)|(b` must not become valid by the parentheses around it.
    compile(pattern)?;
    compile(&format!(r"\A(?:{pattern})\z"))
}

/// A condition that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatchError {
    pattern: String,
    why: String,
}

impl HeaderMatchError {
    /// The regular expression, or the beginning of a long one.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

impl fmt::Display for HeaderMatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid regular expression `{}`: {}", self.pattern, self.why)
    }
}

impl std::error::Error for HeaderMatchError {}

#[cfg(test)]
mod tests;
