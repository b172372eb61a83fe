//! Damaged files: an error or a configuration, never a panic, and never a secret.

use super::*;

const FILES: [&str; 4] = [EDGE_2019, EDGE_V3, SIDECAR_2019, SIDECAR_V3];

/// Words that a file may be damaged with.
const WORDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "\n",
    "\t",
    "\"",
    "'",
    "|\n",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "null",
    "-1",
    "1e400",
    "\u{0}",
    "\u{feff}",
    "\u{1F980}",
    "---\n",
    "<<: *a\n",
    "99999999999999999999s",
];

fn mutate(rng: &mut fastrand::Rng, text: &str) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..text.len());
        let end = (at + rng.usize(..40)).min(text.len());
        match rng.u8(..5) {
            0 => drop(text.drain(at..end)),
            1 => text.splice(at..at, rng.choice(WORDS).unwrap_or_default().chars()).for_each(drop),
            2 => {
                let copy = text[at..end].to_vec();
                let to = rng.usize(..text.len());
                text.splice(to..to, copy).for_each(drop);
            }
            3 => text[at] = rng.char(..),
            _ => drop(text.splice(at..end, rng.choice(WORDS).unwrap_or_default().chars())),
        }
        if text.is_empty() {
            text.push('a');
        }
    }
    text.into_iter().collect()
}

#[test]
fn mutated_files_never_panic() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut good, mut bad) = (0, 0);
    for round in 0..2000 {
        let text = mutate(&mut rng, FILES[round % FILES.len()]);
        match load("envoy.yaml", &text) {
            Ok(_) => good += 1,
            Err(errors) => {
                bad += 1;
                assert!(errors.len() > 0);
                assert!(errors.to_string().contains("error["), "{errors}");
            }
        }
    }
    // Both happen, or the mutations do not test anything.
    assert!(good > 20 && bad > 1000, "{good} {bad}");
}

#[test]
fn mutated_files_never_tell_secrets() {
    let mut rng = fastrand::Rng::with_seed(8);
    let key = "inline_string: |\n                -----BEGIN PRIVATE KEY-----\n                c2VjcmV0\n                -----END PRIVATE KEY-----";
    let edge = with(EDGE_2019, "filename: \"/etc/ssl/envoy/tls.key\"", key);
    let edge = with(&edge, "  clusters:", "  clusters:\n  - wrong: 1");
    for _ in 0..500 {
        let at = rng.usize(..edge.len());
        let mut text = edge.clone();
        text.insert_str(at, rng.choice(WORDS).unwrap_or_default());
        let Err(errors) = load("envoy.yaml", &text) else { continue };
        assert!(!errors.to_string().contains("c2VjcmV0"), "{text}\n{errors}");
    }
}

#[test]
fn truncated_files_never_panic() {
    for file in FILES {
        for end in (0..file.len()).step_by(7) {
            if let Err(errors) = load("envoy.yaml", &file[..end]) {
                assert!(errors.len() > 0);
                let _ = errors.render(Style::Colored);
            }
        }
    }
}
