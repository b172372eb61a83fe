//! rustdoc's JSON: every public item of meshlib, with all features.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;

/// The format that this reads (`rustdoc_json_types::FORMAT_VERSION`). Formats that follow have kept these fields so far.
const FORMAT: u64 = 57;

/// Compiles nothing of this workspace but meshlib's documentation, into the directory that `cargo test` uses. The
/// format is not stable yet: rustdoc alone, behind a script, is told that we know it, or all would be compiled again.
const RUSTDOC: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec \"${REAL_RUSTDOC}\" \"$@\"\n";

pub(crate) struct Api(Value);

/// A type, trait or module of meshlib.
pub(crate) struct Item<'a> {
    pub(crate) path: String,
    pub(crate) kind: &'a str,
    pub(crate) inner: &'a Value,
    value: &'a Value,
}

impl Api {
    pub(crate) fn load() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // `target/debug/deps/` holds this test.
        let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("rustdoc");
        fs::write(&script, RUSTDOC).unwrap();
        let made = Command::new("chmod").arg("+x").arg(&script).status().unwrap();
        assert!(made.success());
        let beside_cargo = Path::new(env!("CARGO")).with_file_name("rustdoc");
        let real = if beside_cargo.exists() { beside_cargo } else { "rustdoc".into() };
        let output = Command::new(env!("CARGO"))
            .args(["rustdoc", "--quiet", "--offline", "-p", "meshlib", "--all-features"])
            .args(["--", "-Z", "unstable-options", "--output-format", "json"])
            .envs([("RUSTDOC", script.as_path()), ("REAL_RUSTDOC", &real), ("CARGO_TARGET_DIR", &target)])
            .current_dir(workspace)
            .output()
            .unwrap();
        assert!(output.status.success(), "rustdoc failed:\n{}", String::from_utf8_lossy(&output.stderr));
        let json = fs::read(target.join("doc/meshlib.json")).unwrap();
        let api: Value = serde_json::from_slice(&json).unwrap();
        let format = api["format_version"].as_u64().unwrap();
        assert!(format >= FORMAT, "rustdoc is older than the one of rust-version");
        Self(api)
    }

    /// What the path of an item is, and whether it is of another crate.
    pub(crate) fn path(&self, id: &Value) -> Option<(String, bool)> {
        let item = self.0["paths"].get(id.to_string())?;
        let segments: Vec<_> = item["path"].as_array()?.iter().filter_map(Value::as_str).collect();
        Some((segments.join("::"), item["crate_id"] != 0))
    }

    fn index(&self) -> impl Iterator<Item = &Value> {
        self.0["index"].as_object().into_iter().flat_map(|index| index.values()).filter(|item| item["crate_id"] == 0)
    }

    /// The parts of every item that stand in its documentation, with the place it is written at. What the compiler
    /// says of every type (auto traits, blanket implementations of others) is left out.
    pub(crate) fn surfaces(&self) -> impl Iterator<Item = (String, &Value)> {
        self.index().filter_map(|item| {
            let (kind, inner) = kind_of(item)?;
            let by_itself = kind == "impl" && (inner["is_synthetic"] == true || !inner["blanket_impl"].is_null());
            let name = item["name"].as_str().unwrap_or(kind);
            let (file, line) = (item["span"]["filename"].as_str().unwrap_or("?"), &item["span"]["begin"][0]);
            (!by_itself).then(|| (format!("{name} at {file}:{line}"), inner))
        })
    }

    /// Types, traits and modules, by their paths.
    pub(crate) fn items(&self) -> Vec<Item<'_>> {
        let mut items = BTreeMap::new();
        for value in self.index() {
            let (Some((path, _)), Some((kind, inner))) = (self.path(&value["id"]), kind_of(value)) else { continue };
            items.insert((path.clone(), kind), Item { path, kind, inner, value });
        }
        items.into_values().collect()
    }

    /// Whether an item stands in the documentation.
    pub(crate) fn is_public(&self, id: &Value) -> bool {
        self.0["index"].get(id.to_string()).is_some()
    }

    pub(crate) fn modules_without_examples(&self) -> Vec<String> {
        let silent = self.items().into_iter().filter(|item| item.kind == "module" && !item.docs().contains("```"));
        silent.map(|item| format!("module {} shows no example", item.path)).collect()
    }
}

impl Item<'_> {
    fn docs(&self) -> &str {
        self.value["docs"].as_str().unwrap_or_default()
    }

    pub(crate) fn is_non_exhaustive(&self) -> bool {
        self.value["attrs"].to_string().contains("non_exhaustive")
    }
}

fn kind_of(item: &Value) -> Option<(&str, &Value)> {
    let (kind, inner) = item["inner"].as_object()?.iter().next()?;
    Some((kind, inner))
}
