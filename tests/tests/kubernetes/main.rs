//! The files of `examples/kubernetes`: every object is typed, every reference resolves, and names, ports and times fit
//! together, as far as that can be known without a cluster.
#![cfg(test)]

mod drain;
mod envoy;
mod files;
mod objects;
mod references;
mod start;
