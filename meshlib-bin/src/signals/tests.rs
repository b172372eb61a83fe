use std::convert::Infallible;

use tokio::time::Instant;

use super::*;

const END: Signal = Signal::End("SIGTERM");

/// Serves one connection for ever, as a server does: it follows the drain.
async fn serve(drain: Drain) -> Result<(), Infallible> {
    let _connection = drain.connection();
    drain.finished().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_drains_to_its_hard_stop() {
    let (sender, receiver) = mpsc::channel(4);
    let (drain, begin) = (Drain::new(), Instant::now());
    sender.send(Signal::Other("SIGHUP")).await.unwrap();
    sender.send(END).await.unwrap();
    let times = DrainTimes::within(Duration::from_secs(20));
    assert_eq!(supervise(serve(drain.clone()), receiver, drain.clone(), times).await, Ok(()));
    assert_eq!((begin.elapsed().as_secs(), drain.phase()), (20, DrainPhase::Stopped));
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_stops_at_once() {
    let (sender, receiver) = mpsc::channel(4);
    let (drain, begin) = (Drain::new(), Instant::now());
    sender.send(END).await.unwrap();
    sender.send(END).await.unwrap();
    let result = supervise(serve(drain.clone()), receiver, drain, DrainTimes::default()).await;
    assert_eq!((result, begin.elapsed().as_secs()), (Ok(()), 0));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_does_not_outlive_the_stop() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(END).await.unwrap();
    let (drain, begin) = (Drain::new(), Instant::now());
    let start = std::future::pending::<Result<(), Infallible>>();
    assert_eq!(supervise(start, receiver, drain, DrainTimes::default()).await, Ok(()));
    assert_eq!(begin.elapsed(), Duration::from_secs(25) + STOP_GRACE);
}

#[tokio::test]
async fn real_signals_arrive_and_kill_nobody() {
    let mut signals = listen().unwrap();
    let me = std::process::id().to_string();
    for (name, meaning) in [
        ("HUP", Signal::Other("SIGHUP")),
        ("USR1", Signal::Other("SIGUSR1")),
        ("INT", Signal::End("SIGINT")),
        ("TERM", Signal::End("SIGTERM")),
    ] {
        let sent = std::process::Command::new("kill").args(["-s", name, &me]).status().unwrap();
        assert!(sent.success());
        assert_eq!(signals.recv().await, Some(meaning));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_comes_back() {
    let (_sender, receiver) = mpsc::channel(4);
    let result = supervise(async { Err("no") }, receiver, Drain::new(), DrainTimes::default()).await;
    assert_eq!(result, Err("no"));
}
