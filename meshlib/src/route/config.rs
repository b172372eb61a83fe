//! What a router is told: plain values, compared and cloned, read from a file or set by a builder.
//!
//! ```
//! use meshlib::route::config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig};
//!
//! let routes = vec![
//!     RouteConfig::new(RouteMatch::path("/version"), RouteAction::cluster("info")),
//!     RouteConfig::new(RouteMatch::prefix("/api."), RouteAction::cluster("echo").timeout(None)),
//! ];
//! let table = RouteTableConfig::new("local", vec![VirtualHostConfig::new("all", vec!["*".to_owned()], routes.clone())]);
//! assert_eq!(table.virtual_hosts[0].routes, routes);
//! ```

use std::{sync::Arc, time::Duration};

use crate::http::header_match::HeaderMatch;

/// All routes of a listener (Envoy's `RouteConfiguration`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RouteTableConfig {
    /// The name, for stats and dumps.
    pub name: Arc<str>,
    /// The virtual hosts; at most one has the domain `*`, no domain stands twice.
    pub virtual_hosts: Vec<VirtualHostConfig>,
}

impl RouteTableConfig {
    /// A table of these virtual hosts.
    pub fn new(name: impl Into<Arc<str>>, virtual_hosts: Vec<VirtualHostConfig>) -> Self {
        Self { name: name.into(), virtual_hosts }
    }

    /// A table of these routes for every host: one virtual host, named as the table, of the domain `*`.
    pub fn any_host(name: impl Into<Arc<str>>, routes: Vec<RouteConfig>) -> Self {
        let name = name.into();
        Self { virtual_hosts: vec![VirtualHostConfig::new(name.clone(), vec!["*".to_owned()], routes)], name }
    }
}

/// Routes of some domains (Envoy's `VirtualHost`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VirtualHostConfig {
    /// The name, for stats and logs.
    pub name: Arc<str>,
    /// `example.com`, `*.example.com`, `example.*` or `*`; compared without case, the port of the authority included.
    pub domains: Vec<String>,
    /// The routes; the first that matches is taken.
    pub routes: Vec<RouteConfig>,
}

impl VirtualHostConfig {
    /// A virtual host of these domains and routes.
    pub fn new(name: impl Into<Arc<str>>, domains: Vec<String>, routes: Vec<RouteConfig>) -> Self {
        Self { name: name.into(), domains, routes }
    }
}

/// One route (Envoy's `Route`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteConfig {
    /// Its name, for logs.
    pub name: Option<Arc<str>>,
    /// Which requests it takes.
    pub matches: RouteMatch,
    /// Where they go.
    pub action: RouteAction,
}

impl RouteConfig {
    /// A route without a name.
    pub fn new(matches: RouteMatch, action: RouteAction) -> Self {
        Self { name: None, matches, action }
    }
}

/// Which requests a route takes: all conditions hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteMatch {
    /// The path's condition.
    pub path: PathMatch,
    /// Conditions on headers.
    pub headers: Vec<HeaderMatch>,
}

impl RouteMatch {
    /// Requests whose path begins with `prefix`, byte for byte.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { path: PathMatch::Prefix(prefix.into()), headers: Vec::new() }
    }

    /// Requests whose path, without its query, is `path`.
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: PathMatch::Exact(path.into()), headers: Vec::new() }
    }

    /// The same requests, if this holds too.
    #[must_use]
    pub fn header(mut self, header: HeaderMatch) -> Self {
        self.headers.push(header);
        self
    }
}

/// A condition on the path. Case counts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PathMatch {
    /// The path, query included, begins with this.
    Prefix(String),
    /// The path without its query is this.
    Exact(String),
}

/// Where a route's requests go.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RouteAction {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// From the end of the request to the end of the response; `None` is without limit. Default 15 s, as Envoy's.
    pub timeout: Option<Duration>,
}

impl RouteAction {
    /// To a cluster, with Envoy's timeout of 15 s.
    pub fn cluster(name: impl Into<Arc<str>>) -> Self {
        Self { cluster: name.into(), timeout: Some(Duration::from_secs(15)) }
    }

    /// With another timeout; `None` is without limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }
}
