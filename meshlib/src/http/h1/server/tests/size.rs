//! What an exchange costs in memory, the handler's future not counted.

use std::sync::Arc;

use http::{Request, Response, request};

use super::super::exchange::Exchange;
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
fn the_future_of_an_exchange_stays_small() {
    future_size::at_most("HTTP/1.1 exchange", future_size::of(Exchange::answer::<Nothing>), 880);
}
