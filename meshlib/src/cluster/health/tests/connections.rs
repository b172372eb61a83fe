//! When a connection is kept, and when another one is made.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use tower::service_fn;

use super::{super::*, config, response, serving};
use crate::{
    base::{Error, ErrorKind, Retry, resources::BoxFuture},
    http::{ArcService, Body},
};

/// An answer by number: of the connection, and of the call on it.
type Numbered = fn(usize, usize) -> Option<Result<Response<Body>, Error>>;

fn numbered(answer: Numbered) -> (Prober, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let connect = {
        let connections = connections.clone();
        move || -> BoxFuture<Result<ArcService, Error>> {
            let connection = connections.fetch_add(1, Ordering::Relaxed);
            let calls = Arc::new(AtomicUsize::new(0));
            let service = service_fn(move |_: Request<Body>| {
                let answer = answer(connection, calls.fetch_add(1, Ordering::Relaxed));
                async move {
                    match answer {
                        Some(answer) => answer,
                        None => pending().await,
                    }
                }
            });
            Box::pin(std::future::ready(Ok(ArcService::new(service))))
        }
    };
    (Prober::connecting(connect, &config(), "echo").unwrap(), connections)
}

async fn outcomes(prober: &mut Prober, count: usize) -> String {
    let mut outcomes = String::new();
    for _ in 0..count {
        outcomes.push(match prober.next().await {
            Ok(()) => '+',
            Err(failure) => match failure.kind() {
                FailureKind::Network => 'n',
                FailureKind::Timeout => 't',
                FailureKind::Protocol => 'p',
            },
        });
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_until_it_fails() {
    let (mut prober, connections) = numbered(|connection, call| match (connection, call) {
        (0, 2) => Some(Ok(response(503, &[], vec![]))),
        (0, 4) => Some(Err(Error::new(ErrorKind::UpstreamReset))),
        _ => Some(Ok(serving())),
    });
    assert_eq!(outcomes(&mut prober, 4).await, "++p+");
    assert_eq!(connections.load(Ordering::Relaxed), 1, "a wrong answer keeps the connection");
    assert_eq!(outcomes(&mut prober, 3).await, "n++");
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_closed_between_checks_is_no_failure() {
    let (mut prober, connections) = numbered(|_, call| match call {
        0 => Some(Ok(serving())),
        _ => Some(Err(Error::new(ErrorKind::UpstreamConnectionTermination).with_retry(Retry::NotProcessed))),
    });
    assert_eq!(outcomes(&mut prober, 3).await, "+++");
    assert_eq!(connections.load(Ordering::Relaxed), 3);
    let (mut prober, connections) =
        numbered(|_, _| Some(Err(Error::new(ErrorKind::UpstreamRefusedStream).with_retry(Retry::NotProcessed))));
    assert_eq!(outcomes(&mut prober, 2).await, "nn", "on a new connection it is one");
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_keeps_the_connection_once() {
    let (mut prober, connections) = numbered(|connection, call| (connection > 0 || call == 1).then(|| Ok(serving())));
    assert_eq!(outcomes(&mut prober, 3).await, "t+t");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    assert_eq!(outcomes(&mut prober, 2).await, "t+");
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn reuse_can_be_switched_off() {
    let connections = Arc::new(AtomicUsize::new(0));
    let connect = {
        let connections = connections.clone();
        move || -> BoxFuture<Result<ArcService, Error>> {
            connections.fetch_add(1, Ordering::Relaxed);
            let service = service_fn(|_: Request<Body>| async { Ok::<_, Error>(serving()) });
            Box::pin(std::future::ready(Ok(ArcService::new(service))))
        }
    };
    let mut config = config();
    config.reuse_connection = false;
    let mut prober = Prober::connecting(connect, &config, "echo").unwrap();
    assert_eq!(outcomes(&mut prober, 3).await, "+++");
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}
