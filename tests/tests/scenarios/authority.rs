//! `host` and `:authority` agree, whichever HTTP the client and the application speak; and the client's address is
//! told by Envoy's rules.

use http::request::Builder;

use crate::support::{
    app::App,
    file::File,
    h1::{self, TextApp},
    h2::{Client, text},
    proxy::Proxy,
};

/// Proxies to an application of each kind.
struct Both {
    text_app: TextApp,
    app: App,
    to_text_app: Proxy,
    to_app: Proxy,
}

impl Both {
    async fn start(settings: impl Fn(File) -> File) -> Self {
        let (text_app, app) = (TextApp::echo().await, App::echo().await);
        let to_text_app = Proxy::start(settings(File::http1_to([text_app.address()]))).await;
        let to_app = Proxy::start(settings(File::to([app.address()]))).await;
        Self { text_app, app, to_text_app, to_app }
    }

    /// Sends a request in text to both.
    async fn send(&self, request: &str) {
        for proxy in [&self.to_text_app, &self.to_app] {
            let reply = h1::call(proxy.address(), request).await;
            assert_eq!(reply.first(), "HTTP/1.1 200 OK", "{reply:?}");
        }
    }

    /// Sends a request over HTTP/2 to both.
    async fn send_h2(&self, request: impl Fn(&Client) -> Builder) {
        for proxy in [&self.to_text_app, &self.to_app] {
            let client = Client::connect(proxy.address()).await;
            let answer = client.call(request(&client), b"").await.expect("an answer");
            assert_eq!(answer.status, 200);
        }
    }

    /// What both got last: authority or host, the path, and one header.
    fn seen(&self, name: &str) -> [(String, String, String); 2] {
        let (text_request, request) = (self.text_app.requests().pop(), self.app.requests().pop());
        let (text_request, request) = (text_request.expect("a request"), request.expect("a request"));
        assert!(!request.headers.contains_key("host"), "said once: {request:?}");
        let path = text_request.first().split(' ').nth(1).expect("a path");
        let authority = request.uri.authority().map_or("", |authority| authority.as_str());
        [
            (text_request.fields("host").join(" | "), path.to_owned(), text_request.fields(name).join(" | ")),
            (authority.to_owned(), request.uri.path_and_query().expect("a path").to_string(), {
                text(&request.headers, name).to_owned()
            }),
        ]
    }

    /// Asserts that both saw this authority and path.
    fn saw(&self, authority: &str, path: &str) {
        for (seen, seen_path, _) in self.seen("none") {
            assert_eq!((seen.as_str(), seen_path.as_str()), (authority, path));
        }
    }

    /// Asserts that both saw this value.
    fn saw_header(&self, name: &str, value: &str) {
        for (_, _, seen) in self.seen(name) {
            assert_eq!(seen, value, "{name}");
        }
    }
}

#[tokio::test]
async fn the_authority_is_the_clients() {
    let both = Both::start(|file| file).await;
    both.send("GET /a?b=c HTTP/1.1\r\nhost: a.test:81\r\n\r\n").await;
    both.saw("a.test:81", "/a?b=c");
    both.send("GET http://b.test:82/d HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    both.saw("b.test:82", "/d");
    both.send("GET http://b.test HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    both.saw("b.test", "/");
    both.send_h2(|_| http::Request::get("http://c.test:83/e?f")).await;
    both.saw("c.test:83", "/e?f");
    both.send_h2(|_| http::Request::get("http://c.test/").header("host", "other.test")).await;
    both.saw("c.test", "/");
}

#[tokio::test]
async fn a_client_is_not_asked_who_it_is_unless_told_to() {
    let both = Both::start(|file| file).await;
    both.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
    both.saw_header("x-forwarded-for", "");
    both.saw_header("x-forwarded-proto", "http");
    both.saw_header("x-envoy-internal", "");
    both.saw_header("x-envoy-external-address", "");
    // What a proxy before us said stays.
    let request =
        "GET / HTTP/1.1\r\nhost: a.test\r\nx-forwarded-for: 192.0.2.7, 10.0.0.1\r\nx-forwarded-proto: https\r\n";
    both.send(&format!("{request}\r\n")).await;
    both.saw_header("x-forwarded-for", "192.0.2.7, 10.0.0.1");
    both.saw_header("x-forwarded-proto", "https");
    let lines = both.to_app.log().lines(2).await;
    assert_eq!([lines[0].forwarded_for(), lines[1].forwarded_for()], ["-", "192.0.2.7, 10.0.0.1"]);
}

#[tokio::test]
async fn at_the_edge_the_peer_is_the_client() {
    let both = Both::start(|file| file.manager("use_remote_address: true")).await;
    both.send_h2(|client| client.request("GET", "/")).await;
    both.saw_header("x-forwarded-for", "127.0.0.1");
    let spoofed = "GET / HTTP/1.1\r\nhost: a.test\r\nx-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n";
    both.send(&format!("{spoofed}\r\n")).await;
    both.saw_header("x-forwarded-for", "192.0.2.7,127.0.0.1");
    both.saw_header("x-forwarded-proto", "http");
    let lines = both.to_app.log().lines(2).await;
    assert_eq!([lines[0].forwarded_for(), lines[1].forwarded_for()], ["127.0.0.1", "192.0.2.7,127.0.0.1"]);
}

#[tokio::test]
async fn behind_tls_the_scheme_is_https() {
    let (text_app, app) = (TextApp::echo().await, App::echo().await);
    for file in [File::to([app.address()]), File::http1_to([text_app.address()])] {
        let proxy = Proxy::start_tls(file).await;
        for alpn in [&["http/1.1"][..], &[]] {
            let mut connection = h1::Connection::open_tls(proxy.address(), alpn).await;
            connection.write("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n").await;
            assert_eq!(connection.next().await.expect("a response").first(), "HTTP/1.1 200 OK");
        }
    }
    for request in app.requests() {
        assert_eq!(text(&request.headers, "x-forwarded-proto"), "https");
        assert_eq!(request.uri.scheme_str(), Some("https"));
    }
    assert_eq!(text_app.requests().len(), 2);
    for request in text_app.requests() {
        assert_eq!(request.fields("x-forwarded-proto"), ["https"]);
    }
}
