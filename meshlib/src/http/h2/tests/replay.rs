//! Bodies of requests that a host refused: what may be sent again, and how.

use futures_util::{FutureExt, stream};
use h2::{Reason, server::SendResponse};
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;
use crate::base::{ErrorKind, Retry};

/// A host that takes streams, and refuses all of them whenever it is told to.
async fn refusing() -> (H2Client, mpsc::UnboundedSender<()>) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (refuse, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        let mut held: Vec<(Request<h2::RecvStream>, SendResponse<Bytes>)> = Vec::new();
        loop {
            tokio::select! {
                biased;
                Some(()) = told.recv() => {
                    held.drain(..).for_each(|(_request, mut respond)| respond.send_reset(Reason::REFUSED_STREAM));
                }
                accepted = connection.accept() => match accepted {
                    Some(Ok(stream)) => held.push(stream),
                    _ => return,
                },
            }
        }
    });
    let (client, connection) = client::handshake(Box::new(near), &Http2Options::upstream());
    tokio::spawn(connection);
    (client, refuse)
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_that_failed_is_not_sent_again_as_if_it_were_whole() {
    let (client, refuse) = refusing().await;
    let (feed, mut fed) = mpsc::unbounded_channel::<Result<Frame<Bytes>, Error>>();
    let body = StreamBody::new(stream::poll_fn(move |cx| fed.poll_recv(cx)));
    let mut exchange = client.exchange(post_body(Body::new(body)));
    feed.send(Ok(Frame::data(Bytes::from("half")))).unwrap();
    assert!((&mut exchange).now_or_never().is_none());
    settle().await;
    refuse.send(()).unwrap();
    settle().await;
    // Both at once: the client has gone away, and the host does not want the request.
    feed.send(Err(Error::new(ErrorKind::DownstreamTermination))).unwrap();
    drop(feed);
    let failed = exchange.await.unwrap_err();
    assert!(failed.request.is_none(), "half a body is no body");
}

#[tokio::test]
async fn a_body_that_has_ended_is_not_asked_again() {
    let (client, refuse) = refusing().await;
    // Panics when it is polled after its end, as a stream may.
    let whole = stream::unfold(Some("whole"), |data| async move {
        let frame = Frame::data(Bytes::from(data?));
        Some((Ok::<_, Error>(frame), None))
    });
    let exchange = tokio::spawn(client.exchange(post_body(Body::new(StreamBody::new(whole)))));
    settle().await;
    refuse.send(()).unwrap();
    let failed = exchange.await.unwrap().unwrap_err();
    assert_eq!(failed.error.retry(), Retry::NotProcessed);
    let again = failed.request.unwrap().into_body().collect().await.unwrap();
    assert_eq!(again.to_bytes(), "whole");
}
