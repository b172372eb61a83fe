//! The programs that embed a cluster: `tonic-client`, here and in a crate of its own, `custom-balancer`,
//! `own-discovery`.

use std::{collections::BTreeMap, fs, process::Output};

use crate::{
    outside::outside,
    support::{plain, run},
};

const TONIC_CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tonic_client.rs");

fn printed(output: &Output) -> String {
    let text = plain(&output.stdout);
    assert!(output.status.success(), "{text}{}", plain(&output.stderr));
    text
}

/// The pods that answered below each heading, and how often.
fn answers(text: &str) -> BTreeMap<&str, Vec<(&str, u32)>> {
    fn row(line: &str) -> Option<(&str, u32)> {
        let mut words = line.split_whitespace();
        let pod = words.next().filter(|word| word.starts_with("pod-"))?;
        Some((pod, words.next()?.parse().ok()?))
    }
    let sections = text.split("\n\n").filter_map(|section| section.trim().split_once('\n'));
    sections.map(|(heading, rows)| (heading, rows.lines().filter_map(row).collect())).collect()
}

/// Three pods found by DNS; one dies and one comes without a failed call; when all are dead, the error says who.
fn assert_tonic_client(output: &Output) {
    let text = printed(output);
    let answers = answers(&text);
    let below = |heading: &str| answers.get(heading).unwrap_or_else(|| panic!("{heading} is not in {text}")).as_slice();
    assert_eq!(below("Three pods"), [("pod-1", 10), ("pod-2", 10), ("pod-3", 10)]);
    assert_eq!(below("pod-2 is killed"), [("pod-1", 15), ("pod-3", 15)]);
    assert_eq!(below("pod-4 is added"), [("pod-1", 10), ("pod-3", 10), ("pod-4", 10)]);
    assert_eq!(text.matches("30 calls, no call failed").count(), 3, "{text}");
    let (_, error) = text.split_once("\nAll are killed\nUnavailable: ").unwrap();
    // The one that was killed before has failed its health checks by now, and is tried only if the others have too.
    let tried = error.matches(" (ConnectFailure)").count();
    assert!((3..=4).contains(&tried), "every pod was tried, and is named: {error}");
    assert!(error.contains("\nthe last one that failed is pod-"), "{error}");
}

#[test]
fn a_tonic_client_follows_its_pods() {
    assert_tonic_client(&run("tonic-client", &[]));
}

#[test]
fn a_tonic_client_compiles_and_runs_outside_of_the_workspace() {
    assert_tonic_client(&outside("tonic-client-outside", TONIC_CLIENT));
}

#[test]
fn it_is_short() {
    assert!(fs::read_to_string(TONIC_CLIENT).unwrap().lines().count() < 80);
}

#[test]
fn a_custom_balancer_keeps_users_with_their_pods() {
    let text = printed(&run("custom-balancer", &[]));
    let (before, after) = text.split_once(" is killed\n").unwrap();
    let dead = before.lines().next_back().unwrap();
    assert!(dead.starts_with("pod-"), "{text}");
    for line in before.lines().filter(|line| line.contains(" is served by ")) {
        let (user, pod) = line.split_once(" is served by ").unwrap();
        let stays = after.contains(&format!("{user} stays with {pod}\n"));
        assert_eq!(stays, pod != dead, "{text}");
    }
    assert_eq!(after.lines().count(), 6);
}

#[test]
fn an_own_discovery_follows_its_registry() {
    let text = printed(&run("own-discovery", &[]));
    let answers = answers(&text);
    assert_eq!(answers["Two pods are registered"], [("pod-1", 10), ("pod-2", 10)]);
    assert_eq!(answers["All three are, and pod-1 has died"], [("pod-2", 10), ("pod-3", 10)]);
    assert_eq!(answers["The registry is gone"], [("pod-2", 10), ("pod-3", 10)]);
}
