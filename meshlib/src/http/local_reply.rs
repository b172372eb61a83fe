//! The responses that this side makes itself, as Envoy words them.
//!
//! ```
//! use http::Request;
//! use meshlib::{base::{Error, ErrorKind}, http::local_reply::ReplyTo};
//!
//! let request = Request::get("/").body(()).unwrap();
//! let reply = ReplyTo::of(&request).error(&Error::new(ErrorKind::NoHealthyUpstream));
//! assert_eq!(reply.status(), 503);
//! assert_eq!(reply.headers()["content-length"], "19"); // "no healthy upstream"
//! ```

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

use super::{
    body::Body,
    grpc,
    headers::{GRPC_MESSAGE, GRPC_STATUS, X_ENVOY_OVERLOADED},
};
use crate::base::{Error, ErrorKind, info::Record};

/// What of a request decides the form of a local reply. Noted before the request moves on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyTo {
    grpc: bool,
    head: bool,
}

impl ReplyTo {
    /// Looks at a request.
    pub fn of<B>(request: &Request<B>) -> Self {
        Self::head_of(request.method(), request.headers())
    }

    /// Looks at the head of a request.
    pub fn head_of(method: &Method, headers: &HeaderMap) -> Self {
        Self { grpc: grpc::is_grpc(headers), head: method == Method::HEAD }
    }

    /// Looks at the record of a request whose head has moved on.
    pub fn recorded(record: &Record) -> Self {
        Self { grpc: record.grpc, head: record.captured && record.method == Method::HEAD }
    }

    /// Whether the client speaks gRPC, and gets trailers-only replies.
    pub fn is_grpc(self) -> bool {
        self.grpc
    }

    /// The code that a gRPC client gets for this status; `None` for other clients.
    pub fn grpc_code(self, status: StatusCode) -> Option<grpc::Code> {
        self.grpc.then(|| grpc::code_of_http(status))
    }

    /// The reply to an error: its status and its words. A full limit adds `x-envoy-overloaded: true`.
    pub fn error(self, error: &Error) -> Response<Body> {
        let mut reply = self.reply(error.status(), error.reply_text());
        if error.kind() == ErrorKind::Overflow {
            reply.headers_mut().insert(X_ENVOY_OVERLOADED, HeaderValue::from_static("true"));
        }
        reply
    }

    /// A reply of this status and text. gRPC clients get HTTP 200 without a body, `grpc-status` for the status and
    /// `grpc-message` for the text. Others get the text as `text/plain`, and none of these headers if it is empty:
    /// whether an empty body needs a `content-length` is the codec's business. A HEAD gets the headers only.
    pub fn reply(self, status: StatusCode, text: &'static str) -> Response<Body> {
        if self.grpc {
            return grpc_reply(grpc::code_of_http(status), text);
        }
        let mut reply = Response::new(Body::empty());
        *reply.status_mut() = status;
        if !text.is_empty() {
            reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            if !self.head {
                *reply.body_mut() = Body::from(text);
            }
        }
        reply
    }
}

fn grpc_reply(code: grpc::Code, text: &str) -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(code.0));
    if !text.is_empty() {
        headers.insert(GRPC_MESSAGE, grpc::encode_message(text));
    }
    reply
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(reply: Response<Body>) -> String {
        String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn plain_replies_have_envoys_words_and_lengths() {
        let to = ReplyTo::of(&Request::get("/").body(()).unwrap());
        for (kind, status, length) in [
            (ErrorKind::ConnectFailure, 503, 98),
            (ErrorKind::UpstreamReset, 503, 85),
            (ErrorKind::NoHealthyUpstream, 503, 19),
            (ErrorKind::RouteTimeout, 504, 24),
        ] {
            let reply = to.error(&Error::new(kind));
            assert_eq!(reply.status(), status);
            assert_eq!(reply.headers()["content-type"], "text/plain");
            assert_eq!(reply.headers()["content-length"], length.to_string().as_str());
            assert_eq!(text(reply).await.len(), length);
        }
    }

    #[tokio::test]
    async fn no_route_is_an_empty_404() {
        let reply = ReplyTo::default().error(&Error::new(ErrorKind::NoRoute));
        assert_eq!(reply.status(), 404);
        assert!(reply.headers().is_empty());
        assert_eq!(text(reply).await, "");
    }

    #[tokio::test]
    async fn grpc_clients_get_trailers_only() {
        let request = Request::post("/a.B/C").header("content-type", "application/grpc").body(()).unwrap();
        let to = ReplyTo::of(&request);
        let reply = to.error(&Error::new(ErrorKind::RouteTimeout));
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-type"], "application/grpc");
        assert_eq!(reply.headers()["grpc-status"], "14");
        assert_eq!(reply.headers()["grpc-message"], "upstream request timeout");
        assert!(http_body::Body::is_end_stream(reply.body()));
        let reply = to.error(&Error::new(ErrorKind::NoRoute));
        assert_eq!((&reply.headers()["grpc-status"], reply.headers().len()), (&HeaderValue::from(12), 2));
    }

    #[tokio::test]
    async fn head_has_no_body_and_overflow_says_so() {
        let to = ReplyTo::of(&Request::head("/").body(()).unwrap());
        let reply = to.error(&Error::new(ErrorKind::Overflow));
        assert_eq!(reply.headers()["x-envoy-overloaded"], "true");
        assert_eq!(reply.headers()["content-length"], "81");
        assert_eq!(text(reply).await, "");
    }
}
