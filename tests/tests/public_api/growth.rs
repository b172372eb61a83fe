//! What may grow says so (`#[non_exhaustive]`); what does not, and what others may implement, is listed here.

use serde_json::Value;

use crate::rustdoc::{Api, Item};

/// Enums whose variants, and structs whose public fields, are all there will be.
const COMPLETE: &[(&str, &str)] = &[
    ("meshlib::base::drain::DrainPhase", "what follows a drain handles each phase; a new one would be a new promise"),
    ("meshlib::base::error::Side", "a proxy has two sides, and itself"),
    ("meshlib::base::resources::AddressFamily", "IP has two"),
    ("meshlib::envoy::diagnostic::source::Position", "line and column"),
    ("meshlib::envoy::diagnostic::source::Span", "start and end"),
    ("meshlib::envoy::diagnostic::source::Spanned", "a value and its place"),
    ("meshlib::envoy::reader::convert::NonEmpty", "a value that was checked, to be taken out"),
    ("meshlib::envoy::reader::convert::Percent", "a value that was checked, to be taken out"),
    ("meshlib::envoy::reader::convert::Port", "a value that was checked, to be taken out"),
    ("meshlib::envoy::yaml::scalar::ScalarValue", "YAML's core schema (YAML 1.2, chapter 10.3)"),
    ("meshlib::envoy::yaml::tree::NodeKind", "YAML's kinds of node (YAML 1.2, chapter 3.2.1.1)"),
    ("meshlib::http::body_guard::BodyEnd", "a body is whole or it is not"),
    ("meshlib::http::grpc::Code", "a number, whatever it means"),
    ("meshlib::http::serve::Sniffed", "HTTP/2's preface, or not"),
    ("meshlib::layer::server_header::ServerHeaderTransformation", "Envoy's three, since 2018"),
    ("meshlib::testkit::app::Check", "tests write down which checks they expect, and compare"),
    ("meshlib::testkit::trace::Happened", "a time and a line; whatever else happens goes into the line"),
    ("meshlib::proxy::admin::state::ServerPhase", "Envoy's ServerInfo.State, which the admin interface writes out"),
];

/// Traits that an application implements. Others would be sealed; there are none.
const OPEN: &[(&str, &str)] = &[
    ("meshlib::base::info::observer::FinishObserver", "an application's own log or counter of requests"),
    ("meshlib::base::resources::Acceptor", "a network of one's own"),
    ("meshlib::base::resources::DetachedSocket", "a network of one's own"),
    ("meshlib::base::resources::Files", "files from elsewhere"),
    ("meshlib::base::resources::Io", "a name for bounds: every byte stream has it"),
    ("meshlib::base::resources::LogSink", "log lines to elsewhere"),
    ("meshlib::base::resources::LogSinks", "log lines to elsewhere"),
    ("meshlib::base::resources::Network", "a network of one's own"),
    ("meshlib::base::resources::Resolve", "names from elsewhere than DNS"),
    ("meshlib::base::resources::WallClock", "a clock under control"),
    ("meshlib::cluster::balance::LoadBalancer", "a policy of one's own"),
    ("meshlib::cluster::balance::Picker", "a policy of one's own"),
    ("meshlib::cluster::control::ProbeConnect", "health checks over connections of one's own"),
    ("meshlib::cluster::host_set::HostSetObserver", "a data path of one's own"),
    ("meshlib::discovery::Discover", "a discovery of one's own"),
    ("meshlib::envoy::extensions::ExtensionConfig", "a name for bounds: what is read, cloned and compared has it"),
    ("meshlib::envoy::reader::FromConfig", "configuration of one's own filters"),
    ("meshlib::envoy::reader::convert::FromValue", "configuration of one's own filters"),
    ("meshlib::http::body_guard::BodyGuard", "an application's own end of a body: a count, a lease, a permit"),
    ("meshlib::http::handler::Handler", "what stands behind a codec instead of the connection manager"),
    ("meshlib::http::service::HttpService", "a service that answers without being cloned for each request"),
];

pub(crate) fn complaints(api: &Api) -> Vec<String> {
    let items = api.items();
    let closed = items.iter().filter(|item| is_exhaustive(api, item)).map(|item| item.path.as_str());
    let traits = items.iter().filter(|item| item.kind == "trait").map(|item| item.path.as_str());
    let complete =
        differ(closed, COMPLETE, "can only grow by a breaking change: #[non_exhaustive], or a reason in COMPLETE");
    let open = differ(traits, OPEN, "is a public trait: say in OPEN who implements it, or seal it");
    complete.into_iter().chain(open).collect()
}

/// Outside of the crate it can be matched, or made, without leaving room.
fn is_exhaustive(api: &Api, item: &Item<'_>) -> bool {
    let public =
        |fields: &Value| fields.as_array().is_some_and(|ids| !ids.is_empty() && ids.iter().all(|id| api.is_public(id)));
    let shape = &item.inner["kind"];
    let open = match item.kind {
        "enum" => true,
        "struct" => {
            public(&shape["tuple"])
                || public(&shape["plain"]["fields"]) && shape["plain"]["has_stripped_fields"] == false
        }
        _ => false,
    };
    open && !item.is_non_exhaustive()
}

fn differ<'a>(found: impl Iterator<Item = &'a str>, listed: &[(&str, &str)], problem: &str) -> Vec<String> {
    let found: Vec<_> = found.collect();
    let new = found.iter().filter(|name| !listed.iter().any(|(listed, _)| listed == *name));
    let gone = listed.iter().filter(|(name, _)| !found.contains(name));
    let gone = gone
        .map(|(name, _)| format!("`{name}` is listed in tests/tests/public_api/growth.rs, and does not belong there"));
    new.map(|name| format!("`{name}` {problem} (tests/tests/public_api/growth.rs)")).chain(gone).collect()
}
