//! What a stream costs in memory, the handler's future not counted.

use std::sync::Arc;

use http::{Request, Response, request};

use super::super::stream::Streams;
use crate::{
    base::{ConnectionInfo, Error, RequestInfo, future_size},
    http::{Body, handler::Handler},
};

/// A handler whose future is next to nothing.
#[derive(Clone)]
struct Nothing;

impl Handler for Nothing {
    fn begin(&self, _: &Arc<ConnectionInfo>) -> RequestInfo {
        RequestInfo::detached()
    }

    async fn call(&self, _: Request<Body>, _: RequestInfo) -> Response<Body> {
        Response::default()
    }

    fn refuse(&self, _: Option<&request::Parts>, _: Error, _: &RequestInfo) -> Response<Body> {
        Response::default()
    }
}

#[test]
fn the_task_of_a_stream_stays_small() {
    future_size::at_most("HTTP/2 stream task", future_size::of(Streams::<Nothing>::run), 1600);
}
