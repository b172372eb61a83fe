//! What each feature of meshlib costs, as its documentation says it.
#![cfg(test)]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// What builds C, or generates code from it.
const NEEDS_C: [&str; 3] = ["cc", "cmake", "bindgen"];

/// Layers alone stay below.
const MOST: usize = 40;

/// The crates that meshlib pulls in on Linux, by the lock file; meshlib itself is not counted.
fn crates(feature: &str, edges: &str) -> BTreeSet<String> {
    let tree = ["tree", "--offline", "--locked", "--package", "meshlib", "--no-default-features", "--prefix", "none"];
    let output = Command::new(env!("CARGO"))
        .args(tree)
        .args(["--target", "x86_64-unknown-linux-gnu", "--features", feature, "--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names = tree.lines().map(|line| line.split(" (").next().unwrap_or(line).to_owned());
    names.filter(|name| !name.is_empty() && !name.starts_with("meshlib ")).collect()
}

fn needs_c(feature: &str) -> bool {
    crates(feature, "normal,build").iter().any(|name| NEEDS_C.contains(&name.split(' ').next().unwrap_or(name)))
}

#[test]
fn the_table_of_features_is_true() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../meshlib/src/lib.rs");
    let library = fs::read_to_string(library).unwrap();
    for (row, feature) in [
        ("(none)", ""),
        ("`proxy`", "proxy"),
        ("`tls`", "tls"),
        ("`dns`", "dns"),
        ("`envoy` (default)", "envoy"),
        ("`testkit`", "testkit"),
    ] {
        let line = library.lines().find(|line| line.starts_with(&format!("//! | {row} | "))).unwrap();
        let (count, c) = (crates(feature, "normal").len(), if needs_c(feature) { "yes" } else { "no" });
        let end = format!(" | {count} | {c} |");
        assert!(
            line.ends_with(&end),
            "in the table of features (meshlib/src/lib.rs), {row} must end with{end}:\n{line}"
        );
    }
}

#[test]
fn layers_alone_are_cheap() {
    let crates = crates("", "normal");
    assert!(crates.len() < MOST && !needs_c(""), "{} crates: {crates:?}", crates.len());
}
