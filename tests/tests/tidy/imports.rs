//! Who may import what, held against cargo's own metadata.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Our crates and those of ours that each may import (development dependencies aside).
const OURS: &[(&str, &[&str])] = &[
    ("schema", &[]),
    ("vat", &["schema"]),
    ("kernel", &["schema", "vat"]),
    ("package", &["schema", "vat"]),
    ("powerbox", &["schema", "vat", "package"]),
    ("latch", &["schema", "vat", "package", "caps"]),
    ("files", &["schema", "vat"]),
    ("folder-service", &["schema", "vat", "files"]),
    ("keys-service", &["schema", "vat"]),
    ("caps", &[]),
    ("storage-service", &["schema", "vat", "files", "caps"]),
    ("sandbox-engine", &[]),
    ("sandbox-service", &["schema", "vat", "sandbox-engine"]),
    ("compile-service", &["schema", "vat", "sandbox-engine"]),
    ("sdk", &["schema", "vat"]),
    ("hello", &["sdk"]),
    ("search", &["sdk"]),
    ("notes", &["sdk"]),
    ("bench", &["schema", "vat", "package"]),
];

/// Crates that only one part of the project may import.
const CONFINED_TO: &[(&str, &[&str])] = &[
    ("wasmtime", &["sandbox-engine", "sandbox-service", "compile-service"]),
    ("wasmtime-wasi", &["sandbox-service"]),
    ("sled", &["powerbox", "storage-service"]),
    ("tss-esapi", &["keys-service"]),
    ("wit-component", &["latch"]),
    ("hpke", &["caps"]),
    ("bao-tree", &["caps"]),
];

/// What may not be reachable at all, from whom, not even through others.
const NEVER_REACHED: &[(&str, &[&str])] = &[
    ("kernel", &["capnp-rpc", "futures", "tokio", "wasmtime", "sled", "ed25519-dalek", "blake3"]),
    ("package", &["capnp-rpc", "tokio"]),
    ("sandbox-service", &["cranelift-codegen", "sled", "ed25519-dalek"]),
    ("folder-service", &["wasmtime", "sled"]),
    ("powerbox", &["wasmtime"]),
];

#[test]
fn our_crates_import_only_what_the_architecture_allows() {
    let imports = direct_imports();
    let names: BTreeSet<&str> = OURS.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in OURS {
        let Some(found) = imports.get(*name) else { continue };
        let ours = found.iter().map(String::as_str).filter(|import| names.contains(import));
        let excess: Vec<&str> = ours.filter(|import| !allowed.contains(import)).collect();
        assert!(excess.is_empty(), "{name} imports {excess:?}; ARCHITECTURE.md allows {allowed:?}");
    }
    let known = |name: &str| {
        names.contains(name) || ["tests", "xtask", "bench", "hostile"].contains(&name) || name.starts_with("guest-")
    };
    let unknown: Vec<&String> = imports.keys().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "crates that this test does not know: {unknown:?}");
}

#[test]
fn libraries_of_one_domain_stay_in_it() {
    for (name, found) in direct_imports() {
        for (library, homes) in CONFINED_TO {
            let here = found.contains(*library) && !homes.contains(&name.as_str()) && name != "tests";
            assert!(!here, "{name} imports {library}, which only {homes:?} may");
        }
    }
}

#[test]
fn what_a_process_must_not_contain_cannot_be_reached() {
    for (name, never) in NEVER_REACHED {
        let tree = dependency_tree(name);
        for library in *never {
            assert!(!tree.contains(*library), "{name} reaches {library}");
        }
    }
}

/// Every package of the workspace with its direct dependencies, those for development aside.
fn direct_imports() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value = serde_json::from_slice(&cargo(&["metadata", "--format-version", "1", "--no-deps"]))
        .expect("cargo metadata prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let imports = packages.iter().map(|package| {
        let dependencies = package["dependencies"].as_array().expect("a list of dependencies").iter();
        let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
        (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
    });
    imports.collect()
}

/// The names of all that a package is built from on this machine, with its own features only.
fn dependency_tree(package: &str) -> BTreeSet<String> {
    let printed = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let lines = String::from_utf8(printed).expect("names are text");
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn cargo(words: &[&str]) -> Vec<u8> {
    let mut command = std::process::Command::new(env!("CARGO"));
    let output = command.args(words).arg("--locked").current_dir(tests::checkout()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
