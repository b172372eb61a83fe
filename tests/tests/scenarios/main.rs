//! The reference deployment over real sockets: TLS, DNS, gRPC, health checks. Every port is the system's choice.
#![cfg(test)]

mod discovery;
mod drain;
mod edge;
mod gauges;
mod health;
mod http1;
mod streams;
mod support;
