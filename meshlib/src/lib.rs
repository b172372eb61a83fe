//! The data plane of a service mesh as a library.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod base;
pub mod cluster;
pub mod discovery;
pub mod http;
pub mod layer;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod route;
