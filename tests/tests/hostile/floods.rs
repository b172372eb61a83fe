//! Frames that are cheap to send: whoever floods is shut out, and nobody else notices.

use meshlib::proxy::server::Server;

use crate::support::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get, http2,
    proxy, text_host,
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];
const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// The bytes of one blow of a flood, of which this is the number.
type Piece = fn(u32) -> Vec<u8>;

/// Sends until the proxy takes no more; why it says that it does not.
async fn flood(server: &Server, piece: Piece) -> Option<[u8; 4]> {
    let (mut frames, writer) = http2(server).await;
    tokio::spawn(async move {
        let mut index = 0;
        while index < 1_000_000 && writer.send((index..index + 100).flat_map(piece).collect::<Vec<_>>()).await {
            index += 100;
        }
    });
    let goaway = frames.find(GOAWAY).await?;
    goaway.payload.get(4..8)?.try_into().ok()
}

fn stream(index: u32) -> u32 {
    2 * index + 1
}

#[tokio::test]
async fn floods_end_and_neighbours_go_on() {
    let (host, heads) = text_host().await;
    let server = proxy(host, false).await;
    let (mut neighbour, writer) = http2(&server).await;
    let floods: [(&str, Piece); 11] = [
        ("PING", |_| frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])),
        ("PRIORITY", |_| frame(2, 0, 3, &[0, 0, 0, 0, 16])),
        ("an unknown frame", |_| frame(0x20, 0, 0, b"x")),
        ("WINDOW_UPDATE", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("rapid resets", |index| {
            let head = frame(HEADERS, END_HEADERS | END_STREAM, stream(index), &get("/reset"));
            [head, frame(RST_STREAM, 0, stream(index), &CANCEL)].concat()
        }),
        ("streams that are broken on purpose", |index| {
            let head = frame(HEADERS, END_HEADERS, stream(index), &get("/broken"));
            [head, frame(WINDOW_UPDATE, 0, stream(index), &[0x7f, 0xff, 0xff, 0xff])].concat()
        }),
        ("DATA after the end", |index| {
            let head = frame(HEADERS, END_HEADERS | END_STREAM, stream(index), &get("/broken"));
            [head, frame(DATA, 0, stream(index), b"x")].concat()
        }),
        ("HEADERS after the end", |index| {
            frame(HEADERS, END_HEADERS | END_STREAM, stream(index), &get("/broken")).repeat(2)
        }),
        ("streams that depend on themselves", |index| {
            let head = frame(HEADERS, END_HEADERS, stream(index), &get("/broken"));
            let priority = [&stream(index).to_be_bytes()[..], &[16]].concat();
            [head, frame(2, 0, stream(index), &priority)].concat()
        }),
        ("CONTINUATION", |index| if index == 0 { frame(HEADERS, 0, 1, &get("/")) } else { frame(9, 0, 1, b"") }),
    ];
    for (index, (name, piece)) in (0..).zip(floods) {
        assert_eq!(flood(&server, piece).await, Some(ENHANCE_YOUR_CALM), "{name}");
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream(index), &get("/neighbour"));
        assert!(writer.send(head).await);
        let answer = neighbour.find(HEADERS).await.expect("the neighbour goes on");
        assert_eq!((answer.stream, answer.payload.first()), (stream(index), Some(&0x88)), "{name}");
    }
    let heads = heads.lock().unwrap();
    let reached = |path: &str| heads.iter().filter(|head| head.contains(path)).count();
    assert_eq!(reached("/neighbour"), 11);
    // One whose reset had not been read yet when a turn ended; not one in a hundred.
    assert!(reached("/reset") <= 10, "{}", reached("/reset"));
    let stats = server.resources().stats();
    assert_eq!(stats.gauge_value("cluster.host.upstream_rq_active"), Some(0));
}

/// More than `h2` takes in the whole life of a connection.
#[tokio::test]
async fn empty_frames_do_not_add_up() {
    let (host, heads) = text_host().await;
    let server = proxy(host, false).await;
    let (mut frames, writer) = http2(&server).await;
    for index in 0..200 {
        let head = [get("/"), vec![0, 14], b"content-length\x011".to_vec()].concat();
        let empty = frame(DATA, 0, stream(index), b"");
        let all = [
            frame(HEADERS, END_HEADERS, stream(index), &head),
            empty.clone(),
            frame(DATA, 0, stream(index), b"x"),
            empty,
            frame(DATA, END_STREAM, stream(index), b""),
        ];
        assert!(writer.send(all.concat()).await);
        assert_eq!(frames.find(HEADERS).await.expect("the connection goes on").stream, stream(index));
    }
    assert_eq!(heads.lock().unwrap().len(), 200);
}
