//! The heads of requests and responses as HTTP/1.1 writes them.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header, request, uri::Authority};
use http_body::Body as _;

use crate::{
    base::{Error, ErrorKind},
    http::{
        body::Body,
        headers::{content_length, origin_form, tokens},
    },
};

/// The largest response head taken from a host, Envoy's 60 KiB, and the most fields of one, Envoy's 100.
pub(super) const MAX_HEAD: usize = 60 << 10;
const MAX_FIELDS: usize = 100;

/// What came is no message of HTTP/1.1, or none that all readers would read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

impl Malformed {
    pub(super) fn error(self) -> Error {
        Error::new(ErrorKind::UpstreamProtocol).with_detail(self.0)
    }
}

/// How a message says where its body ends (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
    /// With the connection: responses only.
    Close,
}

/// Writes a request's head. Its target becomes the origin form; its authority stands above a `host` field (RFC 9112,
/// section 3.2.2; RFC 9113, section 8.3.1), and without either `host` is empty. Whether it says that it is the
/// connection's last.
pub(super) fn put_request(head: &request::Parts, framing: Framing, out: &mut BytesMut) -> bool {
    let [slash, target] = origin_form(&head.uri);
    for text in [head.method.as_str(), " ", slash, target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(text.as_bytes());
    }
    put_field(header::HOST.as_str(), host(&head.uri, &head.headers), out);
    let is_last = put_fields(&head.headers, out);
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            put_number(length, 10, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::Close => {}
    }
    out.extend_from_slice(b"\r\n");
    is_last
}

fn refused(why: &'static str) -> Error {
    Error::new(ErrorKind::DownstreamProtocol).with_detail(why)
}

fn host<'a>(target: &'a Uri, headers: &'a HeaderMap) -> &'a [u8] {
    match target.authority().map(Authority::as_str) {
        // User information is no part of `host`.
        Some(authority) => authority.rsplit('@').next().unwrap_or_default().as_bytes(),
        None => headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default(),
    }
}

/// How a request says where its body ends.
pub(super) fn request_framing(head: &request::Parts, body: &Body) -> Result<Framing, Error> {
    if head.method == Method::CONNECT {
        return Err(refused("CONNECT is not supported"));
    }
    let length = match head.headers.get(header::CONTENT_LENGTH) {
        Some(value) => Some(content_length(value).ok_or_else(|| refused("a content-length that is no number"))?),
        None if body.is_end_stream() => says_that_it_has_no_body(&head.method).then_some(0),
        None => body.size_hint().exact(),
    };
    Ok(match length {
        Some(length) => Framing::Length(length),
        None if body.is_end_stream() => Framing::None,
        None => Framing::Chunked,
    })
}

/// Whether a request of this method may be expected to have a body, so that one without says so (RFC 9110, section 8.6).
/// Envoy's list.
fn says_that_it_has_no_body(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::DELETE | Method::TRACE | Method::CONNECT)
}

/// Writes the fields but for those that the head has of its own: whether one of them asks for the connection's end.
fn put_fields(headers: &HeaderMap, out: &mut BytesMut) -> bool {
    let (mut is_last, mut has_cookie) = (false, false);
    for (name, value) in headers {
        match *name {
            header::HOST | header::CONTENT_LENGTH | header::TRANSFER_ENCODING => continue,
            // HTTP/2 may split it into crumbs, HTTP/1.1 may not (RFC 9113, section 8.2.3).
            header::COOKIE => {
                if !std::mem::replace(&mut has_cookie, true) {
                    put_cookies(headers, out);
                }
                continue;
            }
            header::CONNECTION => is_last |= has_token(value, b"close"),
            _ => {}
        }
        put_field(name.as_str(), value.as_bytes(), out);
    }
    is_last
}

fn put_cookies(headers: &HeaderMap, out: &mut BytesMut) {
    let mut before: &[u8] = b"cookie: ";
    for crumb in headers.get_all(header::COOKIE) {
        out.extend_from_slice(before);
        out.extend_from_slice(crumb.as_bytes());
        before = b"; ";
    }
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn put_field(name: &str, value: &[u8], out: &mut BytesMut) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a number in digits of this base, at most 16.
pub(super) fn put_number(number: u64, base: u64, out: &mut BytesMut) {
    let mut digits = [0; 20];
    let mut rest = number;
    let mut begin = digits.len();
    while let Some(digit) = begin.checked_sub(1).and_then(|at| digits.get_mut(at)) {
        *digit = char::from_digit((rest % base) as u32, 16).map_or(b'0', |digit| digit as u8);
        begin -= 1;
        rest /= base;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(begin..).unwrap_or_default());
}

/// A response's head.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
}

/// Takes a response's head from the beginning of `read`; `None` if more of it has to come.
pub(super) fn take_response(read: &mut BytesMut) -> Result<Option<ResponseHead>, Malformed> {
    let mut raw = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, read, &mut raw) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if read.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Malformed("the response's headers are too large")),
        Err(_) => return Err(Malformed("this is no response of HTTP/1.1")),
    };
    let (code, version) = (response.code.unwrap_or_default(), response.version);
    let status = StatusCode::from_u16(code).map_err(|_| Malformed("the response's status is none"))?;
    let version = if version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    // Names are copied while the values are still borrowed; those share a copy of the head.
    let base = read.as_ptr() as usize;
    let mut found = Vec::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let begin = field.value.as_ptr() as usize - base;
        found.push((name(field.name)?, begin..begin + field.value.len()));
    }
    let text = Bytes::copy_from_slice(read.get(..length).unwrap_or_default());
    read.advance(length);
    let mut headers = HeaderMap::with_capacity(found.len() + ADDED);
    for (name, range) in found {
        headers.append(name, value(text.slice(range))?);
    }
    Ok(Some(ResponseHead { status, version, headers }))
}

/// What a proxy adds to a response: a map that grows is built twice.
const ADDED: usize = 4;

/// Fields that were parsed, as a map of their own.
pub(super) fn fields(raw: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    raw.iter().map(|field| Ok((name(field.name)?, value(Bytes::copy_from_slice(field.value))?))).collect()
}

fn name(text: &str) -> Result<HeaderName, Malformed> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| Malformed("a header's name is none"))
}

fn value(text: Bytes) -> Result<HeaderValue, Malformed> {
    HeaderValue::from_maybe_shared(text).map_err(|_| Malformed("a header's value is none"))
}

impl ResponseHead {
    /// Where the body ends. Refused where readers differ over it.
    pub(super) fn framing(&self, to_head: bool) -> Result<Framing, Malformed> {
        let mut lengths = self.headers.get_all(header::CONTENT_LENGTH).iter();
        let mut codings = self.headers.get_all(header::TRANSFER_ENCODING).iter();
        let (length, coding) = (lengths.next(), codings.next());
        let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if self.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed("the host switched protocols without being asked to"));
        }
        if lengths.next().is_some() || length.is_some_and(|length| length.as_bytes().contains(&b',')) {
            return Err(Malformed("the host's response has more than one length"));
        }
        if coding.is_some() && length.is_some() {
            return Err(Malformed("the host's response has a length and a transfer coding"));
        }
        if coding.is_some_and(|coding| !chunked(coding)) || codings.next().is_some() {
            return Err(Malformed("the host's response has a transfer coding that is not chunked"));
        }
        if self.status == StatusCode::NO_CONTENT && (coding.is_some() || length.is_some_and(|length| length != "0")) {
            return Err(Malformed("the host's response without content has a length"));
        }
        let length = length.map(length_of).transpose()?;
        if to_head || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Framing::None);
        }
        Ok(match (length, coding) {
            (Some(0), _) => Framing::None,
            (Some(length), _) => Framing::Length(length),
            (None, Some(_)) => Framing::Chunked,
            (None, None) => Framing::Close,
        })
    }

    /// Whether another request may follow on the connection (RFC 9112, section 9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        let says = |token: &[u8]| self.headers.get_all(header::CONNECTION).iter().any(|value| has_token(value, token));
        match self.version {
            Version::HTTP_11 => !says(b"close"),
            // Section 6.1: its framing is not to be trusted.
            _ if self.headers.contains_key(header::TRANSFER_ENCODING) => false,
            _ => says(b"keep-alive") && !says(b"close"),
        }
    }
}

fn has_token(value: &HeaderValue, token: &[u8]) -> bool {
    tokens(value).any(|found| found.eq_ignore_ascii_case(token))
}

fn length_of(value: &HeaderValue) -> Result<u64, Malformed> {
    content_length(value).ok_or(Malformed("the host's response has a length that is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_bases() {
        for number in [0, 9, 10, 15, 16, 255, 4096, u64::MAX] {
            let mut out = BytesMut::new();
            put_number(number, 10, &mut out);
            out.extend_from_slice(b" ");
            put_number(number, 16, &mut out);
            assert_eq!(out, format!("{number} {number:x}").as_bytes());
        }
    }

    #[test]
    fn a_head_is_taken_when_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nServer: a\r\nx: 1\r\nx:\t2 \r\n\r\nbody";
        for cut in 0..text.len() - 4 {
            let mut read = BytesMut::from(&text[..cut]);
            assert!(take_response(&mut read).unwrap().is_none(), "{cut}");
            assert_eq!(read.len(), cut, "nothing is taken");
        }
        let mut read = BytesMut::from(&text[..]);
        let head = take_response(&mut read).unwrap().unwrap();
        assert_eq!((head.status, head.version), (StatusCode::OK, Version::HTTP_11));
        assert_eq!(head.headers["server"], "a");
        assert_eq!(head.headers.get_all("x").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(read, "body");
    }

    #[test]
    fn a_head_has_limits() {
        let head = |fields: usize, length: usize| {
            let mut text = BytesMut::from(&b"HTTP/1.1 200 OK\r\n"[..]);
            (0..fields).for_each(|_| text.extend_from_slice(format!("x: {}\r\n", "y".repeat(length)).as_bytes()));
            text.extend_from_slice(b"\r\n");
            take_response(&mut text).map(|head| head.is_some())
        };
        assert_eq!((head(MAX_FIELDS, 9), head(1, MAX_HEAD - 100)), (Ok(true), Ok(true)));
        let too_large = Err(Malformed("the response's headers are too large"));
        assert_eq!((head(MAX_FIELDS + 1, 9), head(1, MAX_HEAD)), (too_large, too_large));
        let mut unfinished = BytesMut::from(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD)).as_bytes());
        assert_eq!(take_response(&mut unfinished).map(|head| head.is_some()), too_large);
    }

    #[test]
    fn the_version_and_the_host_decide_whether_another_request_may_follow() {
        for (head, keeps) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.1 200 OK\r\nconnection: x, Close", false),
            ("HTTP/1.0 200 OK", false),
            ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive", true),
            ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked", false),
        ] {
            let mut read = BytesMut::from(format!("{head}\r\n\r\n").as_bytes());
            assert_eq!(take_response(&mut read).unwrap().unwrap().keeps_alive(), keeps, "{head}");
        }
    }
}
