//! Connections end when they are old or unused; what is under way does not.

use super::*;
use crate::http::options::ServerOptions;

const MINUTE: Duration = Duration::from_secs(60);

fn aged(server: HttpServer) -> HttpServer {
    server.options(ServerOptions { max_connection_duration: MINUTE, ..ServerOptions::default() })
}

#[tokio::test(start_paused = true)]
async fn http1_is_closed_when_it_is_old() {
    let (resources, serving) = start(aged);
    let begin = Instant::now();
    let mut client = Http1(connect(&resources, &serving).await);
    client.send(GET).await;
    assert!(!client.until("hello").await.contains("connection: close"));
    assert_eq!(client.rest().await, "");
    assert_eq!(seconds(begin), 60);
}

#[tokio::test(start_paused = true)]
async fn http1_finishes_what_is_under_way_and_says_close() {
    let (resources, serving) = start(aged);
    let begin = Instant::now();
    let mut client = Http1(connect(&resources, &serving).await);
    client.send(&GET.replace("/hello", "/wait/100")).await;
    let answer = client.rest().await;
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    assert_eq!(seconds(begin), 100);
}

#[tokio::test(start_paused = true)]
async fn http2_is_told_twice_and_finishes_what_is_under_way() {
    let (resources, serving) = start(aged);
    let mut client = Http2::connect(&resources, &serving).await;
    let begin = Instant::now();
    let (head, body) = client.get("/stream/100").await.unwrap();
    assert_eq!((head.status.as_u16(), body.len(), seconds(begin)), (200, 100, 100));
    client.closed().await;
    assert_eq!(seconds(begin), 100, "closed with its last stream");
    assert_eq!(client.goaways()[..2], [u32::MAX >> 1, 1], "first none is refused, then all after the first");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_crosses_the_first_goaway_is_answered() {
    let (resources, serving) = start(aged);
    let mut client = Http2::connect(&resources, &serving).await;
    let begin = Instant::now();
    tokio::time::sleep_until(begin + MINUTE - Duration::from_millis(1)).await;
    // The server's clock strikes while the request is in the pipe.
    let (answer, ()) = tokio::join!(client.get("/hello"), tokio::time::advance(Duration::from_millis(1)));
    assert_eq!(answer.unwrap().1, "hello");
    client.closed().await;
    assert_eq!(seconds(begin), 60);
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_grace_is_reset() {
    let (resources, serving) =
        start(|server| server.max_connection_age(MINUTE).max_connection_age_grace(Duration::from_secs(10)));
    let begin = Instant::now();
    let client = Http2::connect(&resources, &serving).await;
    client.get("/stream/100").await.unwrap_err();
    assert!((64..=76).contains(&seconds(begin)), "{}", seconds(begin));
    let begin = Instant::now();
    let mut client = Http1(connect(&resources, &serving).await);
    client.send(&GET.replace("/hello", "/stream/100")).await;
    let answer = client.rest().await;
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!((64..=76).contains(&seconds(begin)), "{}", seconds(begin));
}

#[tokio::test(start_paused = true)]
async fn the_age_varies_by_a_tenth_and_follows_from_the_seed() {
    async fn ages() -> Vec<Duration> {
        let (resources, serving) = start(|server| server.max_connection_age(Duration::from_secs(1000)));
        let mut ages = Vec::new();
        for _ in 0..100 {
            let begin = Instant::now();
            let mut client = Http1(connect(&resources, &serving).await);
            client.send(GET).await;
            client.until("hello").await;
            client.rest().await;
            ages.push(begin.elapsed());
        }
        ages
    }
    let ages_of_both = [ages().await, ages().await];
    assert_eq!(ages_of_both[0], ages_of_both[1]);
    let (least, most) = (ages_of_both[0].iter().min().unwrap(), ages_of_both[0].iter().max().unwrap());
    assert!((900..930).contains(&least.as_secs()) && (1070..=1100).contains(&most.as_secs()), "{least:?} {most:?}");
}

#[tokio::test(start_paused = true)]
async fn unused_connections_are_closed() {
    let (resources, serving) = start(|server| server.idle_timeout(Duration::from_secs(30)));
    let begin = Instant::now();
    let mut http1 = Http1(connect(&resources, &serving).await);
    let mut http2 = Http2::connect(&resources, &serving).await;
    http1.send(GET).await;
    http1.until("hello").await;
    http2.get("/stream/5").await.unwrap();
    assert_eq!(http1.rest().await, "");
    assert_eq!(seconds(begin), 30);
    http2.closed().await;
    assert_eq!(seconds(begin), 35);
}

#[tokio::test(start_paused = true)]
async fn who_never_says_anything_is_idle_where_no_other_time_runs() {
    use crate::http::options::CodecType;
    for codec in [CodecType::Auto, CodecType::Http1, CodecType::Http2] {
        let options = ServerOptions {
            codec,
            request_headers_timeout: Duration::ZERO,
            idle_timeout: Duration::from_secs(30),
            ..ServerOptions::default()
        };
        let (resources, serving) = start(|server| server.options(options));
        let begin = Instant::now();
        let mut silent = Http1(connect(&resources, &serving).await);
        let closed = tokio::time::timeout(Duration::from_secs(3600), silent.0.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "{codec:?} is never closed");
        assert_eq!(seconds(begin), 30, "{codec:?}");
    }
}
