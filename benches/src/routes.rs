//! Route tables of any size.

use http::Request;
use meshlib::{
    http::header_match::{HeaderMatch, HeaderMatchValue},
    route::{
        RouteTable,
        config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig},
    },
};

/// Over how many virtual hosts routes are [`spread`].
const VIRTUAL_HOSTS: usize = 1000;
/// How many requests [`spread_requests`] gives: few enough for the processor's caches, so that what is measured is the
/// work and not the memory.
const REQUESTS: usize = 64;

/// `count` prefixes of one virtual host, the shape of a service for each gRPC package.
pub fn table(count: usize) -> RouteTable<()> {
    let route = |at| RouteConfig::new(RouteMatch::prefix(format!("/api.Service{at}/")), RouteAction::cluster("echo"));
    let host = VirtualHostConfig::new("all", vec!["*".to_owned()], (0..count).map(route).collect());
    RouteTable::new(&RouteTableConfig::new("local", vec![host]), |_| ()).expect("a table")
}

/// A request that the middle one of `count` routes takes.
pub fn request(count: usize) -> Request<()> {
    let uri = format!("http://echo.example/api.Service{}/Echo", count / 2);
    Request::post(uri).body(()).expect("a request")
}

/// What decides about a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The beginning of the path.
    Prefix,
    /// The path.
    Exact,
    /// The beginning of the path, and a header: its value, or a regular expression.
    Header,
}

impl Kind {
    /// All of them, with their names.
    pub const ALL: [(&str, Self); 3] = [("prefix", Self::Prefix), ("exact", Self::Exact), ("header", Self::Header)];

    /// The kind of a route: of ten in a row, and of ten in one virtual host, five are prefixes, four are exact paths,
    /// and one looks at a header. The first of the table is of the kind `first`.
    fn of(route: usize, first: Self) -> Self {
        let offset = match first {
            Self::Header => 0,
            Self::Prefix => 1,
            Self::Exact => 2,
        };
        match (route + route / VIRTUAL_HOSTS + offset) % 10 {
            0 => Self::Header,
            odd if odd % 2 == 1 => Self::Prefix,
            _ => Self::Exact,
        }
    }
}

/// `count` routes, dealt out to 1,000 virtual hosts; the first route is of the kind `first`. All names are equally long,
/// so that tables differ in nothing but their size.
pub fn spread(count: usize, first: Kind) -> RouteTable<()> {
    let route = |at: usize| {
        let matches = match Kind::of(at, first) {
            Kind::Prefix => RouteMatch::prefix(format!("/api.Service{at:04}/")),
            Kind::Exact => RouteMatch::path(format!("/api.Service{at:04}/Echo")),
            Kind::Header => RouteMatch::prefix(format!("/api.Service{at:04}/")).header(condition(at)),
        };
        RouteConfig::new(matches, RouteAction::cluster("echo"))
    };
    let host = |at: usize| {
        let routes = (at..count).step_by(VIRTUAL_HOSTS).map(route).collect();
        VirtualHostConfig::new(format!("host{at:03}"), vec![format!("host{at:03}.example")], routes)
    };
    let hosts = (0..VIRTUAL_HOSTS).map(host).collect();
    RouteTable::new(&RouteTableConfig::new("local", hosts), |_| ()).expect("a table")
}

fn condition(route: usize) -> HeaderMatch {
    let mut condition = HeaderMatch::exact("x-version".parse().expect("a name"), "v17");
    if route.is_multiple_of(2) {
        condition.value = HeaderMatchValue::Regex("v[0-9]+".to_owned());
    }
    condition
}

/// Requests for routes of this kind, from all over the table `spread(count, kind)`.
pub fn spread_requests(count: usize, kind: Kind) -> Vec<Request<()>> {
    let routes: Vec<usize> = (0..count).filter(|at| Kind::of(*at, kind) == kind).collect();
    let request = |at: usize| {
        let route = routes.get(at * routes.len() / REQUESTS).expect("a route of this kind");
        let uri = format!("http://host{:03}.example/api.Service{route:04}/Echo", route % VIRTUAL_HOSTS);
        Request::post(uri).header("x-version", "v17").body(()).expect("a request")
    };
    (0..REQUESTS).map(request).collect()
}
