//! The reference deployment over real sockets: TLS, DNS, gRPC, health checks. Every port is the system's choice.
#![cfg(test)]

mod access_log;
mod authority;
mod cancel;
mod codecs;
mod discovery;
mod drain;
mod early;
mod edge;
mod flow;
mod gauges;
mod grpc;
mod health;
mod lifecycle;

mod probes;
mod reference;
mod replies;
mod request_headers;
mod response_headers;
mod retries;
mod streams;
mod support;
mod wire1;
mod workers;
