//! Floor 4: tower layers, each usable alone in front of any service.

pub mod forwarded;
pub mod request_id;
pub mod server_header;
pub mod stats;
