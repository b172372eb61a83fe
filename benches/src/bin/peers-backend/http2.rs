//! HTTP/2 on the `h2` crate alone: what stands behind a proxy in a load test should cost little itself.

use std::future::poll_fn;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use meshlib_benches::echo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::work::{Work, piece};

const WINDOW: u32 = 1 << 20;
/// A gRPC message with the field `status` (1) being SERVING (1).
const SERVING: &[u8] = b"\0\0\0\0\x02\x08\x01";

pub(crate) async fn serve(io: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), h2::Error> {
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
    let work = Work::of(request.uri().path());
    let mut body = request.into_body();
    if let Work::Sink(expected) = work {
        let received = take(&mut body, |_| Ok(())).await?;
        let status = if received == expected { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        return respond.send_response(head(status), false)?.send_trailers(echo::trailers());
    }
    let mut stream = respond.send_response(head(StatusCode::OK), false)?;
    match work {
        // Windows are larger than the bodies that are echoed; what has no room waits inside h2.
        Work::Echo => drop(take(&mut body, |data| stream.send_data(data, false)).await?),
        Work::Check => stream.send_data(Bytes::from_static(SERVING), false)?,
        Work::Source(length) => give(&mut stream, length).await?,
        Work::Sink(_) => {}
    }
    stream.send_trailers(echo::trailers())
}

fn head(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// Reads a body to its end, and answers how long it was.
async fn take(body: &mut RecvStream, mut each: impl FnMut(Bytes) -> Result<(), h2::Error>) -> Result<u64, h2::Error> {
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        length += data.len() as u64;
        each(data)?;
    }
    Ok(length)
}

/// Sends a body of this length, no faster than the client's windows open.
async fn give(stream: &mut SendStream<Bytes>, mut left: u64) -> Result<(), h2::Error> {
    while left > 0 {
        let mut data = piece(left);
        stream.reserve_capacity(data.len());
        if stream.capacity() == 0 {
            poll_fn(|context| stream.poll_capacity(context)).await.unwrap_or(Err(Reason::CANCEL.into()))?;
        }
        data.truncate(stream.capacity());
        left -= data.len() as u64;
        stream.send_data(data, false)?;
    }
    Ok(())
}
