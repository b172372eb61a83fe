//! What goes wrong between nodes, and how long things take.

use std::{io::ErrorKind, net::IpAddr};

use super::*;
use crate::testkit::Link;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Node one connects to node two; the accepted end comes later.
async fn across(network: &MemoryNetwork) -> (BoxIo, BoxIo) {
    let mut acceptor = network.at(TWO).bind(address("0.0.0.0:80")).unwrap();
    let client = network.at(ONE).connect(address("10.0.0.2:80")).await.unwrap();
    let accepted = poll_fn(|cx| acceptor.poll_accept(cx)).await.unwrap();
    (client, accepted.socket.adopt().unwrap())
}

#[tokio::test(start_paused = true)]
async fn latency_delays_each_way() {
    let (network, begin) = (MemoryNetwork::new(), Instant::now());
    network.set_link(ONE, TWO, Link::latency(ms(20)));
    let (mut client, mut server) = across(&network).await;
    assert_eq!(begin.elapsed(), ms(40), "there and back again");
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!((read.as_slice(), begin.elapsed()), (&b"ping"[..], ms(60)));
    let refused = network.at(ONE).connect(address("10.0.0.2:81")).await.err().unwrap();
    assert_eq!((refused.kind(), begin.elapsed()), (ErrorKind::ConnectionRefused, ms(100)));
    let (_client, _server) = connected(&network.at(ONE), address("127.0.0.1:80")).await;
    assert_eq!(begin.elapsed(), ms(100), "no link to oneself");
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_shared_out_byte_by_byte() {
    let (network, begin) = (MemoryNetwork::new(), Instant::now());
    let (mut client, mut server) = across(&network).await;
    network.set_link(TWO, ONE, Link::latency(ms(10)).bandwidth(100_000));
    let writing = tokio::spawn(async move { client.write_all(&[7; 200_000]).await });
    let mut read = vec![0; 200_000];
    server.read_exact(&mut read).await.unwrap();
    writing.await.unwrap().unwrap();
    // 64 KiB at most are under way: the latency is paid for each such load.
    assert!((ms(2010)..=ms(2060)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_back_what_is_sent_until_it_heals() {
    let network = MemoryNetwork::new();
    let (mut client, mut server) = across(&network).await;
    network.partition(TWO, ONE);
    client.write_all(b"late").await.unwrap();
    assert!(timeout(ms(10_000), server.read_u8()).await.is_err());
    let mut acceptor = network.at(TWO).bind(address("0.0.0.0:81")).unwrap();
    let from_one = network.at(ONE);
    let connecting = tokio::spawn(async move { from_one.connect(address("10.0.0.2:81")).await.map(drop) });
    assert!(timeout(ms(10_000), poll_fn(|cx| acceptor.poll_accept(cx))).await.is_err());
    assert!(network.connect(address("10.0.0.2:81")).await.is_ok(), "others are not parted");
    network.heal(ONE, TWO);
    connecting.await.unwrap().unwrap();
    let mut read = [0; 4];
    server.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"late");
}

#[tokio::test(start_paused = true)]
async fn an_end_behind_a_partition_is_not_heard_of() {
    let network = MemoryNetwork::new();
    let (mut client, server) = across(&network).await;
    network.isolate(TWO);
    drop(server);
    client.write_all(b"into the void").await.unwrap();
    assert!(timeout(ms(60_000), client.read_u8()).await.is_err(), "nobody says that it is over");
    network.rejoin(TWO);
    assert!(client.read_u8().await.is_err());
    assert!(client.write_all(b"more").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn half_open_connections_take_what_fits_and_never_answer() {
    let network = MemoryNetwork::new();
    let (mut client, server) = across(&network).await;
    assert_eq!(network.half_open(address("10.0.0.2:80")), 1);
    drop(server);
    assert!(timeout(ms(60_000), client.write_all(&[0; 100_000])).await.is_err());
    assert!(timeout(ms(60_000), client.read_u8()).await.is_err());
    network.heal(ONE, TWO);
    assert!(timeout(ms(60_000), client.read_u8()).await.is_err(), "for ever");
    let again = across(&network).await;
    drop((client, again));
    assert_eq!(network.all_open_connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_cut_off_from_others_but_not_from_itself() {
    let network = MemoryNetwork::new();
    let (mut client, _server) = across(&network).await;
    let (mut own, _own_server) = connected(&network.at(TWO), address("127.0.0.1:80")).await;
    assert_eq!(network.cut_node(TWO), 1);
    assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(timeout(ms(1), own.read_u8()).await.is_err());
    own.write_all(b"still there").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_trace_tells_of_connections_and_names() {
    let kit = Testkit::seeded(1);
    kit.dns.nx("before.test");
    kit.trace.record(Instant::now());
    let _listening = kit.network.at(TWO).bind(address("0.0.0.0:80")).unwrap();
    tokio::time::sleep(ms(1500)).await;
    drop(kit.network.at(ONE).connect(address("10.0.0.2:80")).await);
    drop(kit.network.at(ONE).connect(address("10.0.0.2:81")).await);
    kit.dns.set("echo.test", [ONE]);
    let told: Vec<_> = kit.trace.events().iter().map(ToString::to_string).collect();
    let expected = [
        "   1.500  10.0.0.1 connects to 10.0.0.2:80",
        "   1.500  10.0.0.1 cannot connect to 10.0.0.2:81: connection refused",
        "   1.500  DNS: echo.test is [10.0.0.1]",
    ];
    assert_eq!(told, expected);
}

#[test]
fn clocks_of_nodes_may_differ() {
    let kit = Testkit::seeded(1);
    let [one, two] = [ONE, TWO].map(|node| kit.at(node));
    two.clock.set_ahead_ms(-90_000);
    let (ours, theirs) = (one.resources.wall_clock().now(), two.resources.wall_clock().now());
    let apart = ours.duration_since(theirs).unwrap();
    assert!((ms(89_000)..=ms(91_000)).contains(&apart), "{apart:?}");
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn certificates_are_made_of_chance_and_trusted() {
    use crate::{
        base::resources::Random,
        net::tls::{TlsAcceptor, config::CertificateConfig},
        testkit::{TestCertificate, client::tls},
    };
    let provider = crate::testkit::resources().crypto_provider().clone();
    let made = |seed| TestCertificate::new(&["edge", "edge.test"], &provider, &Random::seeded(seed)).unwrap();
    let (certificate, other) = (made(1), made(2));
    assert_eq!((certificate.chain_pem(), certificate.key_pem()), (made(1).chain_pem(), made(1).key_pem()));
    assert_ne!(certificate.der(), other.der());
    for (trusted, name, works) in
        [(&certificate, "edge.test", true), (&certificate, "else.test", false), (&other, "edge.test", false)]
    {
        let config =
            CertificateConfig::inline(certificate.chain_pem().into_bytes(), certificate.key_pem().into_bytes());
        let acceptor = TlsAcceptor::builder(config.into()).build().unwrap();
        let (near, far) = Pipe::pair();
        let serving = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
        let trusted = [trusted.der().clone()];
        let shaken = tls(Box::new(near), name, &trusted, &["h2"], &provider).await;
        assert_eq!(shaken.is_ok(), works, "{name}");
        assert!(shaken.is_err() || shaken.unwrap().1.as_ref() == Some(certificate.der()));
        drop(serving);
    }
}
