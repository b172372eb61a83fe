//! Format strings: parsed once, into operators.

use std::{fmt, str::FromStr};

use http::HeaderName;

use super::operator::{Header, Name, Op};

/// Envoy's default format.
pub const DEFAULT_FORMAT: &str = concat!(
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% ",
    "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ",
    "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" ",
    "\"%UPSTREAM_HOST%\"\n"
);

/// A compiled format string.
///
/// | operator | prints |
/// |---|---|
/// | `%REQ(X?Y):Z%`, `%RESP(X?Y):Z%`, `%REQ_WITHOUT_QUERY(X?Y):Z%` | the header X, or Y in its absence, at most Z bytes; `:method`, `:path`, `:authority`, `:scheme` and, of responses, `:status` are headers |
/// | `%START_TIME%`, `%START_TIME(f)%` | when the request began, in UTC, by a `strftime` format: `%Y %y %m %b %d %e %j %a %H %M %S %F %T %R %s %f %1f`-`%9f %E1S`-`%E9S %z %Z` |
/// | `%PROTOCOL%` | `HTTP/1.0`, `HTTP/1.1` or `HTTP/2` |
/// | `%RESPONSE_CODE%`, `%RESPONSE_FLAGS%`, `%GRPC_STATUS%`, `%GRPC_STATUS_NUMBER%` | how it ended; `%GRPC_STATUS(f)%` takes `CAMEL_STRING`, `SNAKE_STRING` or `NUMBER` |
/// | `%BYTES_RECEIVED%`, `%BYTES_SENT%`, `%DURATION%`, `%REQUEST_DURATION%` | body bytes; milliseconds to the end, and to the end of the request |
/// | `%UPSTREAM_HOST%`, `%UPSTREAM_CLUSTER%`, `%UPSTREAM_REQUEST_ATTEMPT_COUNT%`, `%ROUTE_NAME%`, `%VIRTUAL_HOST_NAME%` | where it went |
/// | `%DOWNSTREAM_REMOTE_ADDRESS%`, `%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%`, `%DOWNSTREAM_LOCAL_ADDRESS%` | the trusted client, the connection's peer, this side; also with `_WITHOUT_PORT`, and the ports as `%DOWNSTREAM_LOCAL_PORT%` and so on |
/// | `%REQUESTED_SERVER_NAME%`, `%DOWNSTREAM_TLS_VERSION%` | the connection's TLS |
///
/// What is absent prints as `-`; `%%` is a percent sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    pub(super) operators: Box<[Op]>,
    pub(super) request_headers: Box<[HeaderName]>,
    pub(super) response_headers: Box<[HeaderName]>,
}

impl Default for Format {
    fn default() -> Self {
        // The constant compiles: a test says so.
        Self::parse(DEFAULT_FORMAT).unwrap_or_else(|_| Self::of(Vec::new()))
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(format: &str) -> Result<Self, FormatError> {
        Self::parse(format)
    }
}

impl Format {
    /// Compiles a format string. A line ends where the format says: Envoy adds no line break either.
    ///
    /// # Errors
    /// An operator that is not known or not complete, with its place.
    pub fn parse(format: &str) -> Result<Self, FormatError> {
        let mut operators = Vec::new();
        let mut text = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            let position = format.len() - from.len();
            if let Some(after) = from.strip_prefix("%%") {
                text.push('%');
                rest = after;
                continue;
            }
            push_text(&mut operators, &mut text);
            let (operator, after) = parse_one(from).map_err(|message| FormatError { position, message })?;
            operators.push(operator);
            rest = after;
        }
        text.push_str(rest);
        push_text(&mut operators, &mut text);
        Ok(Self::of(operators))
    }

    fn of(operators: Vec<Op>) -> Self {
        let (mut request_headers, mut response_headers) = (Vec::new(), Vec::new());
        for operator in &operators {
            match operator {
                Op::Request(header) | Op::RequestWithoutQuery(header) => add_names(&mut request_headers, header),
                Op::Response(header) => add_names(&mut response_headers, header),
                _ => {}
            }
        }
        Self {
            operators: operators.into(),
            request_headers: request_headers.into(),
            response_headers: response_headers.into(),
        }
    }
}

fn push_text(operators: &mut Vec<Op>, text: &mut String) {
    if !text.is_empty() {
        operators.push(Op::Text(std::mem::take(text).into()));
    }
}

fn add_names(names: &mut Vec<HeaderName>, header: &Header) {
    for name in std::iter::once(&header.name).chain(&header.alternative) {
        if let Name::Header(name) = name
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
}

/// Compiles the operator at the beginning of `from`; gives what follows it.
fn parse_one(from: &str) -> Result<(Op, &str), String> {
    let unfinished = || "an operator without its closing `%`; a percent sign is `%%`".to_owned();
    let rest = from.strip_prefix('%').unwrap_or(from);
    let end = rest.find(|letter: char| !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'));
    let (name, mut rest) = rest.split_at(end.ok_or_else(unfinished)?);
    let mut argument = None;
    if let Some(inside) = rest.strip_prefix('(') {
        let (inside, after) = inside.split_once(')').ok_or_else(|| format!("`%{name}(` without its `)`"))?;
        (argument, rest) = (Some(inside), after);
    }
    let mut max_length = None;
    if let Some(length) = rest.strip_prefix(':') {
        let end = length.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(unfinished)?;
        let (length, after) = length.split_at(end);
        let length = length.parse().map_err(|_| format!("`{length}` is no maximal length"))?;
        (max_length, rest) = (Some(length), after);
    }
    let rest = rest.strip_prefix('%').ok_or_else(unfinished)?;
    Ok((Op::parse(name, argument, max_length)?, rest))
}

/// What is wrong with a format string, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    position: usize,
    message: String,
}

impl FormatError {
    /// The byte at which the operator at fault begins, counted from 0.
    pub fn position(&self) -> usize {
        self.position
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access log format, at byte {}: {}", self.position, self.message)
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names_its_headers() {
        let format = Format::parse(DEFAULT_FORMAT).unwrap();
        assert_eq!(format, Format::default());
        let request = ["x-envoy-original-path", "x-forwarded-for", "user-agent", "x-request-id"];
        assert_eq!(*format.request_headers, request.map(HeaderName::from_static));
        assert_eq!(*format.response_headers, [HeaderName::from_static("x-envoy-upstream-service-time")]);
    }

    #[test]
    fn errors_have_a_place() {
        for (format, position, message) in [
            ("ok %NOPE% x", 3, "unknown operator `%NOPE%`"),
            ("%PROTOCOL", 0, "without its closing"),
            ("50% off", 2, "without its closing"),
            ("%%%REQ(X%", 2, "without its `)`"),
            ("%REQ()%", 0, "needs a header's name"),
            ("%REQ%", 0, "needs a header's name"),
            ("%REQ(a b)%", 0, "`a b` is no header's name"),
            ("%REQ(X?)%", 0, "`` is no header's name"),
            ("%REQ(X):%", 0, "`` is no maximal length"),
            ("%RESP(:PATH)%", 0, "`:PATH` is no header's name"),
            ("%DURATION:3%", 0, "takes no maximal length"),
            ("%DURATION(x)%", 0, "takes no argument"),
            ("%START_TIME(%Q)%", 0, "unknown time specifier `%Q`"),
            ("%GRPC_STATUS(x)%", 0, "`x` is no form"),
        ] {
            let error = Format::parse(format).expect_err(format);
            assert_eq!(error.position(), position, "{format}");
            assert!(error.to_string().contains(message), "{format}: {error}");
        }
    }
}
