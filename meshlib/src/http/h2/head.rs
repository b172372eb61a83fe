//! Message heads and trailers, from the fields of a block and back (RFC 9113, section 8).

use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version,
    header::CONTENT_LENGTH,
    request, response,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::{
    hpack::{Encoder, Name, Pseudo},
    limits::HeadLimits,
};
use crate::http::headers::{content_length, origin_form};

/// What a block says is no message (section 8.1.1): its stream is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A head that has come, and what has to be known of it before anybody looks.
#[derive(Debug)]
pub(super) struct Head<T> {
    pub(super) parts: T,
    /// Beyond the limits: not all of it is here.
    pub(super) is_over: bool,
    pub(super) content_length: Option<u64>,
}

/// Room for the fields of a usual head, and for what a proxy adds: a map that grows is built twice.
const USUAL: usize = 12;

/// The fields of a block, as they come.
#[derive(Debug)]
pub(super) struct Fields {
    limits: HeadLimits,
    /// How many fields there is room for once the first one comes.
    usual: usize,
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
    status: Option<StatusCode>,
    headers: HeaderMap,
    content_length: Option<u64>,
    /// As limits count it.
    size: usize,
    is_over: bool,
    is_malformed: bool,
}

impl Fields {
    pub(super) fn of_head(limits: HeadLimits) -> Self {
        Self::new(limits, USUAL)
    }

    pub(super) fn of_trailers(limits: HeadLimits) -> Self {
        Self::new(limits, 0)
    }

    fn new(limits: HeadLimits, usual: usize) -> Self {
        Self {
            limits,
            usual,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            status: None,
            headers: HeaderMap::new(),
            content_length: None,
            size: 0,
            is_over: false,
            is_malformed: false,
        }
    }

    /// Takes the next field. `targets` are those of the heads before.
    pub(super) fn push(&mut self, name: Name, value: HeaderValue, targets: &mut Targets) {
        if self.is_malformed {
            return;
        }
        match name {
            Name::Field(name) => self.push_field(name, value),
            // Pseudo-fields come first (section 8.3).
            Name::Pseudo(_) if !self.headers.is_empty() => self.is_malformed = true,
            Name::Pseudo(name) => {
                if self.push_pseudo(name, &value, targets).is_none() {
                    self.is_malformed = true;
                }
            }
            Name::Invalid => self.is_malformed = true,
        }
    }

    fn push_field(&mut self, name: HeaderName, value: HeaderValue) {
        self.size += name.as_str().len() + value.len() + 32;
        self.is_over |= !self.limits.allow(self.headers.len() + 1, self.size);
        self.is_malformed |= is_forbidden(&name, &value);
        if self.is_over {
            return;
        }
        if name == CONTENT_LENGTH {
            let length = content_length(&value);
            self.is_malformed |= length.is_none() || self.content_length.is_some_and(|other| Some(other) != length);
            self.content_length = length;
        }
        if self.headers.is_empty() {
            self.headers.reserve(self.usual);
        }
        self.headers.append(name, value);
    }

    /// `None` for one that cannot be, or comes twice: then it is not looked at.
    fn push_pseudo(&mut self, name: Pseudo, value: &HeaderValue, targets: &mut Targets) -> Option<()> {
        self.size += value.len();
        self.is_over |= !self.limits.allow(0, self.size);
        let bytes = value.as_bytes();
        match name {
            Pseudo::Method => once(&mut self.method, || Method::from_bytes(bytes).ok()),
            Pseudo::Scheme => once(&mut self.scheme, || Scheme::try_from(bytes).ok()),
            Pseudo::Authority => once(&mut self.authority, || targets.authority.parse(value)),
            Pseudo::Path => once(&mut self.path, || targets.path.parse(value)),
            Pseudo::Status => once(&mut self.status, || StatusCode::from_bytes(bytes).ok()),
            // Extended CONNECT (RFC 8441) is not offered.
            Pseudo::Protocol => None,
        }
    }

    pub(super) fn into_request(self) -> Result<Head<request::Parts>, Malformed> {
        if self.is_malformed || self.status.is_some() {
            return Err(Malformed);
        }
        let method = self.method.ok_or(Malformed)?;
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = target(&method, self.scheme, self.authority, self.path)?;
        (parts.method, parts.version, parts.headers) = (method, Version::HTTP_2, self.headers);
        Ok(Head { parts, is_over: self.is_over, content_length: self.content_length })
    }

    pub(super) fn into_response(self) -> Result<Head<response::Parts>, Malformed> {
        let is_request =
            self.method.is_some() || self.scheme.is_some() || self.authority.is_some() || self.path.is_some();
        // 101 is of HTTP/1.1 alone (section 8.6).
        let status = self.status.filter(|status| !self.is_malformed && !is_request && status.as_u16() != 101);
        let (mut parts, ()) = http::Response::new(()).into_parts();
        (parts.status, parts.version, parts.headers) = (status.ok_or(Malformed)?, Version::HTTP_2, self.headers);
        Ok(Head { parts, is_over: self.is_over, content_length: self.content_length })
    }

    /// The trailers, or `None` where they are beyond the limits: cut, they would say something else.
    pub(super) fn into_trailers(self) -> Result<Option<HeaderMap>, Malformed> {
        let is_head = self.method.is_some()
            || self.scheme.is_some()
            || self.authority.is_some()
            || self.path.is_some()
            || self.status.is_some();
        if self.is_malformed || is_head {
            return Err(Malformed);
        }
        Ok((!self.is_over).then_some(self.headers))
    }
}

fn once<T>(place: &mut Option<T>, parse: impl FnOnce() -> Option<T>) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = parse();
    place.as_ref().map(|_| ())
}

/// What belongs to a connection of HTTP/1.1 (section 8.2.2).
fn is_forbidden(name: &HeaderName, value: &HeaderValue) -> bool {
    match name.as_str() {
        "connection" | "transfer-encoding" | "upgrade" | "keep-alive" | "proxy-connection" => true,
        "te" => value != "trailers",
        _ => false,
    }
}

/// A request's target from its pseudo-fields (section 8.3.1).
fn target(
    method: &Method,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
) -> Result<Uri, Malformed> {
    let mut parts = http::uri::Parts::default();
    if *method == Method::CONNECT {
        // Section 8.5: the authority alone.
        if scheme.is_some() || path.is_some() || authority.is_none() {
            return Err(Malformed);
        }
        parts.authority = authority;
        return Uri::from_parts(parts).map_err(|_| Malformed);
    }
    let (Some(scheme), Some(path)) = (scheme, path) else { return Err(Malformed) };
    let is_asterisk = *method == Method::OPTIONS && path == "*";
    if !is_asterisk && !path.as_str().starts_with('/') {
        return Err(Malformed);
    }
    // A `Uri` has no scheme without an authority: then the request's is in `host`.
    parts.scheme = authority.is_some().then_some(scheme);
    (parts.authority, parts.path_and_query) = (authority, Some(path));
    Uri::from_parts(parts).map_err(|_| Malformed)
}

/// The targets of the last head. The requests of a connection are often for the same, and parsing copies.
#[derive(Debug, Default)]
pub(super) struct Targets {
    authority: Last<Authority>,
    path: Last<PathAndQuery>,
}

#[derive(Debug)]
struct Last<T>(Option<(HeaderValue, T)>);

/// Longer ones are not kept.
const KEPT: usize = 256;

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone + for<'a> TryFrom<&'a [u8]>> Last<T> {
    fn parse(&mut self, value: &HeaderValue) -> Option<T> {
        if let Some((_, parsed)) = self.0.as_ref().filter(|(last, _)| last == value) {
            return Some(parsed.clone());
        }
        // An empty one is none.
        let parsed = T::try_from(value.as_bytes()).ok().filter(|_| !value.is_empty())?;
        if value.len() <= KEPT {
            self.0 = Some((value.clone(), parsed.clone()));
        }
        Some(parsed)
    }
}

/// Encodes a request's head.
pub(super) fn put_request(head: &request::Parts, encoder: &mut Encoder, out: &mut BytesMut) {
    let uri = &head.uri;
    encoder.pseudo(Pseudo::Method, head.method.as_str().as_bytes(), out);
    if head.method != Method::CONNECT {
        encoder.pseudo(Pseudo::Scheme, uri.scheme_str().unwrap_or("http").as_bytes(), out);
    }
    if let Some(authority) = uri.authority() {
        encoder.pseudo(Pseudo::Authority, authority.as_str().as_bytes(), out);
    }
    if head.method != Method::CONNECT {
        match origin_form(uri) {
            ["", path] => encoder.pseudo(Pseudo::Path, path.as_bytes(), out),
            parts => encoder.pseudo(Pseudo::Path, parts.concat().as_bytes(), out),
        }
    }
    put_fields(&head.headers, encoder, out);
}

/// Encodes a response's head.
pub(super) fn put_response(head: &response::Parts, encoder: &mut Encoder, out: &mut BytesMut) {
    encoder.pseudo(Pseudo::Status, head.status.as_str().as_bytes(), out);
    put_fields(&head.headers, encoder, out);
}

/// Encodes trailers, or the fields of a head; what must not be among them is left out.
pub(super) fn put_fields(fields: &HeaderMap, encoder: &mut Encoder, out: &mut BytesMut) {
    for (name, value) in fields.iter().filter(|(name, value)| !is_forbidden(name, value)) {
        encoder.field(name, value, out);
    }
}
