//! The data plane of a service mesh as a library.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod base;
pub mod cluster;
pub mod discovery;
#[cfg(feature = "envoy")]
pub mod envoy;
pub mod http;
pub mod layer;
#[cfg(feature = "proxy")]
pub mod net;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod route;
#[cfg(feature = "testkit")]
pub mod testkit;
