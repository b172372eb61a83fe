//! The house keeps its floors: a module imports only from below (meshlib/ARCHITECTURE.md has the table).
#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each top-level module with its floor. `layer` and `cluster` share one: siblings import nothing of each other.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("net", 1),
    ("http", 2),
    ("discovery", 3),
    ("cluster", 4),
    ("layer", 4),
    ("route", 5),
    ("proxy", 6),
    ("envoy", 7),
    ("testkit", 8),
];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a file names behind `crate::`, tests and comments left out.
fn imports(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or(source);
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(group) => found.extend(group_heads(group).iter().map(|head| word(head))),
        }
    }
    found
}

/// The first words of `a::{b, c}, d}`: `a` and `d`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut head) = (Vec::new(), 0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(std::mem::take(&mut head)),
            c if depth == 0 => head.push(c),
            _ => {}
        }
    }
    heads.push(head);
    heads.into_iter().map(|head| head.trim().to_owned()).filter(|head| !head.is_empty()).collect()
}

#[test]
fn every_module_imports_only_from_lower_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../meshlib/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 30, "the sources are somewhere else");
    let mut broken = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).expect("below the root");
        let module = relative.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
        let module = module.trim_end_matches(".rs");
        // Tests may look anywhere.
        let is_test = relative.iter().any(|part| part == "tests" || part == "tests.rs" || part == "test_world.rs");
        if module == "lib" || is_test {
            continue;
        }
        let own = floor(module).unwrap_or_else(|| panic!("{module} has no floor"));
        for import in imports(&fs::read_to_string(&file).expect("a readable source")) {
            if import != module && floor(&import).is_some_and(|imported| imported >= own) {
                broken.push(format!("{}: {module} (floor {own}) imports {import}", relative.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// One that is not begins where tokio's own chance says, and a seed of `testkit::Sim` would not repeat its trace.
#[test]
fn every_select_is_biased() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../meshlib/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut found, mut by_chance) = (0, Vec::new());
    for file in files {
        let source = fs::read_to_string(&file).expect("a readable source");
        for arms in source.split("select! {").skip(1) {
            found += 1;
            if !arms.trim_start().starts_with("biased;") {
                by_chance.push(file.display().to_string());
            }
        }
    }
    assert!(found > 5, "the sources are somewhere else");
    assert!(by_chance.is_empty(), "{by_chance:?}");
}

#[test]
fn imports_are_found_in_groups_and_paths() {
    let source = "use crate::{base::{Error, Stats}, http};\nlet x = crate::proxy::y();\n// crate::envoy\n";
    assert_eq!(imports(source), ["base", "http", "proxy"]);
}
