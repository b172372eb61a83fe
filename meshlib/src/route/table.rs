//! A route table compiled: virtual hosts, and in each the ordered routes.
//!
//! ```
//! use http::Request;
//! use meshlib::route::{RouteTable, config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig}};
//!
//! let route = RouteConfig::new(RouteMatch::prefix("/api.Echo/"), RouteAction::cluster("echo"));
//! let all = VirtualHostConfig::new("all", vec!["*".to_owned()], vec![route]);
//! let table = RouteTable::new(&RouteTableConfig::new("local", vec![all]), |action| action.cluster.clone()).unwrap();
//!
//! let request = Request::post("/api.Echo/Echo").body(()).unwrap();
//! assert_eq!(&**table.find(&request).unwrap().target(), "echo");
//! assert!(table.find(&Request::get("/").body(()).unwrap()).is_none());
//! ```

use std::{fmt, sync::Arc};

use http::Request;

use super::{
    config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig},
    matcher::RouteIndex,
    virtual_host::{DomainError, Domains},
};
use crate::{
    base::{Error, ErrorKind},
    http::header_match::HeaderMatchError,
};

/// Routes compiled, each with a target of type `T`.
#[derive(Debug)]
pub struct RouteTable<T> {
    domains: Domains,
    virtual_hosts: Box<[VirtualHost<T>]>,
}

#[derive(Debug)]
struct VirtualHost<T> {
    name: Arc<str>,
    index: RouteIndex,
    routes: Box<[Route<T>]>,
}

/// A route of a table.
#[derive(Debug)]
pub struct Route<T> {
    name: Option<Arc<str>>,
    cluster: Option<Arc<str>>,
    target: T,
}

/// The route that a request takes.
#[derive(Debug)]
pub struct Matched<'a, T> {
    virtual_host: &'a Arc<str>,
    route: &'a Route<T>,
}

impl<'a, T> Matched<'a, T> {
    /// The virtual host's name.
    pub fn virtual_host(&self) -> &'a Arc<str> {
        self.virtual_host
    }

    /// The route's name, where it has one.
    pub fn name(&self) -> Option<&'a Arc<str>> {
        self.route.name.as_ref()
    }

    /// The cluster the route names; a route to a plain service names none.
    pub fn cluster(&self) -> Option<&'a Arc<str>> {
        self.route.cluster.as_ref()
    }

    /// Where the request goes.
    pub fn target(&self) -> &'a T {
        &self.route.target
    }
}

/// One route before it is compiled.
pub(super) struct Entry<T> {
    pub(super) matches: RouteMatch,
    pub(super) route: Route<T>,
}

impl<T> Entry<T> {
    pub(super) fn to_target(matches: RouteMatch, target: T) -> Self {
        Self { matches, route: Route { name: None, cluster: None, target } }
    }
}

/// One virtual host before it is compiled.
pub(super) struct Entries<T> {
    pub(super) name: Arc<str>,
    pub(super) domains: Vec<String>,
    pub(super) routes: Vec<Entry<T>>,
}

impl<T> RouteTable<T> {
    /// Compiles a table; `target` makes what a route leads to.
    ///
    /// The names are copied: tables of different workers share no counter.
    ///
    /// # Errors
    /// Two virtual hosts with one domain, a domain that is none, a virtual host without domains, a regular expression
    /// that is none.
    pub fn new(config: &RouteTableConfig, mut target: impl FnMut(&RouteAction) -> T) -> Result<Self, RouteTableError> {
        Self::try_new(config, |action| Ok(target(action)))
    }

    /// The same, with targets that may not be to be had.
    ///
    /// # Errors
    /// As [`new`](Self::new), and those of `target`.
    pub fn try_new<E: From<RouteTableError>>(
        config: &RouteTableConfig,
        mut target: impl FnMut(&RouteAction) -> Result<T, E>,
    ) -> Result<Self, E> {
        let own = |name: &Arc<str>| Arc::from(&**name);
        let mut entry = |route: &RouteConfig| {
            let (name, cluster) = (route.name.as_ref().map(own), Some(own(&route.action.cluster)));
            let route_target = Route { name, cluster, target: target(&route.action)? };
            Ok(Entry { matches: route.matches.clone(), route: route_target })
        };
        let mut hosts = Vec::with_capacity(config.virtual_hosts.len());
        for host in &config.virtual_hosts {
            let routes = host.routes.iter().map(&mut entry).collect::<Result<_, E>>()?;
            hosts.push(Entries { name: own(&host.name), domains: host.domains.clone(), routes });
        }
        Ok(Self::compile(hosts)?)
    }

    pub(super) fn compile(hosts: Vec<Entries<T>>) -> Result<Self, RouteTableError> {
        let mut domains = Domains::default();
        let mut virtual_hosts = Vec::with_capacity(hosts.len());
        for (at, host) in hosts.into_iter().enumerate() {
            let error = |kind| RouteTableError { virtual_host: host.name.clone(), kind };
            if host.domains.is_empty() {
                return Err(error(RouteTableErrorKind::NoDomains));
            }
            for domain in &host.domains {
                domains.add(domain, at).map_err(|why| {
                    error(match why {
                        DomainError::Duplicate => RouteTableErrorKind::DuplicateDomain(domain.clone()),
                        DomainError::Invalid => RouteTableErrorKind::InvalidDomain(domain.clone()),
                    })
                })?;
            }
            let index = RouteIndex::new(host.routes.iter().map(|entry| &entry.matches))
                .map_err(|why| error(RouteTableErrorKind::HeaderMatch(why)))?;
            let routes = host.routes.into_iter().map(|entry| entry.route).collect();
            virtual_hosts.push(VirtualHost { name: host.name, index, routes });
        }
        Ok(Self { domains, virtual_hosts: virtual_hosts.into() })
    }

    /// The route of a request: the first that matches in the virtual host of its authority. Allocates nothing.
    pub fn find<B>(&self, request: &Request<B>) -> Option<Matched<'_, T>> {
        let host = self.virtual_hosts.get(self.domains.find(request)?)?;
        let route = host.routes.get(host.index.find(request)?)?;
        Some(Matched { virtual_host: &host.name, route })
    }
}

/// Why a route table cannot be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTableError {
    virtual_host: Arc<str>,
    kind: RouteTableErrorKind,
}

impl RouteTableError {
    /// The virtual host at fault; of two with one domain, the later.
    pub fn virtual_host(&self) -> &str {
        &self.virtual_host
    }

    /// What is wrong.
    pub fn kind(&self) -> &RouteTableErrorKind {
        &self.kind
    }
}

/// What is wrong with a virtual host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RouteTableErrorKind {
    /// It has no domain.
    NoDomains,
    /// This domain stands twice, here or in two virtual hosts; case does not count.
    DuplicateDomain(String),
    /// This is no domain: empty, or with a star in its midst.
    InvalidDomain(String),
    /// A route's header condition cannot be compiled.
    HeaderMatch(HeaderMatchError),
}

impl From<RouteTableError> for Error {
    fn from(error: RouteTableError) -> Self {
        Self::new(ErrorKind::Configuration).with_source(error)
    }
}

impl fmt::Display for RouteTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtual host `{}`: ", self.virtual_host)?;
        match &self.kind {
            RouteTableErrorKind::NoDomains => f.write_str("no domains"),
            RouteTableErrorKind::DuplicateDomain(domain) => write!(f, "the domain `{domain}` stands twice"),
            RouteTableErrorKind::InvalidDomain(domain) => {
                write!(f, "`{domain}` is no domain: a star stands at one end, alone")
            }
            RouteTableErrorKind::HeaderMatch(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RouteTableError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::header_match::{HeaderMatch, HeaderMatchValue},
        route::config::{RouteConfig, VirtualHostConfig},
    };

    fn host(name: &str, domains: &[&str], routes: Vec<RouteConfig>) -> VirtualHostConfig {
        VirtualHostConfig::new(name, domains.iter().map(|domain| (*domain).to_owned()).collect(), routes)
    }

    fn compile(hosts: Vec<VirtualHostConfig>) -> Result<RouteTable<Arc<str>>, RouteTableError> {
        RouteTable::new(&RouteTableConfig::new("t", hosts), |action| action.cluster.clone())
    }

    fn to(prefix: &str, cluster: &str) -> RouteConfig {
        RouteConfig::new(RouteMatch::prefix(prefix), RouteAction::cluster(cluster))
    }

    #[test]
    fn the_first_route_of_the_right_virtual_host() {
        let mut named = to("/a/", "one");
        named.name = Some("first".into());
        let table = compile(vec![
            host("any", &["*"], vec![to("/", "rest")]),
            host("a", &["a.example"], vec![named, to("/a", "two"), to("/a/b", "never")]),
        ]);
        let table = table.unwrap();
        let find = |uri: &str| {
            let request = Request::get(uri).body(()).unwrap();
            table.find(&request).map(|matched| {
                (matched.virtual_host().to_string(), matched.name().cloned(), matched.cluster().unwrap().to_string())
            })
        };
        assert_eq!(find("http://a.example/a/b"), Some(("a".into(), Some("first".into()), "one".into())));
        assert_eq!(find("http://a.example/ab"), Some(("a".into(), None, "two".into())));
        // The virtual host is chosen before the path: there is no way back.
        assert_eq!(find("http://a.example/x"), None);
        assert_eq!(find("http://b.example/x"), Some(("any".into(), None, "rest".into())));
    }

    #[test]
    fn errors_name_the_virtual_host_and_the_domain() {
        let error = |hosts| compile(hosts).unwrap_err().to_string();
        let twice = vec![host("one", &["*"], vec![]), host("two", &["a", "*"], vec![])];
        assert_eq!(error(twice), "virtual host `two`: the domain `*` stands twice");
        assert_eq!(error(vec![host("one", &["a", "A"], vec![])]), "virtual host `one`: the domain `A` stands twice");
        assert_eq!(error(vec![host("one", &[], vec![])]), "virtual host `one`: no domains");
        assert!(error(vec![host("one", &["a*b"], vec![])]).contains("`a*b` is no domain"));
        let mut route = to("/", "c");
        let regex = HeaderMatchValue::Regex("(".to_owned());
        route.matches.headers = vec![HeaderMatch { name: "x".parse().unwrap(), value: regex, invert: false }];
        assert!(error(vec![host("one", &["*"], vec![route])]).contains("invalid regular expression `(`"));
    }
}
