//! One request over HTTP/1.1: as little of a client as a soak needs.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{BoxError, connect::Io};

const BODY: &str = "hello, echo";
/// More than the answer to that can be.
const MOST: usize = 64 << 10;

/// Sends a request and reads the answer, which must hold what was sent.
pub(crate) async fn call(stream: &mut dyn Io, path: &str) -> Result<(), BoxError> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: echo.example\r\ncontent-type: application/grpc\r\nte: trailers\r\n\
         content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !is_whole(&answer) {
        if answer.len() > MOST || stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    if !answer.starts_with("HTTP/1.1 200 ") || !answer.contains(BODY) {
        return Err(format!("the answer is {:?}", answer.lines().next().unwrap_or_default()).into());
    }
    Ok(())
}

/// Whether head and body are there. What streams, such as gRPC, comes in chunks; anything else is an error of the proxy
/// with a length, of which the head is enough.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    !chunked || (body.contains("\r\n0\r\n") && body.ends_with("\r\n\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_last_chunk_and_trailers() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (rest, whole) in [
            ("b\r\nhello, echo\r\n", false),
            ("b\r\nhello, echo\r\n0\r\n", false),
            ("b\r\nhello, echo\r\n0\r\n\r\n", true),
            ("b\r\nhello, echo\r\n0\r\ngrpc-status: 0\r\n", false),
            ("b\r\nhello, echo\r\n0\r\ngrpc-status: 0\r\n\r\n", true),
        ] {
            assert_eq!(is_whole(format!("{head}{rest}").as_bytes()), whole, "{rest:?}");
        }
        assert!(is_whole(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\n"));
    }
}
