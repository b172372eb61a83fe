//! Examples as crates of their own, outside of the workspace.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// The manifest of a crate outside the workspace. The second table has nothing that programs need, only features:
/// with them what `cargo test` has built is used again, and this takes seconds instead of a minute.
const MANIFEST: &str = r#"
[package]
name = "NAME"
edition = "2024"

[workspace]
resolver = "3"

[dependencies]
meshlib = { path = "WORKSPACE/meshlib" }
meshlib-examples = { path = "WORKSPACE/examples" }
http = "1"
hyper = "1"
hyper-util = { version = "0.1", features = ["server-auto", "service", "tokio"] }
tokio = { version = "1", features = ["full"] }
tonic = { version = "0.14", default-features = false, features = ["transport"] }
tower = { version = "0.5", features = ["util"] }

[target.'cfg(all())'.dependencies]
meshlib = { path = "WORKSPACE/meshlib", features = ["testkit"] }
anstyle = "1"
either = { version = "1", features = ["use_std"] }
regex = { version = "1", default-features = false, features = ["unicode"] }
serde = { version = "1", features = ["alloc"] }
tokio = { version = "1", features = ["test-util"] }

[profile.dev]
debug = "line-tables-only"
"#;

/// Compiles and runs a crate that is this one file. Tests run at once, so each crate has a name of its own.
pub(crate) fn outside(name: &str, source: &str) -> Output {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // `target/debug/deps/` holds this test.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("src")).unwrap();
    fs::copy(source, outside.path().join("src/main.rs")).unwrap();
    // The same versions: nothing has to be fetched.
    fs::copy(workspace.join("Cargo.lock"), outside.path().join("Cargo.lock")).unwrap();
    let manifest = MANIFEST.replace("NAME", name).replace("WORKSPACE", &workspace.display().to_string());
    fs::write(outside.path().join("Cargo.toml"), manifest).unwrap();

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--offline"]).current_dir(outside.path()).env("CARGO_TARGET_DIR", target);
    cargo.output().unwrap()
}
