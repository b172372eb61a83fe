//! HTTP/1.1 on hyper.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::work::{Work, piece};

pub(crate) async fn serve(socket: TcpStream) -> hyper::Result<()> {
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request).await) });
    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await
}

async fn answer(request: Request<Incoming>) -> Response<Answer> {
    match Work::of(request.uri().path()) {
        Work::Source(length) => Response::new(Answer::Source(length)),
        Work::Sink(expected) => {
            let mut response = Response::new(Answer::Source(0));
            if length(request.into_body()).await != Some(expected) {
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            response
        }
        Work::Check | Work::Echo => Response::new(Answer::Echo(request.into_body())),
    }
}

/// Reads a body to its end; none if it breaks off.
async fn length(mut body: Incoming) -> Option<u64> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Some(length)
}

/// A response's body.
enum Answer {
    Echo(Incoming),
    /// So many bytes to go.
    Source(u64),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.get_mut() {
            Self::Echo(body) => Poll::Ready(ready!(Pin::new(body).poll_frame(context))),
            Self::Source(0) => Poll::Ready(None),
            Self::Source(left) => {
                let data = piece(*left);
                *left -= data.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Echo(body) => body.is_end_stream(),
            Self::Source(left) => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Echo(body) => body.size_hint(),
            Self::Source(left) => SizeHint::with_exact(*left),
        }
    }
}
