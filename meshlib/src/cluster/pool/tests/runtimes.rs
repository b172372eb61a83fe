//! Runtimes that end before the pool does.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Fixture, assert_at_rest, fixture, get, settle, spawn_get};
use crate::cluster::test_world::{Peer, Server, address, config};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn fixture_on(runtime: &Runtime, http2: bool, peer: impl FnOnce(&std::sync::Arc<Server>) -> Peer) -> Fixture {
    let _entered = runtime.enter();
    fixture(config(http2), peer)
}

/// On another runtime, and not for ever.
fn get_elsewhere(f: &Fixture) {
    let answer = async { tokio::time::timeout(Duration::from_secs(10), get(&f.pool, "/")).await };
    runtime().block_on(answer).unwrap().unwrap();
    assert_at_rest(f, 0);
}

#[test]
fn connections_end_with_their_runtime() {
    for http2 in [false, true] {
        let first = runtime();
        let f = fixture_on(&first, http2, |server| if http2 { server.http2(10) } else { server.http1() });
        first.block_on(get(&f.pool, "/")).unwrap();
        assert_eq!(f.pool.connections(), 1);
        drop(first);
        assert_at_rest(&f, 0);
        get_elsewhere(&f);
        assert_eq!(f.world.connects(), 2);
    }
}

#[test]
fn a_connection_that_is_being_made_ends_with_its_runtime() {
    let first = runtime();
    let f = fixture_on(&first, true, |_| Peer::Hang);
    first.block_on(async {
        spawn_get(&f.pool, "/");
        settle().await;
    });
    assert_eq!(f.pool.connections(), 1);
    drop(first);
    assert_at_rest(&f, 0);
    f.world.set(address(1), f.server.http2(10));
    get_elsewhere(&f);
}
