//! Name servers.

use std::{
    collections::HashMap,
    fmt, io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::trace::Trace;
use crate::base::resources::{AddressFamily, BoxFuture, DnsAnswer, Resolve};

/// A resolver that answers as it was told, and counts what it was asked. A name never heard of does not exist.
#[derive(Clone, Debug, Default)]
pub struct ScriptedDns {
    state: Arc<Mutex<State>>,
    trace: Trace,
}

#[derive(Debug, Default)]
struct State {
    names: HashMap<String, Answer>,
    queries: HashMap<(String, AddressFamily), u64>,
}

#[derive(Clone, Debug)]
enum Answer {
    Addresses(Vec<IpAddr>, Duration),
    NoSuchName,
    Fails,
    Hangs,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(addresses, _) => write!(f, "is {addresses:?}"),
            Self::NoSuchName => f.write_str("does not exist"),
            Self::Fails => f.write_str("cannot be resolved"),
            Self::Hangs => f.write_str("is not answered"),
        }
    }
}

impl ScriptedDns {
    /// No name exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with changes of the script told to `trace`.
    pub fn traced(trace: Trace) -> Self {
        Self { trace, ..Self::default() }
    }

    /// `name` has these addresses, v4 and v6 mixed as they come, valid for 60 s. None is an answer too.
    pub fn set(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.set_with_ttl(name, addresses, Duration::from_secs(60));
    }

    /// `name` has these addresses, valid for `ttl`.
    pub fn set_with_ttl(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>, ttl: Duration) {
        self.put(name, Answer::Addresses(addresses.into_iter().collect(), ttl));
    }

    /// `name` does not exist (NXDOMAIN).
    pub fn nx(&self, name: &str) {
        self.put(name, Answer::NoSuchName);
    }

    /// Questions for `name` fail (SERVFAIL).
    pub fn fail(&self, name: &str) {
        self.put(name, Answer::Fails);
    }

    /// Questions for `name` that are asked from now on are never answered.
    pub fn hang(&self, name: &str) {
        self.put(name, Answer::Hangs);
    }

    /// How often `name` was asked for in one family.
    pub fn queries(&self, name: &str, family: AddressFamily) -> u64 {
        self.state().queries.get(&(name.to_owned(), family)).copied().unwrap_or(0)
    }

    fn put(&self, name: &str, answer: Answer) {
        self.trace.note(|| format!("DNS: {name} {answer}"));
        self.state().names.insert(name.to_owned(), answer);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, name: &str, family: AddressFamily) -> Answer {
        let mut state = self.state();
        *state.queries.entry((name.to_owned(), family)).or_default() += 1;
        state.names.get(name).cloned().unwrap_or(Answer::NoSuchName)
    }
}

impl Resolve for ScriptedDns {
    fn resolve(&self, name: &str, family: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>> {
        let answer = self.ask(name, family);
        Box::pin(async move {
            match answer {
                Answer::Addresses(mut addresses, ttl) => {
                    addresses.retain(|address| address.is_ipv4() == (family == AddressFamily::V4));
                    Ok(DnsAnswer::Addresses { addresses, ttl })
                }
                Answer::NoSuchName => Ok(DnsAnswer::NoSuchName),
                Answer::Fails => Err(io::Error::other("the name server failed (SERVFAIL)")),
                Answer::Hangs => std::future::pending().await,
            }
        })
    }
}
