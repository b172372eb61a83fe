mod faults;

use std::{future::poll_fn, net::SocketAddr, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::*;
use crate::base::resources::{AddressFamily, BoxIo, DnsAnswer, Network, WallClock};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

async fn connected(network: &MemoryNetwork, to: SocketAddr) -> (BoxIo, BoxIo) {
    let mut acceptor = network.bind(to).unwrap();
    let client = network.connect(to).await.unwrap();
    let accepted = poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap();
    (client, accepted.socket.adopt().unwrap())
}

#[tokio::test(start_paused = true)]
async fn ports_are_given_out_refused_and_freed() {
    let network = MemoryNetwork::new();
    let one = network.bind(address("10.0.0.1:0")).unwrap();
    let other = network.bind(address("10.0.0.1:0")).unwrap();
    let port = one.local_addr().unwrap();
    assert_ne!(port, other.local_addr().unwrap());
    assert_eq!(network.bind(port).err().unwrap().kind(), std::io::ErrorKind::AddrInUse);
    drop(one);
    assert_eq!(network.connect(port).await.err().unwrap().kind(), std::io::ErrorKind::ConnectionRefused);
    network.bind(port).unwrap();
    assert_eq!(network.connects(port), 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_on_all_addresses_takes_each() {
    let network = MemoryNetwork::new();
    let mut acceptor = network.bind(address("0.0.0.0:80")).unwrap();
    let _client = network.at([10, 0, 0, 9].into()).connect(address("10.0.0.1:80")).await.unwrap();
    let accepted = poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap();
    assert_eq!(accepted.local, address("10.0.0.1:80"));
    assert_eq!(accepted.peer.ip(), address("10.0.0.9:0").ip());
}

#[tokio::test(start_paused = true)]
async fn each_node_has_its_own_loopback_and_listens_for_itself() {
    let (one, other) = (MemoryNetwork::new().at([10, 0, 0, 1].into()), [10, 0, 0, 2].into());
    let other = one.at(other);
    let (local, all) = (address("127.0.0.1:80"), address("0.0.0.0:90"));
    let listening = [one.bind(local).unwrap(), one.bind(all).unwrap()];
    for (from, to, heard) in [
        (&one, "127.0.0.1:80", true),
        (&other, "127.0.0.1:80", false),
        (&one, "10.0.0.1:80", false),
        (&one, "127.0.0.1:90", true),
        (&one, "10.0.0.1:90", true),
        (&other, "10.0.0.1:90", true),
        (&other, "127.0.0.1:90", false),
        (&other, "10.0.0.2:90", false),
    ] {
        assert_eq!(from.connect(address(to)).await.is_ok(), heard, "{to}");
    }
    other.bind(all).unwrap();
    one.refuse(local);
    assert!(one.connect(local).await.is_err());
    let _also = other.bind(local).unwrap();
    assert!(other.connect(local).await.is_ok(), "a fault on one loopback is none on another");
    assert_eq!((one.connects(local), other.connects(local)), (2, 2));
    drop(listening);
}

#[tokio::test(start_paused = true)]
async fn nodes_share_the_world_and_keep_what_is_theirs() {
    let world = Testkit::seeded(7);
    let [one, other] = [1, 2].map(|node| world.at([10, 0, 0, node].into()));
    one.resources.stats().counter("c").increment();
    assert_eq!(other.resources.stats().counter_value("c"), None);
    one.resources.drain().fail_health(true);
    assert!(!other.resources.drain().health_failing());
    one.dns.nx("a.test");
    let answer = other.resources.resolver().resolve("a.test", AddressFamily::V4).await.unwrap();
    assert_eq!(answer, DnsAnswer::NoSuchName);
    let draw = |kit: &Testkit| kit.resources.random().fork().u64(..);
    let again = Testkit::seeded(7);
    let repeated = [1, 2].map(|node| draw(&again.at([10, 0, 0, node].into())));
    assert_eq!([draw(&one), draw(&other)], repeated);
    assert_ne!(repeated[0], repeated[1]);
}

#[test]
fn files_change_with_each_write() {
    use crate::base::resources::Files;
    let (files, path) = (MemoryFiles::new(), Path::new("/a"));
    assert!(files.read(path).is_err() && files.fingerprint(path).is_err());
    files.write(path, "x");
    let before = files.fingerprint(path).unwrap();
    files.write(path, "x");
    assert_eq!(files.read(path).unwrap(), b"x");
    assert_ne!(files.fingerprint(path).unwrap(), before);
    files.remove(path);
    assert!(files.read(path).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_keeps_a_connect_pending() {
    let network = MemoryNetwork::new();
    let to = address("10.0.0.1:80");
    let _acceptor = network.bind(to).unwrap();
    network.black_hole(to);
    assert!(timeout(Duration::from_secs(3600), network.connect(to)).await.is_err());
    network.restore(to);
    assert!(network.connect(to).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn half_close_leaves_the_other_direction_open() {
    let (mut client, mut server) = connected(&MemoryNetwork::new(), address("10.0.0.1:80")).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    server.read_to_string(&mut question).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
}

#[tokio::test(start_paused = true)]
async fn buffers_are_bounded_and_writers_wake() {
    let (mut client, mut server) = connected(&MemoryNetwork::new(), address("10.0.0.1:80")).await;
    let writing = tokio::spawn(async move { client.write_all(&[7; 300_000]).await });
    let mut read = Vec::new();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!writing.is_finished());
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read.len(), 300_000);
    writing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn dropping_with_bytes_unread_resets() {
    let (mut client, mut server) = connected(&MemoryNetwork::new(), address("10.0.0.1:80")).await;
    client.write_all(b"never read").await.unwrap();
    server.write_all(b"lost").await.unwrap();
    drop(server);
    let error = client.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn cutting_resets_both_ends() {
    let network = MemoryNetwork::new();
    let to = address("10.0.0.1:80");
    let (mut client, mut server) = connected(&network, to).await;
    let waiting = tokio::spawn(async move { server.read_u8().await });
    tokio::task::yield_now().await;
    assert_eq!(network.open_connections(to), 1);
    assert_eq!(network.cut(to), 1);
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(client.write_u8(1).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(network.cut(to), 0);
}

#[tokio::test(start_paused = true)]
async fn the_resolver_follows_its_script_and_counts() {
    let kit = Testkit::seeded(1);
    let resolve = |name: &'static str, family| kit.resources.resolver().resolve(name, family);
    let ttl = Duration::from_secs(60);
    kit.dns.set("echo.test", [[10, 0, 0, 1].into(), [0, 0, 0, 0, 0, 0, 0, 1u16].into()]);
    let v4 = DnsAnswer::Addresses { addresses: vec![[10, 0, 0, 1].into()], ttl };
    assert_eq!(resolve("echo.test", AddressFamily::V4).await.unwrap(), v4);
    assert_eq!(resolve("nowhere.test", AddressFamily::V4).await.unwrap(), DnsAnswer::NoSuchName);
    kit.dns.fail("echo.test");
    assert!(resolve("echo.test", AddressFamily::V4).await.is_err());
    kit.dns.hang("echo.test");
    assert!(timeout(Duration::from_secs(3600), resolve("echo.test", AddressFamily::V4)).await.is_err());
    kit.dns.nx("echo.test");
    assert_eq!(resolve("echo.test", AddressFamily::V6).await.unwrap(), DnsAnswer::NoSuchName);
    assert_eq!(kit.dns.queries("echo.test", AddressFamily::V4), 3);
    assert_eq!(kit.dns.queries("echo.test", AddressFamily::V6), 1);
}

#[tokio::test(start_paused = true)]
async fn logs_clock_and_chance_repeat() {
    let kit = Testkit::seeded(1);
    let sink = kit.resources.log_sinks().open(Path::new("/dev/stdout")).unwrap();
    assert!(sink.write("one\ntwo\n".into()));
    assert!(kit.resources.log_sinks().open(Path::new("/dev/stdout")).unwrap().write("three\n".into()));
    assert_eq!(kit.logs.lines("/dev/stdout"), ["one", "two", "three"]);

    let begin = Instant::now();
    let clock = TestClock::new();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(begin.elapsed().as_millis(), 1500);
    let now = httpdate::fmt_http_date(clock.now());
    assert_eq!(now, "Thu, 01 Jan 2026 00:00:01 GMT");

    let draw = |seed| Testkit::seeded(seed).resources.random().fork().u64(..);
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
}
