//! Every example, run as a process: what it prints, how it ends, what it says to wrong arguments.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic, as tests do"
)]

mod echo;
mod embedded;
mod five_pieces;
mod in_process;
mod mesh;
mod outside;
mod proxies;
mod sim;
mod support;
mod tonic_server;
