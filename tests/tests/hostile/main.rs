//! Clients and hosts that break the rules, or keep to them in ways that hurt. Real sockets, every port the system's
//! choice.
#![cfg(test)]

mod floods;
mod goaway;
mod smuggling;
mod support;
