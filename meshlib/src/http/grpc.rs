//! What a proxy has to know of gRPC.
//!
//! ```
//! use http::StatusCode;
//! use meshlib::http::grpc::{Code, code_of_http};
//!
//! assert_eq!(code_of_http(StatusCode::GATEWAY_TIMEOUT), Code::UNAVAILABLE);
//! assert_eq!(Code::UNAVAILABLE.name(), Some("Unavailable"));
//! ```

use http::{HeaderMap, HeaderValue, StatusCode};

use super::headers::GRPC_STATUS;
use crate::base::{Error, info};

/// The status of a gRPC call, as gRPC libraries number it (`google.rpc.Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// The call succeeded.
    pub const OK: Self = Self(0);
    /// The caller gave up.
    pub const CANCELLED: Self = Self(1);
    /// Nobody knows.
    pub const UNKNOWN: Self = Self(2);
    /// The request is wrong, whatever the state of the server.
    pub const INVALID_ARGUMENT: Self = Self(3);
    /// The deadline passed first.
    pub const DEADLINE_EXCEEDED: Self = Self(4);
    /// What was asked for is not there.
    pub const NOT_FOUND: Self = Self(5);
    /// What was to be made is there already.
    pub const ALREADY_EXISTS: Self = Self(6);
    /// The caller may not.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// A quota or a resource is used up.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// The server is not in the state that the call needs.
    pub const FAILED_PRECONDITION: Self = Self(9);
    /// Something else went on at the same time.
    pub const ABORTED: Self = Self(10);
    /// Beyond the end.
    pub const OUT_OF_RANGE: Self = Self(11);
    /// There is no such method.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// The server broke its own rules.
    pub const INTERNAL: Self = Self(13);
    /// The server cannot be reached now.
    pub const UNAVAILABLE: Self = Self(14);
    /// Data is lost or damaged.
    pub const DATA_LOSS: Self = Self(15);
    /// The caller did not say who it is.
    pub const UNAUTHENTICATED: Self = Self(16);

    /// What a gRPC client is told of this error: the code that Envoy has for its HTTP status. Most errors are
    /// [`UNAVAILABLE`](Self::UNAVAILABLE), a timeout too; see [`code_of_http`].
    pub fn of(error: &Error) -> Self {
        code_of_http(error.status())
    }

    /// The code's name as gRPC writes it, for 0 to 16.
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 17] = [
            "OK",
            "Canceled",
            "Unknown",
            "InvalidArgument",
            "DeadlineExceeded",
            "NotFound",
            "AlreadyExists",
            "PermissionDenied",
            "ResourceExhausted",
            "FailedPrecondition",
            "Aborted",
            "OutOfRange",
            "Unimplemented",
            "Internal",
            "Unavailable",
            "DataLoss",
            "Unauthenticated",
        ];
        NAMES.get(self.0 as usize).copied()
    }
}

/// As gRPC libraries number them; a number that is none of theirs is unknown to them.
impl From<Code> for i32 {
    fn from(code: Code) -> Self {
        i32::try_from(code.0).unwrap_or(-1)
    }
}

/// Whether these headers begin a gRPC message: `content-type` is `application/grpc`, alone or followed by `+` or `;`.
/// `application/grpc-web` is not.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    info::is_grpc(headers)
}

/// The code that a local reply of this HTTP status has for a gRPC client (Envoy's `httpToGrpcStatus`).
pub fn code_of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::INTERNAL,
        401 => Code::UNAUTHENTICATED,
        403 => Code::PERMISSION_DENIED,
        404 => Code::UNIMPLEMENTED,
        429 | 502..=504 => Code::UNAVAILABLE,
        _ => Code::UNKNOWN,
    }
}

/// The `grpc-status` in these headers or trailers.
pub fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok().map(Code)
}

/// A `grpc-message`: bytes outside of printable ASCII, and `%`, are percent-encoded.
pub fn encode_message(message: &str) -> HeaderValue {
    if message.bytes().all(is_plain) {
        return HeaderValue::from_str(message).unwrap_or_else(|_| HeaderValue::from_static(""));
    }
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(message.len() + 16);
    for byte in message.bytes() {
        if is_plain(byte) {
            encoded.push(byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            encoded.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(encoded)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'%'
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_grpc(&headers), expected, "{value}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn local_statuses_become_envoys_codes() {
        let codes =
            [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (500, 2), (408, 2)];
        for (status, code) in codes {
            assert_eq!(code_of_http(StatusCode::from_u16(status).unwrap()), Code(code), "{status}");
        }
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(encode_message("no healthy upstream"), "no healthy upstream");
        assert_eq!(encode_message("100% \u{e9}\n"), "100%25 %C3%A9%0A");
    }

    #[test]
    fn codes_are_read_and_named() {
        let headers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("14"))]);
        assert_eq!(code_in(&headers), Some(Code::UNAVAILABLE));
        assert_eq!(code_in(&HeaderMap::new()), None);
        assert_eq!((Code(0).name(), Code(16).name(), Code(17).name()), (Some("OK"), Some("Unauthenticated"), None));
    }
}
