//! The start: what is waited for, for how long, and what answers meanwhile.

use std::time::Duration;

use meshlib::{
    base::resources::Network,
    testkit::{Health, NodeState, Testkit},
};

use crate::{
    client::{Raw, tls},
    node::raised,
    world::{CHAIN, CHECKED, EdgeOptions, KEY, SERVICE, World, edge_address, secs, tasks},
};

/// The kubelet's question.
const PROBE: &str = "x-envoy-livenessprobe: healthz\r\nconnection: close\r\n";

#[tokio::test(start_paused = true)]
async fn clients_wait_in_the_queue_until_the_first_checks_are_through() {
    let mut world = World::new(1);
    world.start_pod(1).await;
    world.app(1).set_health(Health::Silent);
    world.publish([1]);
    world.begin_edge(CHECKED).await;
    world.at(0.1).await;
    assert!(matches!(world.sim.node("edge").state(), NodeState::Starting));
    let reply = world.client().await.echo().await.unwrap();
    assert_eq!((reply.grpc_status(), world.now()), (Some(0), secs(1)), "answered in panic, once the check timed out");
    assert!(matches!(world.sim.node("edge").state(), NodeState::Up(_)));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_leaves_nothing() {
    let mut world = World::new(1);
    world.kit.dns.hang(SERVICE);
    world.begin_edge(EdgeOptions::default()).await;
    world.at(2.0).await;
    assert!(tasks() > 0);
    let kit = world.sim.node("edge").kit().clone();
    world.kill_edge().await;
    kit.network.bind(edge_address()).expect("its port is free at once");
    kit.network.bind(([127, 0, 0, 1], 8090).into()).expect("and that of its admin interface");
    tokio::task::yield_now().await;
    assert_eq!((tasks(), raised(kit.resources.stats())), (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_admin_interface_answers_while_the_clusters_warm_up() {
    let mut world = World::new(1);
    world.kit.dns.hang(SERVICE);
    world.begin_edge(EdgeOptions::default()).await;
    world.at(2.0).await;
    let answer = world.edge_admin("GET", "/ready").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nINITIALIZING\n"), "{answer}");
    let serves = || matches!(world.sim.node("edge").state(), NodeState::Up(_));
    assert_eq!(world.when("it serves", serves).await, secs(5));
    let answer = world.edge_admin("GET", "/ready").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nLIVE\n"), "{answer}");
}

/// A start while DNS fails in some way: the world, with its edge.
async fn without_dns(fail: fn(&Testkit), tls: bool) -> World {
    let mut world = World::new(1);
    world.start_pod(1).await;
    fail(&world.kit);
    world.start_edge(EdgeOptions { tls, ..EdgeOptions::default() }).await;
    assert!(world.now() <= secs(10), "listeners are there at {:?}", world.now());
    world
}

const DEAD: [fn(&Testkit); 2] = [|kit| kit.dns.hang(SERVICE), |kit| kit.dns.fail(SERVICE)];

#[tokio::test(start_paused = true)]
async fn a_dead_name_server_does_not_keep_the_kubelet_waiting() {
    for (fail, started) in DEAD.into_iter().zip([5, 0]) {
        let world = without_dns(fail, true).await;
        assert_eq!(world.now(), secs(started));
        // HTTP/1.1 over TLS, no ALPN, a new connection for each probe.
        for (headers, status) in [(PROBE, "200 OK"), ("connection: close\r\n", "404 Not Found")] {
            let mut probe = Raw::over(tls(world.dial().await.unwrap(), &world.certificate(), &[]).await.unwrap());
            probe.get("/healthz", headers).await;
            let answer = probe.rest().await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        }
        assert_eq!(world.now(), secs(started), "no probe waits");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_succeed_within_six_seconds_of_dns_coming_back() {
    for fail in DEAD {
        for tenth in (0..105).step_by(7) {
            let world = without_dns(fail, false).await;
            let client = world.client().await;
            let back = 20.0 + f64::from(tenth) / 10.0;
            world.at(back).await;
            let reply = client.echo().await.unwrap();
            assert_eq!((reply.grpc_status(), reply.grpc_message()), (Some(14), "no healthy upstream"));
            world.publish([1]);
            while client.echo().await.unwrap().grpc_status() != Some(0) {
                tokio::time::sleep(Duration::from_millis(200)).await;
                assert!(world.begin.elapsed().as_secs_f64() < back + 6.0, "back at {back} s, and nothing came of it");
            }
            tokio::time::sleep(secs(1)).await;
            let log = &world.edge().log()[0];
            assert!(log.contains(" 200 UH "), "{log}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_written_anew_is_shown_within_two_seconds() {
    let world = World::running([1], EdgeOptions { tls: true, ..CHECKED }).await;
    let certificate = world.certificate();
    let io = tls(world.dial().await.unwrap(), &certificate, &["h2"]).await.unwrap();
    let client = crate::client::Client::over(io);
    let pair = rcgen::generate_simple_self_signed(["edge.test".to_owned()]).unwrap();
    world.at(10.5).await;
    world.edge_files().write(CHAIN, pair.cert.pem());
    world.at(20.0).await;
    let before = tls(world.dial().await.unwrap(), &certificate, &[]).await;
    assert!(before.is_ok(), "a certificate without its key changes nothing");
    world.edge_files().write(KEY, pair.signing_key.serialize_pem());
    world.at(22.0).await;
    assert!(tls(world.dial().await.unwrap(), pair.cert.der(), &[]).await.is_ok());
    assert!(tls(world.dial().await.unwrap(), &certificate, &[]).await.is_err());
    assert_eq!(client.echo().await.unwrap().grpc_status(), Some(0), "open connections go on");
}
