//! Long bodies in both directions, and the server that they go to and come from. Neither side holds more of them than
//! the windows allow.

use std::{
    future::poll_fn,
    io::{self, Write},
    net::SocketAddr,
};

use bytes::Bytes;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};

use crate::{BoxError, connect::Target};

const WINDOW: u32 = 1 << 20;
const PIECE: usize = 64 << 10;
/// How many bytes came, in a trailer.
const RECEIVED: &str = "received";

/// Sends `bytes` up and has as many sent down, both at once, each over `streams` streams of one connection.
pub(crate) async fn run(target: Target, path: &str, bytes: u64, streams: u32) -> Result<(), BoxError> {
    let client = target.connect().await?.client;
    let each = bytes.div_ceil(u64::from(streams.max(1)));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..2 * streams {
        let (up, down) = if number % 2 == 0 { (each, 0) } else { (0, each) };
        let request = Request::post(format!("http://echo.example{path}/{down}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut client = client.clone().ready().await?;
        let (response, stream) = client.send_request(request, false)?;
        tasks.spawn(async move {
            let (sent, read) = tokio::join!(send(stream, up, None), answer(response));
            sent?;
            let (came, received) = read?;
            if (came, received) != (down, up) {
                return Err(BoxError::from(format!("{came} of {down} bytes came, {received} of {up} were taken")));
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let seconds = start.elapsed().as_secs_f64();
    writeln!(io::stdout(), "{} bytes each way in {seconds:.1} s", each * u64::from(streams))?;
    Ok(())
}

/// How many bytes came, and how many the server has taken.
async fn answer(response: h2::client::ResponseFuture) -> Result<(u64, u64), BoxError> {
    let (head, mut body) = response.await?.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("the status is {}", head.status).into());
    }
    let came = read(&mut body).await?;
    let trailers = body.trailers().await?.unwrap_or_default();
    let received = trailers.get(RECEIVED).and_then(|received| received.to_str().ok()).ok_or("no trailer")?;
    Ok((came, received.parse()?))
}

/// The server: sends as many bytes as the end of the path says, and tells how many it was sent.
pub(crate) async fn serve(address: SocketAddr) -> Result<(), BoxError> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A connection's error is its client's affair.
        tokio::spawn(async move { connection(socket).await.ok() });
    }
}

async fn connection(socket: TcpStream) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(16 * WINDOW);
    let mut connection = builder.handshake(socket).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        // A stream's error is its client's affair.
        tokio::spawn(async move { exchange(request, respond).await.ok() });
    }
    Ok(())
}

async fn exchange(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), BoxError> {
    let down = request.uri().path().rsplit('/').next().unwrap_or_default().parse()?;
    let mut body = request.into_body();
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let stream = respond.send_response(response, false)?;
    let received = read(&mut body).await?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert(RECEIVED, HeaderValue::from(received));
    Ok(send(stream, down, Some(trailers)).await?)
}

/// Reads a body to its end; how long it was.
async fn read(body: &mut RecvStream) -> Result<u64, h2::Error> {
    let mut length = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        length += data.len() as u64;
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(length)
}

/// Sends a body of `left` bytes as the windows open, then the trailers.
async fn send(mut stream: SendStream<Bytes>, mut left: u64, trailers: Option<HeaderMap>) -> Result<(), h2::Error> {
    let piece = Bytes::from(vec![b'x'; PIECE]);
    while left > 0 {
        let most = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        stream.reserve_capacity(most);
        if stream.capacity() == 0
            && let Some(granted) = poll_fn(|cx| stream.poll_capacity(cx)).await
        {
            granted?;
        }
        let now = stream.capacity().min(most);
        stream.send_data(piece.slice(..now), false)?;
        left -= now as u64;
    }
    match trailers {
        Some(trailers) => stream.send_trailers(trailers),
        None => stream.send_data(Bytes::new(), true),
    }
}
