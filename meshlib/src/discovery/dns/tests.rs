//! A scripted resolver and a paused clock: what is asked when, and what is reported.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Mutex, PoisonError},
};

use tokio::time::{Instant, timeout};

use super::*;
use crate::base::resources::{AddressFamily, DnsAnswer};

const V4: AddressFamily = AddressFamily::V4;
const V6: AddressFamily = AddressFamily::V6;

#[derive(Clone)]
enum Say {
    Addresses(&'static [&'static str], u64),
    NoSuchName,
    Fail,
    Silence,
    Late(u64, Box<Say>),
}

/// Answers what it was last told to, and notes each question with its second.
#[derive(Clone)]
struct Script {
    begin: Instant,
    answers: Arc<Mutex<HashMap<(String, AddressFamily), Say>>>,
    questions: Arc<Mutex<Vec<(u64, String, AddressFamily)>>>,
}

impl Script {
    fn new() -> Self {
        Self { begin: Instant::now(), answers: Arc::default(), questions: Arc::default() }
    }

    fn say(&self, name: &str, family: AddressFamily, say: Say) -> &Self {
        self.answers.lock().unwrap().insert((name.into(), family), say);
        self
    }

    fn questions(&self) -> Vec<(u64, String, AddressFamily)> {
        std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn seconds(&self, family: AddressFamily) -> Vec<u64> {
        self.questions().into_iter().filter(|question| question.2 == family).map(|question| question.0).collect()
    }

    fn discover(&self, change: impl FnOnce(&mut StrictDnsConfig)) -> (StrictDns, Stats) {
        let stats = Stats::new();
        let name = |host: &str| DnsEndpoint { host: host.into(), port: 80, weight: 1 };
        let mut config = StrictDnsConfig::new(vec![name("a")]);
        change(&mut config);
        let dns = StrictDns::new(config, Arc::new(self.clone()), Rng::seeded(1));
        (dns.with_stats(UpdateStats::new(&stats, "c")), stats)
    }
}

async fn answer(say: Say) -> io::Result<DnsAnswer> {
    match say {
        Say::Addresses(addresses, ttl) => Ok(DnsAnswer::Addresses {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            ttl: Duration::from_secs(ttl),
        }),
        Say::NoSuchName => Ok(DnsAnswer::NoSuchName),
        Say::Fail => Err(io::Error::other("SERVFAIL")),
        Say::Silence => std::future::pending().await,
        Say::Late(seconds, then) => {
            sleep(Duration::from_secs(seconds)).await;
            Box::pin(answer(*then)).await
        }
    }
}

impl Resolve for Script {
    fn resolve(&self, name: &str, family: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>> {
        self.questions.lock().unwrap().push((self.begin.elapsed().as_secs(), name.into(), family));
        let none = Say::Addresses(&[], 0);
        let say = self.answers.lock().unwrap().get(&(name.to_owned(), family)).cloned().unwrap_or(none);
        Box::pin(answer(say))
    }
}

async fn update(dns: &mut StrictDns) -> Update {
    poll_fn(|cx| dns.poll_update(cx)).await.expect("StrictDns never ends")
}

async fn addresses(dns: &mut StrictDns) -> Vec<String> {
    match update(dns).await {
        Update::Endpoints(endpoints) => endpoints.iter().map(|endpoint| endpoint.address.ip().to_string()).collect(),
        Update::Failed(failure) => panic!("{failure}"),
    }
}

/// Lets `seconds` pass with the machine being polled.
async fn run(dns: &mut StrictDns, seconds: u64) {
    let forever = async {
        loop {
            update(dns).await;
        }
    };
    let _: Result<(), _> = timeout(Duration::from_secs(seconds), forever).await;
}

#[tokio::test(start_paused = true)]
async fn auto_asks_aaaa_first_and_a_only_without_it() {
    let script = Script::new();
    script.say("a", V4, Say::Addresses(&["10.0.0.1", "10.0.0.1", "10.0.0.2"], 30));
    let (mut dns, stats) = script.discover(|_| {});
    assert_eq!(addresses(&mut dns).await, ["10.0.0.1", "10.0.0.2"], "duplicates go");
    assert_eq!(script.questions(), [(0, "a".into(), V6), (0, "a".into(), V4)]);
    script.say("a", V6, Say::Addresses(&["::1"], 30));
    assert_eq!(addresses(&mut dns).await, ["::1"], "families are not merged");
    assert_eq!(script.questions(), [(5, "a".into(), V6)]);
    assert_eq!(stats.counter_value("cluster.c.update_attempt"), Some(2));
    assert_eq!(stats.counter_value("cluster.c.update_success"), Some(2));
}

#[tokio::test(start_paused = true)]
async fn every_lookup_family_asks_what_it_says() {
    for (family, asked, found) in [
        (DnsLookupFamily::V4Only, vec![V4], vec!["10.0.0.1"]),
        (DnsLookupFamily::V6Only, vec![V6], vec!["::1"]),
        (DnsLookupFamily::V4Preferred, vec![V4], vec!["10.0.0.1"]),
        (DnsLookupFamily::All, vec![V4, V6], vec!["10.0.0.1", "::1"]),
        (DnsLookupFamily::Auto, vec![V6], vec!["::1"]),
    ] {
        let script = Script::new();
        script.say("a", V4, Say::Addresses(&["10.0.0.1"], 30)).say("a", V6, Say::Addresses(&["::1"], 30));
        let (mut dns, _) = script.discover(|config| config.lookup_family = family);
        assert_eq!(addresses(&mut dns).await, found, "{family:?}");
        assert_eq!(script.questions().into_iter().map(|question| question.2).collect::<Vec<_>>(), asked);
    }
    let script = Script::new();
    script.say("a", V4, Say::NoSuchName).say("a", V6, Say::Addresses(&["::1"], 30));
    let (mut dns, _) = script.discover(|config| config.lookup_family = DnsLookupFamily::V4Preferred);
    assert_eq!(addresses(&mut dns).await, ["::1"]);
}

#[tokio::test(start_paused = true)]
async fn the_interval_counts_from_the_end_of_a_resolution() {
    let script = Script::new();
    script.say("a", V4, Say::Late(2, Box::new(Say::Addresses(&["10.0.0.1"], 1))));
    let (mut dns, _) = script.discover(|_| {});
    run(&mut dns, 20).await;
    assert_eq!(script.seconds(V6), [0, 7, 14]);
}

#[tokio::test(start_paused = true)]
async fn no_such_name_and_no_addresses_empty_the_set_but_failures_keep_it() {
    let script = Script::new();
    script.say("a", V4, Say::Addresses(&["10.0.0.1"], 1));
    let (mut dns, stats) = script.discover(|_| {});
    assert_eq!(addresses(&mut dns).await, ["10.0.0.1"]);
    script.say("a", V4, Say::Fail);
    let Update::Failed(message) = update(&mut dns).await else { panic!("a failure") };
    assert_eq!(message, "cannot resolve a: SERVFAIL");
    script.say("a", V4, Say::NoSuchName).say("a", V6, Say::NoSuchName);
    assert!(addresses(&mut dns).await.is_empty());
    script.say("a", V4, Say::Addresses(&[], 0));
    assert!(addresses(&mut dns).await.is_empty());
    let counts = ["attempt", "success", "failure", "empty"]
        .map(|what| stats.counter_value(&format!("cluster.c.update_{what}")).unwrap());
    assert_eq!(counts, [4, 3, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_error_on_aaaa_still_asks_a() {
    for (a, expected) in [
        (Say::Addresses(&["10.0.0.1"], 1), Some(1)),
        (Say::NoSuchName, Some(0)),
        (Say::Addresses(&[], 0), None),
        (Say::Fail, None),
    ] {
        let script = Script::new();
        script.say("a", V6, Say::Fail).say("a", V4, a);
        let (mut dns, _) = script.discover(|_| {});
        let found = match update(&mut dns).await {
            Update::Endpoints(endpoints) => Some(endpoints.len()),
            Update::Failed(_) => None,
        };
        assert_eq!(found, expected);
        assert_eq!(script.questions().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_five_seconds_and_a_is_asked_in_time() {
    let script = Script::new();
    script.say("a", V6, Say::Silence).say("a", V4, Say::Silence);
    let (mut dns, _) = script.discover(|_| {});
    assert!(matches!(update(&mut dns).await, Update::Failed(_)));
    assert_eq!(script.begin.elapsed(), Duration::from_secs(5));
    assert!(dns.is_settled());
    script.say("a", V4, Say::Addresses(&["10.0.0.1"], 1));
    assert_eq!(addresses(&mut dns).await, ["10.0.0.1"]);
    assert_eq!(script.begin.elapsed(), Duration::from_secs(10), "half an interval, 2.5 s of AAAA");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_is_found_within_the_interval() {
    // It comes back right after a question was asked in vain.
    for (aaaa, a) in [(Say::Silence, Say::Silence), (Say::Fail, Say::Late(3, Box::new(Say::Fail)))] {
        let script = Script::new();
        script.say("a", V6, aaaa).say("a", V4, a);
        let (mut dns, _) = script.discover(|_| {});
        run(&mut dns, 14).await;
        while script.questions().is_empty() {
            run(&mut dns, 1).await;
        }
        let back = Instant::now();
        script.say("a", V6, Say::Addresses(&[], 0)).say("a", V4, Say::Addresses(&["10.0.0.1"], 1));
        while !matches!(update(&mut dns).await, Update::Endpoints(_)) {}
        assert!(back.elapsed() <= Duration::from_secs(5), "{:?}", back.elapsed());
    }
    // A configured interval counts from the end, as Envoy's does.
    let script = Script::new();
    script.say("a", V6, Say::Silence).say("a", V4, Say::Silence);
    let (mut dns, _) = script.discover(|config| {
        config.failure_refresh = Some((Duration::from_secs(3), Duration::from_secs(3)));
    });
    run(&mut dns, 20).await;
    assert_eq!(script.seconds(V6), [0, 8, 16]);
}

#[tokio::test(start_paused = true)]
async fn names_are_independent_and_settle_one_by_one() {
    let script = Script::new();
    script.say("a", V4, Say::Addresses(&["10.0.0.1", "10.0.0.2"], 1)).say("b", V4, Say::Silence);
    script.say("c", V4, Say::Addresses(&["10.0.0.2", "10.0.0.3"], 1));
    let (mut dns, _) = script.discover(|config| {
        let name = |host: &str| DnsEndpoint { host: host.into(), port: 80, weight: 1 };
        config.endpoints = vec![name("a"), name("b"), name("c"), name("127.0.0.1")];
        config.lookup_family = DnsLookupFamily::V4Only;
        config.refresh_rate = Duration::from_secs(60);
    });
    assert_eq!(addresses(&mut dns).await, ["127.0.0.1"], "an address is known without asking");
    let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "127.0.0.1"];
    assert_eq!(addresses(&mut dns).await, all, "the union, each address once");
    assert!(!dns.is_settled());
    let Update::Failed(message) = update(&mut dns).await else { panic!("b fails") };
    assert!(message.contains("resolve b"), "{message}");
    assert!(dns.is_settled());
    script.say("a", V4, Say::Fail).say("b", V4, Say::NoSuchName);
    assert_eq!(addresses(&mut dns).await, all, "b and c answer, a keeps what it had");
    assert!(matches!(update(&mut dns).await, Update::Failed(_)));
}

#[tokio::test(start_paused = true)]
async fn ttl_is_the_interval_only_when_asked_for_and_not_zero() {
    for (respect, ttl, seconds) in
        [(true, 2, vec![0, 2, 4, 6]), (true, 0, vec![0, 5]), (false, 2, vec![0, 5]), (true, u64::MAX, vec![0])]
    {
        let script = Script::new();
        script.say("a", V4, Say::Addresses(&["10.0.0.1"], ttl));
        let (mut dns, _) = script.discover(|config| config.respect_ttl = respect);
        run(&mut dns, 7).await;
        assert_eq!(script.seconds(V4), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_between_base_and_maximum_and_success_resets() {
    let script = Script::new();
    script.say("a", V6, Say::Fail).say("a", V4, Say::Fail);
    let (base, max) = (Duration::from_secs(10), Duration::from_secs(60));
    let (mut dns, _) = script.discover(|config| config.failure_refresh = Some((base, max)));
    let mut gaps = Vec::new();
    for _ in 0..40 {
        let before = Instant::now();
        assert!(matches!(update(&mut dns).await, Update::Failed(_)));
        gaps.push(before.elapsed());
    }
    assert!(gaps[1] >= base && gaps[1] <= base * 2, "{:?}", gaps[1]);
    assert!(gaps[1..].iter().all(|gap| *gap >= base && *gap <= max + Duration::from_millis(1)));
    assert!(gaps[3..].iter().any(|gap| *gap > base * 4), "it grows");
    assert!(gaps[3..].windows(2).any(|pair| pair[0] != pair[1]), "it is spread");
    script.say("a", V4, Say::Addresses(&["10.0.0.1"], 1));
    addresses(&mut dns).await;
    let answered = Instant::now();
    addresses(&mut dns).await;
    assert_eq!(answered.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_zero_interval_does_not_spin_and_no_names_are_an_empty_set() {
    let script = Script::new();
    let (mut dns, _) = script.discover(|config| config.refresh_rate = Duration::ZERO);
    run(&mut dns, 1).await;
    assert!(script.questions().len() <= 2002);
    let (mut dns, _) = script.discover(|config| config.endpoints.clear());
    assert!(addresses(&mut dns).await.is_empty());
    assert!(dns.is_settled());
    run(&mut dns, 60).await;
    assert!(script.questions().is_empty());
}
