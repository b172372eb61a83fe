//! Floor 5: routes. Virtual hosts, ordered routes, the first match wins.
//!
//! [`config`] holds the plain values, [`RouteTable`] is their compiled form, [`Router`] the service in front of the
//! routes' targets.

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
