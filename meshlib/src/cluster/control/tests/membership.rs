//! Who comes, stays and goes; what is published, logged and counted.

use std::{
    fmt,
    sync::Mutex,
    task::{Context, Poll},
};

use super::{super::*, world::*};
use crate::{
    cluster::host::HealthFlags,
    discovery::{Endpoint, Update},
};

#[tokio::test(start_paused = true)]
async fn a_passing_host_that_discovery_dropped_stays_until_it_fails() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1, 2, 3]);
    world.at(5).await;
    feeder.hosts(&[1, 3]);
    world.at(6).await;
    assert_eq!(flags(&control, 2), Some(HealthFlags::PENDING_DYNAMIC_REMOVAL));
    assert_eq!(control.hosts().load().eligible(), [0, 1, 2], "and is balanced to");
    feeder.hosts(&[1, 2, 3]);
    world.at(7).await;
    assert_eq!(flags(&control, 2), Some(HealthFlags::HEALTHY), "reappearing clears the flag");
    feeder.hosts(&[1, 3]);
    world.set(2, Act::NotServing);
    world.at(12).await;
    assert_eq!(flags(&control, 2).unwrap().to_string(), "/failed_active_hc/pending_dynamic_removal");
    feeder.fail();
    world.at(13).await;
    assert!(flags(&control, 2).is_some(), "a failed refresh removes nobody");
    feeder.hosts(&[1, 3]);
    world.at(14).await;
    assert_eq!(hosts(&control), [(1, "healthy".into()), (3, "healthy".into())]);
    world.at(60).await;
    assert_eq!(world.checks(2), [0, 10], "and it is not checked any more");
    assert_eq!(world.counter("membership_change"), 2);
    assert_eq!([world.gauge("membership_total"), world.gauge("membership_healthy")], [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn others_go_at_once() {
    let (world, (feeder, feed)) = (World::new(), feed());
    world.set(2, Act::NotServing);
    world.set(3, Act::Silent);
    let control = world.start(feed);
    feeder.hosts(&[1, 2, 3]);
    world.at(0).await;
    feeder.hosts(&[1]);
    world.at(1).await;
    assert_eq!(hosts(&control), [(1, "healthy".into())], "failing, and not checked yet");

    let (world, (feeder, feed)) = (World::new(), super::world::feed());
    let control = world.start_with(feed, |inputs| inputs.ignore_health_on_host_removal = true);
    feeder.hosts(&[1, 2]);
    world.at(1).await;
    feeder.hosts(&[1]);
    world.at(2).await;
    assert_eq!(hosts(&control), [(1, "healthy".into())], "health is ignored");

    let (world, (feeder, feed)) = (World::new(), super::world::feed());
    let control = world.start_with(feed, |inputs| inputs.health_checks.clear());
    feeder.hosts(&[1, 2]);
    world.at(1).await;
    feeder.hosts(&[]);
    world.at(2).await;
    assert!(hosts(&control).is_empty(), "no health checks");
}

#[tokio::test(start_paused = true)]
async fn a_host_is_the_same_as_long_as_its_address_stays() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1, 2, 1]);
    world.at(1).await;
    let before = control.hosts().load_full();
    assert_eq!(before.hosts().len(), 2, "one address, one host");
    let heavier = Endpoint { weight: 5, hostname: Some("other".into()), ..endpoint(1) };
    feeder.endpoints(vec![endpoint(3), endpoint(2), heavier]);
    world.at(2).await;
    let after = control.hosts().load_full();
    assert!(Arc::ptr_eq(&before.hosts()[0], &after.hosts()[0]));
    assert!(Arc::ptr_eq(&before.hosts()[1], &after.hosts()[1]));
    assert_eq!((after.hosts()[0].weight(), after.hosts().len()), (5, 3));
    assert_eq!(world.checks(1), [0], "and is not checked anew");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_is_another() {
    let (world, (feeder, feed)) = (World::new(), feed());
    world.set(1, Act::NotServing);
    let control = world.start(feed);
    feeder.hosts(&[1]);
    world.at(1).await;
    let before = control.hosts().load_full();
    feeder.hosts(&[]);
    world.set(1, Act::Serve);
    world.at(2).await;
    feeder.hosts(&[1]);
    world.at(3).await;
    let after = control.hosts().load_full();
    assert!(!Arc::ptr_eq(&before.hosts()[0], &after.hosts()[0]));
    assert_eq!(hosts(&control), [(1, "healthy".into())], "its first result decides");
    assert_eq!(world.checks(1), [0, 2]);
}

/// Random sets, in any order, with addresses that stand twice, against a list that is searched from its beginning.
#[tokio::test(start_paused = true)]
async fn sets_in_any_order_agree_with_a_plain_list() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start_with(feed, |inputs| inputs.health_checks.clear());
    let mut random = fastrand::Rng::with_seed(5);
    let mut expected: Vec<Endpoint> = Vec::new();
    for second in 0..200 {
        let count = random.usize(..30);
        let random_endpoint = |_| endpoint(random.u16(1..40)).weight(random.u32(1..4));
        let endpoints: Vec<_> = (0..count).map(random_endpoint).collect();
        expected.retain_mut(|kept| {
            let found = endpoints.iter().find(|endpoint| endpoint.address == kept.address);
            found.map(|found| kept.weight = found.weight).is_some()
        });
        for new in &endpoints {
            if expected.iter().all(|kept| kept.address != new.address) {
                expected.push(new.clone());
            }
        }
        feeder.endpoints(endpoints);
        world.at(second).await;
        let hosts = control.hosts().load_full();
        let found: Vec<_> = hosts.hosts().iter().map(|host| (host.address(), host.weight())).collect();
        assert_eq!(found, expected.iter().map(|kept| (kept.address, kept.weight)).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_is_published_only_when_something_changed() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1, 2]);
    world.at(1).await;
    let before = control.hosts().load_full();
    feeder.hosts(&[2, 1]);
    feeder.fail();
    world.at(35).await;
    assert!(Arc::ptr_eq(&before, &control.hosts().load_full()), "another order and passed checks change nothing");
    assert_eq!(world.counter("update_no_rebuild"), 1);
    world.set(1, Act::NotServing);
    world.at(45).await;
    assert!(!Arc::ptr_eq(&before, &control.hosts().load_full()));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_stops_everything_and_gauges_fall_to_zero() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1, 2]);
    world.at(15).await;
    assert_eq!(world.gauge("membership_total"), 2);
    let warmed = control.warmed();
    drop(control);
    world.at(60).await;
    assert_eq!(world.checks(1), [0, 10]);
    assert!(feeder.is_dropped());
    for gauge in ["membership_total", "membership_healthy", "health_check.healthy"] {
        assert_eq!(world.gauge(gauge), 0, "{gauge}");
    }
    warmed.await;
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_ends_leaves_the_hosts_and_their_checks() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1]);
    drop(feeder);
    world.at(25).await;
    assert_eq!(hosts(&control), [(1, "healthy".into())]);
    assert_eq!(world.checks(1), [0, 10, 20]);

    let (world, (feeder, feed)) = (World::new(), super::world::feed());
    let control = world.start(feed);
    drop(feeder);
    control.warmed().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_hosts_are_checked_and_published() {
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&(1..=1000).collect::<Vec<_>>());
    control.warmed().await;
    assert_eq!(world.begin.elapsed(), std::time::Duration::ZERO);
    assert_eq!(control.hosts().load().healthy(), 1000);
}

/// Panic messages by level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0 += &format!(" {field}={value:?}");
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        if fields.0.contains("panic") {
            self.0.lock().unwrap().push(fields.0);
        }
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn panic_is_logged_once_when_it_begins_and_once_when_it_ends() {
    let lines = Lines::default();
    let _subscribed = tracing::subscriber::set_default(lines.clone());
    // With a single subscriber, tracing asks only the thread that meets a log line first, for all threads and for ever.
    let _second = tracing::Dispatch::new(lines.clone());
    let (world, (feeder, feed)) = (World::new(), feed());
    let control = world.start(feed);
    feeder.hosts(&[1, 2, 3]);
    world.at(5).await;
    assert!(lines.0.lock().unwrap().is_empty(), "warming up is no panic");
    world.set(1, Act::NotServing);
    world.at(15).await;
    assert!(!control.hosts().load().is_panic(), "2 of 3");
    world.set(2, Act::NotServing);
    world.at(50).await;
    assert!(control.hosts().load().is_panic());
    world.set(1, Act::Serve);
    world.at(90).await;
    let lines = lines.0.lock().unwrap().clone();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("cluster=c healthy=1 total=3"), "{}", lines[0]);
    assert!(lines[1].starts_with("INFO") && lines[1].contains("healthy=2 total=3"), "{}", lines[1]);
}

/// Finds a host, then panics.
struct Panics(bool);

impl Discover for Panics {
    fn poll_update(&mut self, _: &mut Context<'_>) -> Poll<Option<Update>> {
        assert!(!std::mem::replace(&mut self.0, true), "on purpose");
        Poll::Ready(Some(Update::Endpoints(vec![endpoint(1)])))
    }
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_panics_leaves_its_hosts_and_their_checks() {
    let world = World::new();
    let control = world.start(Panics(false));
    world.at(5).await;
    assert!(control.is_warm());
    assert_eq!(flags(&control, 1), Some(HealthFlags::HEALTHY));
    world.set(1, Act::NotServing);
    world.at(15).await;
    assert_eq!(flags(&control, 1), Some(HealthFlags::FAILED_ACTIVE_HC));
}
