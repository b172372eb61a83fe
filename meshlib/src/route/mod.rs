//! Floor 5: routes. Virtual hosts, ordered routes, the first match wins.

pub mod config;
