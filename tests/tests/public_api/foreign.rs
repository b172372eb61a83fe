//! Types of other crates in signatures: each ties meshlib's versions to that crate's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::rustdoc::Api;

/// Whole crates: the vocabulary of the field. They are at 1.0, or as good as; but a new rustls is a breaking change.
const CRATES: &[(&str, &str)] = &[
    ("alloc", "the standard library"),
    ("bytes", "the data of bodies"),
    ("core", "the standard library"),
    ("http", "requests and responses"),
    ("http_body", "bodies"),
    ("rustls", "TLS: its provider, ticketer and certificates are the application's to choose"),
    ("rustls_pki_types", "rustls's own vocabulary"),
    ("std", "the standard library"),
    ("tower_layer", "layers"),
    ("tower_service", "services"),
];

/// Single types and traits of crates that otherwise stay inside.
const ITEMS: &[(&str, &str)] = &[
    ("futures_core::stream::Stream", "`Streamed`: a stream of endpoint sets is a discovery; the trait waits for std's"),
    ("pin_project::__private::PinnedFieldsOf", "in the bound of `Unpin` that `#[pin_project]` writes; nobody names it"),
    ("tokio::io::async_read::AsyncRead", "tokio's io traits"),
    ("tokio::io::async_write::AsyncWrite", "tokio's io traits"),
    ("tokio::io::read_buf::ReadBuf", "tokio's io traits"),
    ("tokio::runtime::handle::Handle", "`Workers::Runtimes`: nothing else names a runtime of the application's own"),
    ("tokio::sync::watch::Receiver", "`Watched`: the application says at any time which its endpoints are"),
    ("tokio::time::instant::Instant", "time is tokio's, so that a paused clock drives all of it"),
];

pub(crate) fn complaints(api: &Api) -> Vec<String> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (place, surface) in api.surfaces() {
        let mut names = BTreeSet::new();
        collect(api, surface, &mut names);
        for name in names {
            found.entry(name).or_default().insert(place.clone());
        }
    }
    let krate = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
    let allowed = |name: &str| {
        CRATES.iter().any(|(allowed, _)| *allowed == krate(name)) || ITEMS.iter().any(|(allowed, _)| *allowed == name)
    };
    let new = found.iter().filter(|(name, _)| !allowed(name)).map(|(name, places)| {
        let places: Vec<_> = places.iter().map(String::as_str).collect();
        format!(
            "`{name}` stands in the public API:\n    {}\n  Wrap it, or give tests/tests/public_api/foreign.rs a reason.",
            places.join("\n    ")
        )
    });
    let gone = ITEMS.iter().filter(|(name, _)| !found.contains_key(*name));
    let gone = gone.map(|(name, _)| format!("`{name}` is allowed in the public API, and is not there any more"));
    new.chain(gone).collect()
}

/// The foreign names in a signature: whatever has an id and is of another crate, re-exports included.
fn collect(api: &Api, value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some((path, true)) = fields.get("id").and_then(|id| api.path(id)) {
                names.insert(path);
            }
            fields.values().for_each(|field| collect(api, field, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(api, item, names)),
        _ => {}
    }
}
