//! Floor 5: routes. Virtual hosts, ordered routes, the first match wins.
//!
//! [`config`] holds the plain values, [`RouteTable`] is their compiled form, [`Router`] the service in front of the
//! routes' targets.
//!
//! ```
//! use http::Request;
//! use meshlib::route::{RouteTable, config::{RouteAction, RouteConfig, RouteMatch, RouteTableConfig}};
//!
//! let routes = vec![
//!     RouteConfig::new(RouteMatch::path("/version"), RouteAction::cluster("info")),
//!     RouteConfig::new(RouteMatch::prefix("/"), RouteAction::cluster("echo")),
//! ];
//! // What a route leads to is made once, with the table: here the cluster's name.
//! let table = RouteTable::new(&RouteTableConfig::any_host("local", routes), |action| action.cluster.clone()).unwrap();
//! let found = |path: &str| table.find(&Request::get(path).body(()).unwrap()).unwrap().target().to_string();
//! assert_eq!((found("/version"), found("/version/2")), ("info".to_owned(), "echo".to_owned()));
//! ```

pub mod action;
pub mod config;
mod matcher;
pub mod router;
pub mod table;
mod virtual_host;

pub use self::{
    action::ActionLayer,
    router::{Router, RouterBuilder},
    table::{RouteTable, RouteTableError},
};
