//! One connection from a client, in whichever HTTP it speaks.
//!
//! The codec is the configured one; with [`CodecType::Auto`] it follows from ALPN, and where there was none from the
//! connection's first bytes: an HTTP/2 client begins with a fixed preface (RFC 9113 section 3.4).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use meshlib::http::serve::{Sniffed, sniff};
//! use tokio::io::AsyncReadExt;
//!
//! let (sniffed, mut io) = sniff(&b"PUT / HTTP/1.1\r\n"[..]).await.unwrap();
//! assert_eq!(sniffed, Sniffed::Http1); // "PU" is enough to know
//! let mut all = String::new();
//! io.read_to_string(&mut all).await.unwrap();
//! assert_eq!(all, "PUT / HTTP/1.1\r\n"); // nothing is lost
//! # }
//! ```

use std::{io, pin::pin, sync::Arc};

use bytes::Bytes;
use tokio::io::AsyncRead;

use super::{
    h1,
    handler::Handler,
    leave::too_late,
    options::{CodecType, ServerOptions},
};
use crate::{
    base::{
        ConnectionInfo, Drain,
        resources::{BoxIo, Io},
        time::Deadline,
    },
    net::{Rewind, io::read_while},
};

/// What an HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// Anything that is not HTTP/2.
    Http1,
    /// HTTP/2's preface, all of it.
    Http2,
}

/// Serves a connection until either side is done with it; `drain` waits for it. Dropping the future cuts it.
///
/// Without ALPN a client has [`ServerOptions::request_headers_timeout`] to show which protocol it speaks.
pub async fn serve_connection<H: Handler>(
    io: BoxIo,
    connection: Arc<ConnectionInfo>,
    handler: H,
    options: Arc<ServerOptions>,
    drain: Drain,
) {
    let _counted = drain.connection();
    match known(&connection, options.codec) {
        Some(codec) => serve_as(codec, io, connection, handler, &options, drain).await,
        None => {
            let Some((codec, io)) = sniff_in_time(io, &options, &drain).await else { return };
            serve_as(codec, io, connection, handler, &options, drain).await;
        }
    }
}

async fn serve_as<T: Io, H: Handler>(
    codec: Sniffed,
    io: T,
    connection: Arc<ConnectionInfo>,
    handler: H,
    options: &ServerOptions,
    drain: Drain,
) {
    match codec {
        // A box of its own for each: in the connection's task the larger one's room would be taken by both, and that of
        // what came before, TLS and the look at the first bytes. An idle connection had 12 KB there.
        Sniffed::Http1 => Box::pin(h1::server::serve(io, connection, handler, options, drain)).await,
        Sniffed::Http2 => Box::pin(super::h2::server::serve(io, connection, handler, options, drain)).await,
    }
}

/// The codec, where nothing has to be read to know it.
fn known(connection: &ConnectionInfo, codec: CodecType) -> Option<Sniffed> {
    match codec {
        CodecType::Http1 => Some(Sniffed::Http1),
        CodecType::Http2 => Some(Sniffed::Http2),
        CodecType::Auto => match connection.tls.as_ref()?.alpn.as_deref()? {
            b"h2" => Some(Sniffed::Http2),
            b"http/1.1" => Some(Sniffed::Http1),
            // Agreed on by somebody who knows better than we do: look.
            _ => None,
        },
    }
}

/// Tells the protocol by the first bytes, and gives them back. Decides with the first byte that differs from HTTP/2's
/// preface, and reads no further than its 24 bytes.
///
/// # Errors
/// The stream's own, and `UnexpectedEof` when it ends without a byte.
pub async fn sniff<T: AsyncRead + Unpin>(mut io: T) -> io::Result<(Sniffed, Rewind<T>)> {
    let mut read = [0; PREFACE.len()];
    let length = read_while(&mut io, &mut read, |read| PREFACE.starts_with(read)).await?;
    let read = read.get(..length).unwrap_or_default();
    if read.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let sniffed = if read == PREFACE { Sniffed::Http2 } else { Sniffed::Http1 };
    Ok((sniffed, Rewind::new(Bytes::copy_from_slice(read), io)))
}

/// `None` when the connection is to be closed: nothing came, or not in time. Nobody can be answered, because nobody
/// knows in which protocol.
async fn sniff_in_time<T: AsyncRead + Unpin>(
    io: T,
    options: &ServerOptions,
    drain: &Drain,
) -> Option<(Sniffed, Rewind<T>)> {
    let late = async {
        match options.first_timeout() {
            Some(limit) => Deadline::after(limit).await,
            None => std::future::pending().await,
        }
    };
    let mut sniffing = pin!(sniff(io));
    tokio::select! {
        biased;
        sniffed = &mut sniffing => sniffed.ok(),
        () = late => None,
        () = too_late(drain) => None,
    }
}

#[cfg(test)]
mod tests;
