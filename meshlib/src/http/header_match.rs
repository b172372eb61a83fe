//! Conditions on headers, as routes and filters have them.

use http::HeaderName;

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

/// A header's name, or a part of the request line that Envoy treats as a header.
#[derive(Clone, Debug, PartialEq, Eq)]
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
