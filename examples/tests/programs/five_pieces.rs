//! The program `five-pieces`: here, and in a crate of its own.

use std::{fs, path::Path, process::Command};

use crate::support::{plain, run};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/five_pieces.rs");

fn assert_output(output: &std::process::Output) {
    let text = plain(&output.stdout);
    assert!(output.status.success(), "{text}{}", plain(&output.stderr));
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    // Round robin begins anywhere.
    let [one, two] = ["answered by one", "answered by two"];
    assert_eq!(lines, [one, one, two, two, "health: 200 OK", "probe: Some(Ok(()))"]);
}

#[test]
fn the_backends_take_turns_behind_tls() {
    assert_output(&run("five-pieces", &[]));
}

#[test]
fn it_is_short() {
    assert!(fs::read_to_string(SOURCE).unwrap().lines().count() < 60);
}

/// The manifest of a crate outside the workspace. The second table has nothing that the program needs, only features:
/// with them what `cargo test` has built is used again, and this takes seconds instead of a minute.
const MANIFEST: &str = r#"
[package]
name = "outside"
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

#[test]
fn it_compiles_and_runs_outside_of_the_workspace() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // `target/debug/deps/` holds this test.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("src")).unwrap();
    fs::copy(SOURCE, outside.path().join("src/main.rs")).unwrap();
    // The same versions: nothing has to be fetched.
    fs::copy(workspace.join("Cargo.lock"), outside.path().join("Cargo.lock")).unwrap();
    let manifest = MANIFEST.replace("WORKSPACE", &workspace.display().to_string());
    fs::write(outside.path().join("Cargo.toml"), manifest).unwrap();

    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--offline"]).current_dir(outside.path()).env("CARGO_TARGET_DIR", target);
    assert_output(&cargo.output().unwrap());
}
