//! An HTTP/2 echo on the `h2` crate alone: what stands behind a proxy in a load test should cost little itself.

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::io::{AsyncRead, AsyncWrite};

const WINDOW: u32 = 1 << 20;
/// A gRPC message with the field `status` (1) being SERVING (1).
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

/// Answers every request of a connection with its own body and `grpc-status: 0`; gRPC health checks as SERVING.
///
/// # Errors
///
/// When the connection ends as none should.
pub async fn serve(io: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(16 * WINDOW).max_concurrent_streams(1024);
    let mut connection = builder.handshake(io).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        // A stream's error is its client's affair.
        tokio::spawn(async move { answer(request, respond).await.ok() });
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let is_check = request.uri().path() == "/grpc.health.v1.Health/Check";
    let mut body = request.into_body();
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(response, false)?;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if !is_check {
            // Windows are larger than the bodies of a load test; what has no room waits inside h2.
            stream.send_data(data, false)?;
        }
    }
    if is_check {
        stream.send_data(Bytes::from_static(SERVING), false)?;
    }
    stream.send_trailers(trailers())
}

/// `grpc-status: 0`.
pub fn trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers
}
