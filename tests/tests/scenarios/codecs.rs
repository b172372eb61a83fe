//! Both protocols on one port, whichever way a client says which one it speaks.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{app::App, file::File, h1::Connection, h2::Client, proxy::Proxy, tls::tls, within};

const GET: &str = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";

#[tokio::test]
async fn a_plain_listener_takes_both_by_their_first_bytes() {
    let app = App::echo().await;
    let proxy = Proxy::start(File::to([app.address()])).await;
    let client = Client::connect(proxy.address()).await;
    assert_eq!(client.call(client.request("POST", "/"), b"two").await.expect("an answer").body(), "two");
    let mut connection = Connection::open(proxy.address()).await;
    // Byte by byte: the first one that HTTP/2 would not send decides.
    for byte in GET.bytes() {
        connection.write([byte]).await;
    }
    assert_eq!(connection.next().await.expect("a response").first(), "HTTP/1.1 200 OK");
    let mut post = Connection::open(proxy.address()).await;
    post.write("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 3\r\n\r\none").await;
    assert_eq!(post.next().await.expect("a response").body, "one");
    let lines = proxy.log().lines(3).await;
    let protocols: Vec<_> =
        lines.iter().map(|line| line.outcome().split(' ').nth(2).expect("three").to_owned()).collect();
    assert_eq!(protocols, ["HTTP/2", "HTTP/1.1", "HTTP/1.1"]);
    assert_eq!(proxy.counter("http.ingress.downstream_rq_http1_total"), 2);
    assert_eq!(proxy.counter("http.ingress.downstream_rq_http2_total"), 1);
}

#[tokio::test]
async fn over_tls_by_alpn_and_without_it() {
    let app = App::echo().await;
    let proxy = Proxy::start_tls(File::to([app.address()])).await;
    let agreed = |stream: &tokio_rustls::client::TlsStream<tokio::net::TcpStream>| {
        stream.get_ref().1.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned())
    };
    let address = proxy.address().to_string();
    for (offered, protocol) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["acme/1"], None),
        (&[], None),
    ] {
        assert_eq!(agreed(&tls(&address, offered).await).as_deref(), protocol, "{offered:?}");
    }
    let client = Client::connect_tls(proxy.address()).await;
    assert_eq!(client.call(client.request("POST", "/"), b"two").await.expect("an answer").body(), "two");
    for alpn in [&["http/1.1"][..], &["acme/1"], &[]] {
        let mut connection = Connection::open_tls(proxy.address(), alpn).await;
        connection.write(GET).await;
        assert_eq!(connection.next().await.expect("a response").first(), "HTTP/1.1 200 OK", "{alpn:?}");
    }
}

/// What the first frame says, read as bytes: identifiers and values of RFC 9113, section 6.5.2.
#[tokio::test]
async fn settings_bound_what_a_client_may_have_in_flight() {
    let proxy = Proxy::start(File::to([])).await;
    let mut stream = tokio::net::TcpStream::connect(proxy.address()).await.expect("a connection");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("it is sent");
    let (settings, mut window) = within("SETTINGS and the connection's window", async {
        let (mut settings, mut window) = (Vec::new(), 65_535);
        loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header).await.expect("a frame");
            let [high, middle, low, kind, flags, ..] = header;
            let mut payload = vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
            stream.read_exact(&mut payload).await.expect("its payload");
            let number = |bytes: &[u8]| bytes.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
            match kind {
                4 if flags == 0 => {
                    settings = payload.chunks(6).map(|entry| (number(&entry[..2]), number(&entry[2..]))).collect();
                }
                8 => {
                    window += number(&payload);
                    return (settings, window);
                }
                _ => {}
            }
        }
    })
    .await;
    let value = |id: u32| settings.iter().find(|(found, _)| *found == id).map(|(_, value)| *value);
    window >>= 20;
    assert_eq!((value(3), value(4), window), (Some(1024), Some(256 << 10), 4), "streams, window, connection in MiB");
    assert_ne!(value(2), Some(1), "no push");
    assert_ne!(value(8), Some(1), "no extended CONNECT");
    let client = Client::connect(proxy.address()).await;
    client.call(client.request("GET", "/"), b"").await.expect("an answer");
    assert_eq!(client.max_streams(), 1024);
}
