//! The four kinds of gRPC call through edge and sidecar, large ones and stalled ones included.

use futures_util::{StreamExt, stream};
use meshlib_examples::{
    mesh::Options,
    proto::{EchoRequest, RepeatRequest, stream_echo_client::StreamEchoClient},
};
use tokio::sync::mpsc;
use tokio_stream_of::receiver;

use crate::support::{eventually, mesh, stats};

/// A channel's receiving end as a stream.
mod tokio_stream_of {
    use futures_util::{Stream, stream};
    use tokio::sync::mpsc::Receiver;

    pub(crate) fn receiver<T: Send + 'static>(receiver: Receiver<T>) -> impl Stream<Item = T> + Send + 'static {
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|item| (item, receiver)) })
    }
}

fn request(content: &str) -> EchoRequest {
    EchoRequest { content: content.to_owned() }
}

#[tokio::test]
async fn all_three_streaming_kinds_pass() {
    let (_deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    let mut streams = StreamEchoClient::new(client.channel());

    let repeated = RepeatRequest { content: "again".to_owned(), count: 3, pause_ms: 1 };
    let answers: Vec<_> = streams.repeat(repeated).await.unwrap().into_inner().collect().await;
    assert_eq!(answers.len(), 3);
    assert!(answers.into_iter().all(|answer| answer.unwrap().content == "again"));

    let joined = streams.join(stream::iter(["a", "b", "c"].map(request))).await.unwrap();
    assert_eq!(joined.into_inner().content, "abc");

    let (say, said) = mpsc::channel(1);
    say.send(request("first")).await.unwrap();
    let mut chat = streams.chat(receiver(said)).await.unwrap().into_inner();
    assert_eq!(chat.message().await.unwrap().unwrap().content, "first");
    say.send(request("second")).await.unwrap();
    assert_eq!(chat.message().await.unwrap().unwrap().content, "second");
    drop(say);
    assert!(chat.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_at_the_application() {
    let (deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    let mut streams = StreamEchoClient::new(client.channel());
    let (say, said) = mpsc::channel(1);
    say.send(request("first")).await.unwrap();
    let mut chat = streams.chat(receiver(said)).await.unwrap().into_inner();
    chat.message().await.unwrap().unwrap();
    let active = || stats(&deployment).gauge_value("cluster.echo-grpc.upstream_rq_active");
    assert_eq!(active(), Some(1));
    drop(chat);
    drop(say);
    eventually("the upstream stream is gone", || active() == Some(0)).await;
}

#[tokio::test]
async fn a_large_message_passes() {
    let (_deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    let mut streams = StreamEchoClient::new(client.channel()).max_decoding_message_size(16 << 20);
    let piece = "x".repeat(1 << 20);
    let joined = streams.join(stream::iter((0..15).map(move |_| request(&piece)))).await.unwrap();
    assert_eq!(joined.into_inner().content.len(), 15 << 20);
}

#[tokio::test]
async fn a_reader_that_stands_still_stops_the_sender_and_nobody_else() {
    let (deployment, client) = mesh(Options { pods: 1, ..Options::default() }).await;
    let mut streams = StreamEchoClient::new(client.channel());
    let flood = RepeatRequest { content: "x".repeat(60 << 10), count: 2000, pause_ms: 0 };
    let mut stalled = streams.repeat(flood).await.unwrap().into_inner();
    stalled.message().await.unwrap().unwrap();
    let sent = || stats(&deployment).gauge_value("cluster.echo-grpc.upstream_rq_active");
    assert_eq!(sent(), Some(1));
    // The others on the same connections go on.
    for _ in 0..50 {
        crate::support::answered_by(&client).await;
    }
    let mut answers = 1;
    while stalled.message().await.unwrap().is_some() {
        answers += 1;
    }
    assert_eq!(answers, 2000, "nothing was lost");
}
