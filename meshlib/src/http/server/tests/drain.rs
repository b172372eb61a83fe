//! A drain: its windows, its end, and what a server leaves behind.

use futures_util::FutureExt;

use super::*;
use crate::base::{Drain, DrainPhase, DrainTimes};

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test(start_paused = true)]
async fn accepting_goes_on_while_health_fails_then_the_port_closes() {
    let (resources, serving) = start(|server| server);
    let begin = Instant::now();
    let mut client = Http2::connect(&resources, &serving).await;
    client.get("/hello").await.unwrap();
    serving.drain(DrainTimes::default());
    assert!(resources.drain().health_failing());
    tokio::time::sleep_until(begin + Duration::from_millis(4900)).await;
    let mut late = Http1(connect(&resources, &serving).await);
    late.send(&GET.replace("/hello", "/wait/7")).await;
    client.get("/stream/3").await.unwrap();
    assert_eq!(seconds(begin), 7);
    client.closed().await;
    assert!(resources.network().connect(serving.local_addr()).await.is_err());
    let finished = async {
        serving.finished().await;
        seconds(begin)
    };
    let answered = async move { late.rest().await };
    let (answer, finished) = tokio::join!(answered, finished);
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.ends_with("hello"), "{answer}");
    assert_eq!(finished, 11);
}

#[tokio::test(start_paused = true)]
async fn the_hard_stop_cuts_what_is_left() {
    let (resources, serving) = start(|server| server);
    let begin = Instant::now();
    let client = Http2::connect(&resources, &serving).await;
    // Neither shakes hands nor asks.
    let _silent = connect(&resources, &serving).await;
    serving.drain(DrainTimes::default());
    let (answer, ()) = tokio::join!(client.get("/wait/100"), serving.finished());
    answer.unwrap_err();
    assert_eq!(seconds(begin), 25);
    assert_eq!(resources.drain().connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait() {
    let (resources, serving) = start(|server| server);
    let client = Http2::connect(&resources, &serving).await;
    let begin = Instant::now();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        serving.stop();
        serving.finished().await;
    };
    let (answer, ()) = tokio::join!(client.get("/wait/100"), stop);
    answer.unwrap_err();
    assert_eq!(seconds(begin), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_stops_everything_that_it_started() {
    let (resources, serving) = start(|server| server);
    let address = serving.local_addr();
    let mut http1 = Http1(connect(&resources, &serving).await);
    http1.send(&GET.replace("/hello", "/wait/100")).await;
    let http2 = Http2::connect(&resources, &serving).await;
    let (answer, ()) = tokio::join!(http2.get("/wait/100"), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(serving);
    });
    answer.unwrap_err();
    drop((http1, http2));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(tasks(), 0);
    assert!(resources.network().connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_every_connection_that_was_accepted() {
    async fn after(turns: usize) {
        let (resources, serving) = start(|server| server);
        let mut client = connect(&resources, &serving).await;
        for _ in 0..turns {
            turn().await;
        }
        resources.drain().enter(DrainPhase::Draining);
        let over = resources.drain().finished().now_or_never().is_some();
        // It fails where the connection was not accepted before.
        let mut answer = String::new();
        let _ = client.write_all(GET.as_bytes()).await;
        let _ = client.read_to_string(&mut answer).await;
        assert!(!over || answer.is_empty(), "over after {turns} turns, and answered then");
    }
    for turns in 0..10 {
        // A task as the server's are, one among them.
        tokio::spawn(after(turns)).await.unwrap();
    }
}

/// Lets every other task have one turn.
async fn turn() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_may_be_drained_from_a_thread_of_no_runtime() {
    let (_resources, serving) = start(|server| server);
    let begin = Instant::now();
    // As a signal handler's is.
    std::thread::scope(|scope| scope.spawn(|| serving.drain(DrainTimes::default())).join()).unwrap();
    serving.finished().await;
    assert_eq!(seconds(begin), 5);
}

#[tokio::test(start_paused = true)]
async fn each_server_may_follow_a_drain_of_its_own() {
    let (resources, stays) = start(|server| server);
    let own = Drain::new();
    let goes = HttpServer::new(&resources).drain(own.clone()).bind(any(), tower::service_fn(app)).unwrap();
    own.enter(DrainPhase::Draining);
    goes.finished().await;
    assert!(resources.network().connect(goes.local_addr()).await.is_err());
    assert_eq!(Http2::connect(&resources, &stays).await.get("/hello").await.unwrap().1, "hello");
}
