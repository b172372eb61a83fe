//! Answering a head that never became a request.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{
    base::{ConnectionInfo, Error, ErrorKind, ResponseFlags},
    http::{Body, handler::Handler, leave::DELAYED_CLOSE},
};

/// Has `handler` answer for `kind` without a request, and writes that as the connection's last response. Recorded as
/// any other.
pub(super) async fn refuse<T, H>(io: &mut T, handler: &H, connection: &Arc<ConnectionInfo>, kind: ErrorKind)
where
    T: AsyncWrite + Unpin,
    H: Handler,
{
    let info = handler.begin(connection);
    let response = handler.refuse(None, Error::new(kind), &info);
    let date = httpdate::fmt_http_date(info.start_time());
    let (message, body) = message(response, &date).await;
    let write = async {
        io.write_all(&message).await?;
        io.flush().await
    };
    match tokio::time::timeout(DELAYED_CLOSE, write).await {
        Ok(Ok(())) => info.add_bytes_sent(body),
        _ => info.update(|record| record.flags |= ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION),
    }
    info.finish();
}

/// The whole message, and how much of it is body.
async fn message(response: Response<Body>, date: &str) -> (Vec<u8>, u64) {
    let (parts, body) = response.into_parts();
    // A local reply has its body in memory; one that fails says nothing.
    let body = body.collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut message = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_str()).into_bytes();
    let mut field = |name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            message.extend_from_slice(part);
        }
    };
    let framing = [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    for (name, value) in parts.headers.iter().filter(|(name, _)| !framing.contains(name)) {
        field(name.as_str().as_bytes(), value.as_bytes());
    }
    if !parts.headers.contains_key(header::DATE) {
        field(b"date", date.as_bytes());
    }
    field(b"content-length", body.len().to_string().as_bytes());
    field(b"connection", b"close");
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body);
    (message, body.len() as u64)
}
