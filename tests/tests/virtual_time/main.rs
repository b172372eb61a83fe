//! A whole mesh under a paused clock: hours of it in seconds, to the second, and the same each time.
#![cfg(test)]

mod client;
mod discovery;
mod drain;
mod embedded;
mod ending;
mod health;
mod http_server;
mod isolation;
mod logs;
mod node;
mod outage;
mod own_filters;
mod own_parts;
mod published;
mod repeat;
mod rollout;
mod sim;
mod start;
mod timeouts;
mod tonic_client;
mod world;
