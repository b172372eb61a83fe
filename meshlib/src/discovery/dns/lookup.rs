//! One resolution of one name: one question or two, by the lookup family, within a bounded time.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::super::config::DnsLookupFamily;
use crate::base::resources::{AddressFamily, DnsAnswer, Resolve};

/// How long one resolution may take, both questions together.
pub(super) const RESOLUTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first of two questions may take, so that a server which drops AAAA still answers A in time.
const FIRST_QUESTION_TIMEOUT: Duration = Duration::from_millis(2500);

/// What one resolution gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    /// The addresses, in the order of the answer.
    pub(super) addresses: Vec<IpAddr>,
    /// The smallest TTL of the answers that had addresses.
    pub(super) ttl: Option<Duration>,
}

/// Resolves `name`. An error is a failure to learn its addresses; a name without any is not.
pub(super) async fn resolve(
    resolver: Arc<dyn Resolve>,
    name: Arc<str>,
    family: DnsLookupFamily,
) -> io::Result<Resolution> {
    use AddressFamily::{V4, V6};
    let resolver = resolver.as_ref();
    let end = Instant::now() + RESOLUTION_TIMEOUT;
    match family {
        DnsLookupFamily::V4Only => ask(resolver, &name, V4, end).await.map(Resolution::from),
        DnsLookupFamily::V6Only => ask(resolver, &name, V6, end).await.map(Resolution::from),
        DnsLookupFamily::Auto => ask_in_turn(resolver, &name, [V6, V4], end).await,
        DnsLookupFamily::V4Preferred => ask_in_turn(resolver, &name, [V4, V6], end).await,
        DnsLookupFamily::All => {
            let (v4, v6) = tokio::join!(ask(resolver, &name, V4, end), ask(resolver, &name, V6, end));
            combine(v4, v6)
        }
    }
}

/// Asks for the second family only if the first gave nothing. As c-ares does, an error counts as nothing here.
async fn ask_in_turn(
    resolver: &dyn Resolve,
    name: &str,
    [first, second]: [AddressFamily; 2],
    end: Instant,
) -> io::Result<Resolution> {
    let answer = ask(resolver, name, first, end - (RESOLUTION_TIMEOUT - FIRST_QUESTION_TIMEOUT)).await;
    match answer {
        Ok(DnsAnswer::Addresses { ref addresses, .. }) if !addresses.is_empty() => answer.map(Resolution::from),
        other => combine(other, ask(resolver, name, second, end).await),
    }
}

async fn ask(resolver: &dyn Resolve, name: &str, family: AddressFamily, end: Instant) -> io::Result<DnsAnswer> {
    match timeout_at(end, resolver.resolve(name, family)).await {
        Ok(answer) => answer,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    }
}

/// Two answers about one name. An error beside addresses is overlooked, as Envoy does; an error beside "no addresses
/// of this family" leaves the other family unknown and is a failure; "no such name" speaks for both families.
fn combine(one: io::Result<DnsAnswer>, other: io::Result<DnsAnswer>) -> io::Result<Resolution> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok(Resolution::from(one).and(other.into())),
        (Err(error), Ok(answer)) | (Ok(answer), Err(error)) => match answer {
            DnsAnswer::Addresses { ref addresses, .. } if addresses.is_empty() => Err(error),
            decisive => Ok(decisive.into()),
        },
        (Err(_), Err(error)) => Err(error),
    }
}

impl Resolution {
    fn and(mut self, other: Self) -> Self {
        self.addresses.extend(other.addresses);
        self.ttl = [self.ttl, other.ttl].into_iter().flatten().min();
        self
    }
}

impl From<DnsAnswer> for Resolution {
    fn from(answer: DnsAnswer) -> Self {
        match answer {
            DnsAnswer::Addresses { addresses, ttl } => {
                let ttl = (!addresses.is_empty()).then_some(ttl);
                Self { addresses, ttl }
            }
            DnsAnswer::NoSuchName => Self { addresses: Vec::new(), ttl: None },
        }
    }
}
