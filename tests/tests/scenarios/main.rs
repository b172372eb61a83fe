//! The reference deployment over real sockets: TLS, DNS, gRPC, health checks. Every port is the system's choice.
#![cfg(test)]

mod authority;
mod cancel;
mod discovery;
mod drain;
mod edge;
mod flow;
mod gauges;
mod grpc;
mod health;
mod http1;
mod replies;
mod request_headers;
mod response_headers;
mod streams;
mod support;
