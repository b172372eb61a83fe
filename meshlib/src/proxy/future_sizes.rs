//! What a request's way through a proxy costs in memory, beside the codec's part.

use super::connection_manager::HttpConnectionManager;
use crate::{
    base::future_size,
    http::{ArcService, handler::Handler},
    layer::{timeout::Timeout, upstream_headers::UpstreamHeaders},
    route::{Router, action::EraseBody},
};

type FutureOf<S> = <S as tower_service::Service<http::Request<crate::http::Body>>>::Future;

#[test]
fn the_futures_of_a_request_stay_small() {
    let call = |manager: &'static HttpConnectionManager, request, info| manager.call(request, info);
    for (what, size, most) in [
        ("connection manager", future_size::of(call), 640),
        ("router", size_of::<FutureOf<Router<ArcService>>>(), 304),
        ("a route's action", size_of::<FutureOf<UpstreamHeaders<Timeout<EraseBody<ArcService>>>>>(), 104),
    ] {
        future_size::at_most(what, size, most);
    }
}
