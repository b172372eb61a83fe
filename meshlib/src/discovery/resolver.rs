//! DNS over the network: the system's servers and search list, or one given server.
//!
//! hickory-resolver asks; nothing is kept between two questions. Each question reads `resolv.conf` anew and opens its
//! own sockets, so a server that died and came back, a changed file and a second runtime need no care. That costs tens
//! of microseconds a question, against one question every few seconds.
//!
//! UDP with EDNS0, TCP when the answer was truncated. Search domains and `ndots` are applied here rather than in
//! hickory, which would report the last name's "no such name" though the right name's server had failed: that empties
//! a cluster which must be kept.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use meshlib::{base::resources::{AddressFamily, Resolve}, discovery::SystemResolver};
//!
//! let answer = SystemResolver::new().resolve("example.com", AddressFamily::V6).await?;
//! println!("{answer:?}");
//! # Ok(())
//! # }
//! ```

#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};

use crate::base::resources::{AddressFamily, BoxFuture, DnsAnswer, Resolve};

/// How long the servers may take for one name; c-ares, and so Envoy, waits as long before it asks the next server.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an address written as such is valid.
const LITERAL_TTL: Duration = Duration::from_secs(86_400);

/// Asks DNS servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver {
    server: Option<SocketAddr>,
}

impl SystemResolver {
    /// The servers, search list and options of the system's configuration, and its hosts file.
    pub fn new() -> Self {
        Self::default()
    }

    /// One server, over UDP and TCP. Names are asked as they are written: no search list, no hosts file.
    pub fn with_server(server: SocketAddr) -> Self {
        Self { server: Some(server) }
    }

    fn question(self) -> io::Result<Question> {
        let (config, options) = match self.server {
            Some(server) => one_server(server),
            None => read_system_conf().map_err(io_error)?,
        };
        Question::new(config, options)
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str, family: AddressFamily) -> BoxFuture<io::Result<DnsAnswer>> {
        if let Ok(address) = name.parse::<IpAddr>() {
            let addresses = if address.is_ipv6() == (family == AddressFamily::V6) { vec![address] } else { Vec::new() };
            return Box::pin(std::future::ready(Ok(DnsAnswer::Addresses { addresses, ttl: LITERAL_TTL })));
        }
        let (resolver, name) = (*self, name.to_owned());
        Box::pin(async move { resolver.question()?.ask(&name, family).await })
    }
}

fn one_server(server: SocketAddr) -> (ResolverConfig, ResolverOpts) {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    (ResolverConfig::from_name_servers(vec![server]), options)
}

/// One question, with the sockets that it opens.
struct Question {
    resolver: TokioResolver,
    search: Vec<Name>,
    ndots: usize,
}

impl Question {
    fn new(config: ResolverConfig, mut options: ResolverOpts) -> io::Result<Self> {
        let (domain, mut search, servers) = config.into_parts();
        if search.is_empty() {
            search.extend(domain);
        }
        options.cache_size = 0;
        options.edns0 = true;
        options.timeout = options.timeout.min(QUESTION_TIMEOUT);
        // Lost datagrams are sent again within the timeout; a server that refused need not be asked twice.
        options.attempts = 0;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        let (ndots, config) = (options.ndots, ResolverConfig::from_name_servers(servers));
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(io_error)?;
        Ok(Self { resolver, search, ndots })
    }

    /// Asks for each candidate in turn: the first with addresses is the answer. Otherwise a failure weighs more than
    /// "no addresses", and that more than "no such name". A server that does not answer at all ends the search.
    async fn ask(&self, name: &str, family: AddressFamily) -> io::Result<DnsAnswer> {
        let name = Name::from_str_relaxed(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut outcome = Ok(DnsAnswer::NoSuchName);
        for candidate in candidates(name, &self.search, self.ndots) {
            match self.ask_one(candidate, family).await {
                Ok(DnsAnswer::Addresses { addresses, ttl }) if !addresses.is_empty() => {
                    return Ok(DnsAnswer::Addresses { addresses, ttl });
                }
                Ok(DnsAnswer::NoSuchName) => {}
                Ok(empty) => outcome = outcome.map(|_| empty),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    async fn ask_one(&self, name: Name, family: AddressFamily) -> io::Result<DnsAnswer> {
        let record_type = match family {
            AddressFamily::V4 => RecordType::A,
            AddressFamily::V6 => RecordType::AAAA,
        };
        match self.resolver.lookup(name, record_type).await {
            Ok(lookup) => {
                let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
                let addresses = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
                let addresses = addresses.filter(|ip| ip.is_ipv6() == (family == AddressFamily::V6)).collect();
                Ok(DnsAnswer::Addresses { addresses, ttl: Duration::from_secs(ttl.into()) })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NXDomain => Ok(DnsAnswer::NoSuchName),
                _ => Ok(DnsAnswer::Addresses { addresses: Vec::new(), ttl: Duration::ZERO }),
            },
            Err(error) => Err(io_error(error)),
        }
    }
}

/// The names to ask for, as resolv.conf(5) orders them: a name with `ndots` dots or more as it is written first, any
/// other last. Each is fully qualified, so hickory searches no further.
fn candidates(mut name: Name, search: &[Name], ndots: usize) -> Vec<Name> {
    if name.is_fqdn() {
        return vec![name];
    }
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    let mut names: Vec<Name> = search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    name.set_fqdn(true);
    let position = if dots >= ndots { 0 } else { names.len() };
    names.insert(position, name);
    names
}

/// The system's configuration fails with another type on macOS than on Linux.
fn io_error(error: impl Into<NetError>) -> io::Error {
    let error = error.into();
    let kind = match &error {
        NetError::Timeout => io::ErrorKind::TimedOut,
        NetError::Io(error) => error.kind(),
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
