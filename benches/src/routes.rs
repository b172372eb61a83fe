//! Route tables of any size.

use http::Request;
use meshlib::route::{
    RouteTable,
    config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig, VirtualHostConfig},
};

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
