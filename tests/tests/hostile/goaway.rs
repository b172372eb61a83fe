//! Hosts that end connections in the middle of everything: nothing is lost, nothing is done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    ACK, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, RST_STREAM, SETTINGS, Writer, frame, get, host, http2,
    proxy, within,
};

/// `:status: 200`.
const OK: &[u8] = &[0x88];

#[derive(Default)]
struct Served {
    requests: AtomicUsize,
    connections: AtomicUsize,
}

/// Answers so many requests, then says GOAWAY: what comes after is not looked at.
async fn serve_a_few(mut frames: Frames, writer: Writer, few: usize, served: Arc<Served>) {
    served.connections.fetch_add(1, Ordering::Relaxed);
    writer.send(frame(SETTINGS, 0, 0, b"")).await;
    if frames.preface().await.is_none() {
        return;
    }
    let mut answered = 0;
    while let Some(next) = frames.next().await {
        match next.kind {
            SETTINGS if next.flags & ACK == 0 => {
                writer.send(frame(SETTINGS, ACK, 0, b"")).await;
            }
            HEADERS if answered < few => {
                answered += 1;
                served.requests.fetch_add(1, Ordering::Relaxed);
                if answered == few {
                    let last = [&next.stream.to_be_bytes()[..], &[0; 4]].concat();
                    writer.send(frame(GOAWAY, 0, 0, &last)).await;
                }
                writer.send(frame(HEADERS, END_HEADERS | END_STREAM, next.stream, OK)).await;
                if answered == few {
                    writer.end().await;
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn every_request_is_answered_once_by_hosts_that_keep_leaving() {
    const REQUESTS: u32 = 2000;
    let served: Arc<Served> = Arc::default();
    let counted = served.clone();
    let host = host(move |frames, writer| serve_a_few(frames, writer, 50, counted.clone())).await;
    let server = proxy(host, true).await;
    let (mut frames, writer) = http2(&server).await;
    let mut answers = BTreeMap::new();
    let (mut next, mut open) = (0, 0);
    while answers.len() < REQUESTS as usize {
        while open < 100 && next < REQUESTS {
            assert!(writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * next + 1, &get("/"))).await);
            (next, open) = (next + 1, open + 1);
        }
        let frame = within("an answer", frames.next()).await.expect("the connection goes on");
        assert_ne!(frame.kind, RST_STREAM, "{frame:?}");
        if frame.kind == HEADERS {
            *answers.entry(frame.stream).or_insert(0) += 1;
            assert_eq!(frame.payload.first(), OK.first(), "{frame:?}");
            open -= 1;
        }
    }
    assert!(answers.values().all(|answers| *answers == 1));
    assert_eq!(served.requests.load(Ordering::Relaxed), REQUESTS as usize, "each was served once");
    assert!(served.connections.load(Ordering::Relaxed) >= 40);
    let stats = server.resources().stats();
    for gauge in ["upstream_rq_active", "upstream_rq_pending_active"] {
        assert_eq!(stats.gauge_value(&format!("cluster.host.{gauge}")), Some(0), "{gauge}");
    }
}

/// Processes a request, and dies without an answer.
#[tokio::test]
async fn a_request_that_may_have_been_processed_is_not_sent_again() {
    let seen: Arc<Mutex<Vec<u32>>> = Arc::default();
    let kept = seen.clone();
    let host = host(move |mut frames, writer| {
        let kept = kept.clone();
        async move {
            writer.send(frame(SETTINGS, 0, 0, b"")).await;
            frames.preface().await;
            let Some(request) = frames.find(HEADERS).await else { return };
            kept.lock().unwrap().push(request.stream);
            // INTERNAL_ERROR, and this stream was looked at.
            let last = [&request.stream.to_be_bytes()[..], &[0, 0, 0, 2]].concat();
            writer.send(frame(GOAWAY, 0, 0, &last)).await;
            writer.end().await;
        }
    })
    .await;
    let server = proxy(host, true).await;
    let (mut frames, writer) = http2(&server).await;
    writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/"))).await;
    let answer = frames.find(HEADERS).await.expect("an answer");
    assert_ne!(answer.payload.first(), OK.first(), "503");
    assert_eq!(*seen.lock().unwrap(), [1]);
}

/// Takes one stream at a time, whatever it said before, and lowers its limit under way.
#[tokio::test]
async fn a_limit_that_is_lowered_loses_nothing() {
    let refused: Arc<AtomicUsize> = Arc::default();
    let counted = refused.clone();
    let host = host(move |mut frames, writer| {
        let counted = counted.clone();
        async move {
            writer.send(frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])).await;
            frames.preface().await;
            let mut taken = BTreeSet::new();
            while let Some(next) = frames.next().await {
                match next.kind {
                    SETTINGS if next.flags & ACK == 0 => {
                        writer.send(frame(SETTINGS, ACK, 0, b"")).await;
                    }
                    HEADERS if taken.is_empty() => {
                        taken.insert(next.stream);
                        writer.send(frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])).await;
                        tokio::task::yield_now().await;
                        writer.send(frame(HEADERS, END_HEADERS | END_STREAM, next.stream, OK)).await;
                        taken.clear();
                    }
                    HEADERS => {
                        counted.fetch_add(1, Ordering::Relaxed);
                        writer.send(frame(RST_STREAM, 0, next.stream, &[0, 0, 0, 7])).await;
                    }
                    _ => {}
                }
            }
        }
    })
    .await;
    let server = proxy(host, true).await;
    let (mut frames, writer) = http2(&server).await;
    for index in 0..200 {
        writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * index + 1, &get("/"))).await;
    }
    for _ in 0..200 {
        let answer = frames.find(HEADERS).await.expect("an answer");
        assert_eq!(answer.payload.first(), OK.first(), "{answer:?}");
    }
}

/// Everything a host may answer that is no HTTP/2.
#[tokio::test]
async fn a_host_that_talks_nonsense_is_a_bad_gateway() {
    for nonsense in [&b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", b""] {
        let host = host(move |mut frames, writer| async move {
            frames.preface().await;
            frames.find(HEADERS).await;
            writer.send(nonsense).await;
            writer.end().await;
        })
        .await;
        let server = proxy(host, true).await;
        let (mut frames, writer) = http2(&server).await;
        writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/"))).await;
        let answer = frames.find(HEADERS).await.expect("an answer");
        assert_ne!(answer.payload.first(), OK.first());
        writer.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, &get("/"))).await;
        assert_eq!(frames.find(HEADERS).await.expect("the connection goes on").stream, 3);
    }
}
