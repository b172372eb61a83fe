use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, Instant},
};

use super::{
    TcpNetwork,
    io::close_gently,
    listen::{ConnectionLimit, Listener},
};
use crate::base::resources::{Accepted, Acceptor, Files, Network};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::test]
async fn a_second_listener_on_a_port_fails() {
    let network = TcpNetwork::new();
    let first = network.bind(ANY_PORT.parse().unwrap()).unwrap();
    let error = network.bind(first.local_addr().unwrap()).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn both_sides_have_nodelay() {
    let mut acceptor = super::listen::TcpAcceptor::bind(ANY_PORT.parse().unwrap()).unwrap();
    let address = acceptor.local_addr().unwrap();
    let client = super::connect::tcp(address).await.unwrap();
    assert!(client.nodelay().unwrap());
    let (stream, _) = acceptor.listener.accept().await.unwrap();
    assert!(stream.nodelay().unwrap(), "inherited from the listening socket");

    let client = super::connect::tcp(address).await.unwrap();
    let accepted = poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap();
    assert_eq!((accepted.local, accepted.peer), (address, client.local_addr().unwrap()));
}

#[tokio::test]
async fn a_reserve_that_was_lost_is_taken_again() {
    let mut acceptor = super::listen::TcpAcceptor::bind(ANY_PORT.parse().unwrap()).unwrap();
    // As when another thread was faster than `shed`.
    acceptor.reserve = None;
    let _client = super::connect::tcp(acceptor.local_addr().unwrap()).await.unwrap();
    poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap();
    assert!(acceptor.reserve.is_some());
}

#[tokio::test]
async fn an_accepted_socket_moves_to_another_runtime() {
    let network = TcpNetwork::new();
    let mut listener = Listener::new(network.bind("[::]:0".parse().unwrap()).unwrap(), ConnectionLimit::new(4));
    let port = listener.local_addr().unwrap().port();
    let mut client = network.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let (accepted, _permit) = listener.accept().await;
    assert_eq!(accepted.local.port(), port);
    assert!(!accepted.local.ip().is_unspecified());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { accepted.socket.adopt().unwrap().write_all(b"elsewhere").await.unwrap() });
    })
    .join()
    .unwrap();
    let mut read = String::new();
    client.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, "elsewhere");
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let network = TcpNetwork::new();
    let address = network.bind(ANY_PORT.parse().unwrap()).unwrap().local_addr().unwrap();
    let error = network.connect(address).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// An acceptor that answers from a script, then stays silent.
struct Script(VecDeque<std::io::Result<Accepted>>, Arc<Mutex<Vec<Instant>>>);

impl Acceptor for Script {
    fn local_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        Ok(ANY_PORT.parse().unwrap())
    }

    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<Accepted>> {
        self.1.lock().unwrap().push(Instant::now());
        self.0.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn shed(&mut self, _: &mut Context<'_>) -> usize {
        let waiting = self.0.iter().take_while(|answer| answer.is_ok()).count();
        self.0.drain(..waiting).count()
    }
}

fn accepted() -> Accepted {
    struct Nothing;
    impl crate::base::resources::DetachedSocket for Nothing {
        fn adopt(self: Box<Self>) -> std::io::Result<crate::base::resources::BoxIo> {
            Ok(Box::new(tokio::io::empty()))
        }
    }
    let address = ANY_PORT.parse().unwrap();
    Accepted { peer: address, local: address, socket: Box::new(Nothing) }
}

fn script(answers: impl IntoIterator<Item = std::io::Result<Accepted>>) -> (Box<Script>, Arc<Mutex<Vec<Instant>>>) {
    let tries = Arc::new(Mutex::new(Vec::new()));
    (Box::new(Script(answers.into_iter().collect(), tries.clone())), tries)
}

#[tokio::test(start_paused = true)]
async fn shortages_are_waited_out_with_growing_pauses() {
    let errors = [105, 12, 105, 105, 12, 105, 105].map(|code| Err(std::io::Error::from_raw_os_error(code)));
    let (acceptor, tries) = script(errors.into_iter().chain([Ok(accepted())]));
    Listener::new(acceptor, ConnectionLimit::new(1)).accept().await;
    let tries = tries.lock().unwrap();
    let pauses: Vec<_> = tries.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 80, 80, 80]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_sent_away_only_for_want_of_a_descriptor() {
    for (code, tries_until_accepted) in [(24, None), (23, None), (105, Some(2)), (12, Some(2))] {
        let (acceptor, tries) = script([Err(std::io::Error::from_raw_os_error(code)), Ok(accepted())]);
        let mut listener = Listener::new(acceptor, ConnectionLimit::new(1));
        let served = tokio::time::timeout(Duration::from_secs(1), listener.accept()).await;
        assert_eq!(served.ok().map(|_| tries.lock().unwrap().len()), tries_until_accepted, "errno {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_connections_are_passed_over_at_once() {
    let begin = Instant::now();
    let dead = std::iter::repeat_with(|| Err(std::io::ErrorKind::ConnectionAborted.into())).take(10);
    let (acceptor, _) = script(dead.chain([Ok(accepted())]));
    Listener::new(acceptor, ConnectionLimit::new(1)).accept().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_connections_wait_until_one_ends() {
    let (acceptor, tries) = script((0..3).map(|_| Ok(accepted())));
    let mut listener = Listener::new(acceptor, ConnectionLimit::new(2));
    let (_first, permit) = listener.accept().await;
    let _second = listener.accept().await;
    assert!(tokio::time::timeout(Duration::from_secs(60), listener.accept()).await.is_err());
    assert_eq!(tries.lock().unwrap().len(), 2, "the third is left to the kernel's queue");
    drop(permit);
    listener.accept().await;
}

#[tokio::test(start_paused = true)]
async fn run_ends_when_told() {
    let (acceptor, _) = script((0..3).map(|_| Ok(accepted())));
    let mut served = 0;
    let listener = Listener::new(acceptor, ConnectionLimit::new(9));
    listener.run(tokio::time::sleep(Duration::from_secs(5)), |_, _| served += 1).await;
    assert_eq!(served, 3);
}

#[test]
fn the_limit_is_half_of_the_descriptors() {
    struct Limits(&'static str);
    impl Files for Limits {
        fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            assert_eq!(path, std::path::Path::new("/proc/self/limits"));
            if self.0.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(self.0.into()) }
        }
        fn fingerprint(&self, _: &std::path::Path) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let of = |text| ConnectionLimit::of_system(&Limits(text)).available();
    let header = "Limit                     Soft Limit           Hard Limit           Units     \n";
    assert!(header.lines().count() == 1 && of(header) == 50_000);
    assert_eq!(of("Max open files            1024                 524288               files     \n"), 512);
    assert_eq!(of("Max open files            1048576              1048576              files     \n"), 50_000);
    assert_eq!(of("Max open files            unlimited            unlimited            files     \n"), 50_000);
    assert_eq!(of(""), 50_000);
}

#[tokio::test(start_paused = true)]
async fn closing_gently_waits_for_the_peer_but_not_for_ever() {
    let begin = Instant::now();
    let (mut peer, io) = tokio::io::duplex(64);
    let closing = tokio::spawn(close_gently(io, Duration::from_secs(1)));
    peer.write_all(&[1; 200]).await.unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    drop(peer);
    closing.await.unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);

    let (_silent, io) = tokio::io::duplex(64);
    close_gently(io, Duration::from_secs(1)).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(1));
}
