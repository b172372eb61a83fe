//! What of a request's head is let through.

use http::{HeaderMap, HeaderValue, Uri, Version, header, request, uri::Authority};

use crate::{
    base::{Error, ErrorKind},
    http::headers::{origin_form, take_expectation, tokens},
};

/// Refuses what hyper lets through and Envoy does not, and leaves one authority: the target of a request in absolute
/// form replaces `host` (RFC 9112 section 3.2.2), so that routing and forwarding cannot differ.
pub(super) fn admit(parts: &mut request::Parts) -> Result<(), Error> {
    if parts.version != Version::HTTP_11 {
        return Err(Error::new(ErrorKind::UpgradeRequired));
    }
    check_transfer_encoding(parts)?;
    check_host(parts)?;
    check_upgrade(&parts.headers)?;
    if parts.uri.scheme().is_some() {
        to_origin_form(parts)?;
    }
    // hyper has seen it, and answers.
    take_expectation(&mut parts.headers);
    Ok(())
}

/// `chunked`, once, or none: lists of codings are where parsers differ.
fn check_transfer_encoding(parts: &request::Parts) -> Result<(), Error> {
    let mut values = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if value.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(malformed("unsupported transfer-encoding")),
    }
}

/// What a client sends after asking for another protocol is not HTTP, so it cannot simply be overlooked. `h2c` can: its
/// client goes on in HTTP/1.1 until it is told otherwise.
fn check_upgrade(headers: &HeaderMap) -> Result<(), Error> {
    if !headers.contains_key(header::UPGRADE) {
        return Ok(());
    }
    let asks = headers.get_all(header::CONNECTION).iter().flat_map(tokens).any(|token| is(token, b"upgrade"));
    if asks && headers.get_all(header::UPGRADE).iter().flat_map(tokens).any(|token| !is(token, b"h2c")) {
        return Err(Error::new(ErrorKind::UpgradeRefused));
    }
    Ok(())
}

fn is(token: &[u8], name: &[u8]) -> bool {
    token.eq_ignore_ascii_case(name)
}

fn check_host(parts: &request::Parts) -> Result<(), Error> {
    let mut values = parts.headers.get_all(header::HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.is_empty() || is_host(value.as_bytes()) => Ok(()),
        (Some(_), None) => Err(malformed("malformed host")),
        (None, _) => Err(malformed("missing host")),
        (Some(_), Some(_)) => Err(malformed("more than one host")),
    }
}

fn is_host(value: &[u8]) -> bool {
    !value.contains(&b'@') && Authority::try_from(value).is_ok()
}

fn to_origin_form(parts: &mut request::Parts) -> Result<(), Error> {
    let authority = parts.uri.authority().map_or("", Authority::as_str);
    if !is_host(authority.as_bytes()) {
        return Err(malformed("malformed authority"));
    }
    let host = HeaderValue::from_str(authority).map_err(|_| malformed("malformed authority"))?;
    let target = origin_form(&parts.uri).concat();
    parts.uri = Uri::try_from(target).map_err(|_| malformed("malformed target"))?;
    parts.headers.insert(header::HOST, host);
    Ok(())
}

fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::DownstreamProtocol).with_detail(what)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn admitted(request: http::request::Builder) -> Result<request::Parts, Error> {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        admit(&mut parts).map(|()| parts)
    }

    #[test]
    fn verdicts() {
        let get = |uri: &str| Request::get(uri);
        assert!(admitted(get("/").header("host", "a.test:80")).is_ok());
        assert!(admitted(get("/").header("host", "")).is_ok());
        assert!(admitted(get("/").header("host", "[::1]:80").header("transfer-encoding", "Chunked")).is_ok());
        for refused in [
            get("/"),
            get("/").header("host", "a").header("host", "a"),
            get("/").header("host", "user@a.test"),
            get("/").header("host", "a/b"),
            get("/").header("host", "a,b c"),
            get("http://user@a.test/").header("host", "a.test"),
            get("/").header("host", "a").header("transfer-encoding", "gzip, chunked"),
            get("/").header("host", "a").header("transfer-encoding", "chunked").header("transfer-encoding", "chunked"),
        ] {
            let shown = format!("{refused:?}");
            assert_eq!(admitted(refused).expect_err(&shown).kind(), ErrorKind::DownstreamProtocol);
        }
        let old = get("/").version(Version::HTTP_10).header("host", "a");
        assert_eq!(admitted(old).unwrap_err().kind(), ErrorKind::UpgradeRequired);
    }

    #[test]
    fn upgrades() {
        for (connection, upgrade, refused) in [
            ("upgrade", "websocket", true),
            ("keep-alive, Upgrade", "foo", true),
            ("upgrade", "h2c, websocket", true),
            ("upgrade, http2-settings", "H2C", false),
            ("close", "websocket", false),
            ("upgrade", "", false),
        ] {
            let request = Request::get("/").header("host", "a").header("connection", connection);
            let verdict = admitted(request.header("upgrade", upgrade)).map_err(|error| error.kind());
            assert_eq!(verdict.err(), refused.then_some(ErrorKind::UpgradeRefused), "{connection}: {upgrade}");
        }
    }

    #[test]
    fn absolute_form_becomes_origin_form() {
        let parts = admitted(Request::get("http://b.test:8080/path?query").header("host", "a.test")).unwrap();
        assert_eq!(parts.uri, "/path?query");
        assert_eq!(parts.headers["host"], "b.test:8080");
        let parts = admitted(Request::get("http://b.test?query").header("host", "a.test")).unwrap();
        assert_eq!(parts.uri, "/?query");
        let parts = admitted(Request::get("http://b.test").header("host", "a.test")).unwrap();
        assert_eq!(parts.uri, "/");
    }

    #[test]
    fn the_codec_answers_expect_itself() {
        let parts = admitted(Request::put("/").header("host", "a").header("expect", "100-Continue")).unwrap();
        assert!(!parts.headers.contains_key("expect"));
    }

    #[test]
    fn lengths() {
        let of = |value| crate::http::headers::content_length(&HeaderValue::from_static(value));
        assert_eq!(of("12"), Some(12));
        assert_eq!((of("+1"), of("1 "), of("18446744073709551616")), (None, None, None));
    }
}
