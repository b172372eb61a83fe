//! Access logs: each line within a second, by the world's own clock, and none is lost.

use std::time::Duration;

use tokio::time::sleep;

use crate::world::{CHECKED, World, secs};

#[tokio::test(start_paused = true)]
async fn lines_are_there_within_a_second() {
    let world = World::running([1], CHECKED).await;
    world.at(12.0).await;
    world.client().await.echo().await.unwrap();
    world.at(12.5).await;
    let mut raw = world.raw().await;
    raw.get("/nowhere", "user-agent: test\r\n").await;
    raw.until("\r\n\r\n").await;
    assert!(world.edge().log().is_empty(), "lines are gathered");
    let written = world.when("the first line is written", || !world.edge().log().is_empty()).await;
    assert_eq!(written, secs(13));
    let log = world.edge().log();
    assert_eq!(log.len(), 2, "the second one came along: {log:?}");
    let call = "[2026-01-01T00:00:12.005Z] \"POST /api.Echo/Echo HTTP/2\" 200 - 10 10 0 0 \"-\" \"virtual-time\" ";
    assert!(log[0].starts_with(call), "{}", log[0]);
    assert!(log[0].ends_with(" \"edge.test\" \"10.1.0.1:8786\""), "{}", log[0]);
    assert!(log[1].starts_with("[2026-01-01T00:00:12.505Z] \"GET /nowhere HTTP/1.1\" 404 NR 0 0 0 - \"-\" \"test\" "));
    // The same request on its second hop, under the same id.
    let id = log[0].split('"').nth(7).expect("a request id");
    let hops = world.sidecar(1).log();
    assert!(hops.iter().any(|line| line.contains("/api.Echo/Echo") && line.contains(id)), "{hops:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_writes_what_it_has() {
    let mut world = World::running([1], CHECKED).await;
    let client = world.client().await;
    client.echo().await.unwrap();
    let unfinished = client.open("Chat");
    sleep(Duration::from_millis(1)).await;
    let (_, logs) = world.kill_edge().await;
    sleep(Duration::from_millis(10)).await;
    let log = logs.lines("/dev/stdout");
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[1].contains("\"POST /api.Echo/Chat HTTP/2\" 200 DC "), "{log:?}");
    drop(unfinished);
}

#[tokio::test(start_paused = true)]
async fn the_admin_interface_logs_and_counts_as_envoys_does() {
    let world = World::running([1], CHECKED).await;
    let answer = world.edge_admin("GET", "/ready").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    world.when("the line is written", || !world.edge().log().is_empty()).await;
    let log = world.edge().log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(
        log[0].contains("\"GET /ready HTTP/1.1\" 200 - 0 5 0 - \"10.0.0.1\" \"-\" \"-\" \"admin\" \"-\""),
        "{log:?}"
    );
    let edge = world.edge();
    let stats = edge.stats();
    assert_eq!(stats.counter_value("listener.admin.downstream_cx_total"), Some(1));
    assert_eq!(stats.counter_value("listener.127.0.0.1_8090.downstream_cx_total"), None);
}
