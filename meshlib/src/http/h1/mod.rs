//! HTTP/1.1 behind one seam: hyper does the codec, and nothing of hyper is seen outside of here.

pub mod client;
mod incoming;

pub(crate) use self::incoming::IncomingBody;
