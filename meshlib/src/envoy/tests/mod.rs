//! Whole files: what they configure, what is said about bad ones, and that nothing panics.

mod accepted;
mod diagnostics;
mod reference;
mod robust;
mod spellings;

use super::{
    Loaded,
    diagnostic::{Code, ConfigErrors, Style},
    load,
};

const EDGE_2019: &str = include_str!("../testdata/edge-2019.yaml");
const EDGE_V3: &str = include_str!("../testdata/edge-v3.yaml");
const SIDECAR_2019: &str = include_str!("../testdata/sidecar-2019.yaml");
const SIDECAR_V3: &str = include_str!("../testdata/sidecar-v3.yaml");

#[track_caller]
fn loaded(text: &str) -> Loaded {
    load("envoy.yaml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[track_caller]
fn errors(text: &str) -> ConfigErrors {
    load("envoy.yaml", text).map(|loaded| loaded.config).expect_err("the file should have errors")
}

#[track_caller]
fn codes(text: &str) -> Vec<Code> {
    errors(text).iter().map(|error| error.code).collect()
}

#[track_caller]
fn rendered(text: &str) -> String {
    errors(text).render(Style::Plain)
}

/// `text` with its first `from` made `to`.
#[track_caller]
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// A file with one cluster that has these lines, each indented by four.
fn cluster(lines: &str) -> String {
    format!("static_resources:\n  clusters:\n  - name: c\n{lines}")
}

/// A file whose connection manager has these lines, each indented by ten.
fn manager(lines: &str) -> String {
    with(
        SIDECAR_V3,
        "          stat_prefix: ingress_https\n",
        &format!("          stat_prefix: ingress_https\n{lines}"),
    )
}
