//! Every address of a name is an endpoint, and the name is resolved over and over (Envoy's `STRICT_DNS`).
//!
//! A poll-driven machine over any [`Resolve`]: the system's resolver, a simulated one, a test's script. Each name is
//! resolved at once and again a refresh interval after the *end* of its last resolution, which may take 5 s at most.
//!
//! - An answer replaces what the name had; "no such name" and "no addresses" are answers and leave it without any.
//! - A failure (SERVFAIL, refused, no answer in time) keeps what the name had and is reported as
//!   [`Update::Failed`]. What the resolution took is taken off the interval after it, half of it at most: a server
//!   that died and came back is found within the interval. A back-off that was configured counts from the end.
//! - Names are independent. An update is the union of what each name has so far, so the first update may lack names
//!   that are still being resolved: [`Discover::is_settled`] says when each had its first outcome, failures included.
//! - One address has one endpoint, however many names lead to it; the first name gives hostname and weight.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::{future::poll_fn, io, sync::Arc, time::Duration};
//! use meshlib::{
//!     base::resources::{AddressFamily, BoxFuture, DnsAnswer, Resolve, Rng},
//!     discovery::{Discover, StrictDns, Update, config::{DnsEndpoint, StrictDnsConfig}},
//! };
//!
//! struct Zone;
//! impl Resolve for Zone {
//!     fn resolve(&self, _: &str, family: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>> {
//!         let addresses = match family {
//!             AddressFamily::V4 => vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
//!             AddressFamily::V6 => vec![],
//!         };
//!         Box::pin(async { Ok(DnsAnswer::Addresses { addresses, ttl: Duration::from_secs(30) }) })
//!     }
//! }
//!
//! let name = DnsEndpoint { host: "echo.test".into(), port: 8786, weight: 1 };
//! let mut dns = StrictDns::new(StrictDnsConfig::new(vec![name]), Arc::new(Zone), Rng::new());
//! let Some(Update::Endpoints(endpoints)) = poll_fn(|cx| dns.poll_update(cx)).await else { panic!("an answer") };
//! assert_eq!(endpoints.len(), 2);
//! # }
//! ```

mod lookup;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use self::lookup::Resolution;
use super::{
    Discover, Endpoint, Update,
    config::{DnsEndpoint, DnsLookupFamily, StrictDnsConfig},
};
use crate::base::{
    Counter, Stats,
    resources::{BoxFuture, Resolve, Rng},
};

/// No interval is shorter: a configured zero must not spin.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// No TTL is taken to be longer (RFC 8767 allows a cap; a record of 68 years is a mistake or an attack).
const MAX_TTL: Duration = Duration::from_secs(86_400);

/// Envoy's counters of a cluster's updates.
#[derive(Clone, Debug)]
pub struct UpdateStats {
    attempt: Counter,
    success: Counter,
    failure: Counter,
    empty: Counter,
}

impl UpdateStats {
    /// `cluster.<cluster>.update_{attempt,success,failure,empty}`. "No such name" is a success, and empty.
    pub fn new(stats: &Stats, cluster: &str) -> Self {
        let counter = |what: &str| stats.counter(format!("cluster.{cluster}.update_{what}"));
        Self {
            attempt: counter("attempt"),
            success: counter("success"),
            failure: counter("failure"),
            empty: counter("empty"),
        }
    }
}

/// Resolves names over and over.
pub struct StrictDns {
    names: Vec<Name>,
    context: DnsContext,
    /// What polls gave but nobody has taken yet: at most one report for each name.
    reports: VecDeque<Update>,
}

/// What all names share.
struct DnsContext {
    resolver: Arc<dyn Resolve>,
    family: DnsLookupFamily,
    refresh_rate: Duration,
    respect_ttl: bool,
    failure_refresh: Option<(Duration, Duration)>,
    rng: Rng,
    stats: UpdateStats,
}

/// One name, with its own last answer and its own timer.
struct Name {
    endpoint: DnsEndpoint,
    addresses: Vec<IpAddr>,
    state: State,
    /// Whether it had its first outcome.
    settled: bool,
    /// Failures in a row.
    failures: u32,
}

enum State {
    Due,
    Resolving(Instant, BoxFuture<io::Result<Resolution>>),
    Waiting(Pin<Box<Sleep>>),
    /// An address as it is written: nothing to ask, now or later.
    Literal,
}

impl StrictDns {
    /// Resolves the names of `config` through `resolver`; `rng` spreads the back-off after failures.
    pub fn new(config: StrictDnsConfig, resolver: Arc<dyn Resolve>, rng: Rng) -> Self {
        let names = config.endpoints.into_iter().map(Name::new).collect::<Vec<_>>();
        let known = names.is_empty() || names.iter().any(|name| name.settled);
        let mut this = Self {
            names,
            context: DnsContext {
                resolver,
                family: config.lookup_family,
                refresh_rate: config.refresh_rate.max(MIN_INTERVAL),
                respect_ttl: config.respect_ttl,
                failure_refresh: config.failure_refresh,
                rng,
                stats: UpdateStats::new(&Stats::new(), ""),
            },
            reports: VecDeque::new(),
        };
        if known {
            this.reports.push_back(this.union());
        }
        this
    }

    /// Counts into these stats.
    #[must_use]
    pub fn with_stats(mut self, stats: UpdateStats) -> Self {
        self.context.stats = stats;
        self
    }

    fn union(&self) -> Update {
        let mut seen = HashSet::new();
        let endpoints = self.names.iter().flat_map(Name::endpoints).filter(|endpoint| seen.insert(endpoint.address));
        Update::Endpoints(endpoints.collect())
    }
}

impl Discover for StrictDns {
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        if self.reports.is_empty() {
            let mut answered = false;
            for name in &mut self.names {
                match name.poll(&mut self.context, cx) {
                    Poll::Ready(Ok(())) => answered = true,
                    Poll::Ready(Err(failure)) => self.reports.push_back(Update::Failed(failure)),
                    Poll::Pending => {}
                }
            }
            if answered {
                self.reports.push_front(self.union());
            }
        }
        self.reports.pop_front().map_or(Poll::Pending, |update| Poll::Ready(Some(update)))
    }

    fn is_settled(&self) -> bool {
        self.reports.is_empty() && self.names.iter().all(|name| name.settled)
    }
}

impl Name {
    fn new(endpoint: DnsEndpoint) -> Self {
        let literal = endpoint.host.parse::<IpAddr>().ok();
        Self {
            endpoint,
            addresses: literal.into_iter().collect(),
            state: if literal.is_some() { State::Literal } else { State::Due },
            settled: literal.is_some(),
            failures: 0,
        }
    }

    fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.addresses.iter().map(|address| Endpoint {
            address: SocketAddr::new(*address, self.endpoint.port),
            hostname: Some(self.endpoint.host.clone()),
            weight: self.endpoint.weight.max(1),
        })
    }

    /// Ready when a resolution has just ended; the timer of the next one is already registered then.
    fn poll(&mut self, context: &mut DnsContext, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut ended = None;
        loop {
            match &mut self.state {
                State::Due => {
                    context.stats.attempt.increment();
                    let resolution =
                        lookup::resolve(context.resolver.clone(), self.endpoint.host.clone(), context.family);
                    self.state = State::Resolving(Instant::now(), Box::pin(resolution));
                }
                State::Resolving(begin, resolution) => match resolution.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(result) => {
                        let took = begin.elapsed();
                        let (outcome, next) = self.settle(result, took, context);
                        ended = Some(outcome);
                        self.state = State::Waiting(Box::pin(sleep(next)));
                    }
                },
                State::Waiting(timer) => match timer.as_mut().poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(()) => self.state = State::Due,
                },
                State::Literal => break,
            }
        }
        ended.map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes the end of a resolution; answers with the outcome and the interval to the next one.
    fn settle(
        &mut self,
        result: io::Result<Resolution>,
        took: Duration,
        context: &mut DnsContext,
    ) -> (Result<(), String>, Duration) {
        self.settled = true;
        let host = &self.endpoint.host;
        match result {
            Ok(Resolution { addresses, ttl }) => {
                context.stats.success.increment();
                if addresses.is_empty() {
                    context.stats.empty.increment();
                }
                if self.failures > 0 {
                    tracing::info!(name = %host, failures = self.failures, "DNS name resolves again");
                }
                self.failures = 0;
                self.addresses = addresses;
                (Ok(()), context.refresh_after(ttl))
            }
            Err(error) => {
                context.stats.failure.increment();
                if self.failures == 0 {
                    tracing::warn!(name = %host, %error, "DNS name does not resolve; its last addresses are kept");
                }
                self.failures = self.failures.saturating_add(1);
                (Err(format!("cannot resolve {host}: {error}")), context.back_off(self.failures, took))
            }
        }
    }
}

impl DnsContext {
    fn refresh_after(&self, ttl: Option<Duration>) -> Duration {
        match ttl {
            Some(ttl) if self.respect_ttl && !ttl.is_zero() => ttl.clamp(MIN_INTERVAL, MAX_TTL),
            _ => self.refresh_rate,
        }
    }

    /// Anywhere between the base and base × 2^failures, the maximum at most. Without them the refresh interval, less
    /// what the failure took: an answer that is waited for in vain must not put off the next question.
    fn back_off(&mut self, failures: u32, took: Duration) -> Duration {
        let Some((base, max)) = self.failure_refresh else {
            return self.refresh_rate.saturating_sub(took).max(self.refresh_rate / 2);
        };
        let base = base.max(MIN_INTERVAL);
        let ceiling = base.saturating_mul(2_u32.saturating_pow(failures)).min(max).max(base);
        base + (ceiling - base).mul_f64(self.rng.f64())
    }
}

impl fmt::Debug for StrictDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().map(|name| (&name.endpoint.host, &name.addresses));
        f.debug_map().entries(names).finish()
    }
}
