//! The program `five-pieces`: here, and in a crate of its own.

use std::fs;

use crate::{
    outside::outside,
    support::{plain, run},
};

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

#[test]
fn it_compiles_and_runs_outside_of_the_workspace() {
    assert_output(&outside("five-pieces-outside", SOURCE));
}
