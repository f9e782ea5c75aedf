//! Packages that are not what they should be: each is refused with what, why and what to do next; nothing is started,
//! and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "packages/forge.rs"]
mod forge;

use forge::Forge;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tests::node::Node;

/// A bad package: its name for messages, its bytes, and a word of the reason that must be told.
struct Case {
    name: String,
    bytes: Vec<u8>,
    word: &'static str,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>, word: &'static str) -> Self {
        Self { name: name.into(), bytes, word }
    }
}

#[test]
fn a_bad_package_is_refused_and_leaves_nothing_behind() {
    let forge = Forge::of(&tests::package("hello"));
    let mut cases = vec![
        Case::new("empty", Vec::new(), "latch build DIR"),
        Case::new("wrong signature", forge.signature_of_another(), "signature"),
        Case::new("not a component", forge.signed(b"\0asm\x01\0\0\0"), "component"),
        Case::new("text for a component", forge.signed(b"#!/bin/sh\nrm -rf /\n"), "component"),
        Case::new("damaged component", forge.signed(&forge.component_cut_short()), "component"),
        Case::new(
            "wrong world",
            std::fs::read(tests::package("sockets")).expect("the package is built"),
            "wasi:sockets",
        ),
        Case::new("100 MB of junk", vec![0x5a; 100_000_000], "not a package"),
    ];
    cases.extend(forge.truncations().map(|(at, bytes)| Case::new(format!("cut at {at}"), bytes, "truncated")));
    cases.extend(forge.changes().map(|(at, bytes)| Case::new(format!("byte {at} changed"), bytes, "")));

    let node = Node::start();
    let before = everything_below(&node.state());
    for case in &cases {
        let told = refuse(&node, &case.bytes, &["--trust"]);
        assert!(told.contains(case.word), "{}: the refusal does not say {:?}:\n{told}", case.name, case.word);
        assert_nothing_is_left(&node, &before, &case.name);
    }
}

#[test]
fn what_is_no_package_names_the_command_that_makes_one() {
    let node = Node::start();
    let folder = node.scratch().join("an app");
    std::fs::create_dir(&folder).expect("room for a folder");
    let next = format!("next: latch build '{}'", folder.display());
    let told = node.refused(["install".as_ref(), folder.as_os_str()]);
    assert!(told.contains(&next), "{told}");
    let output = node.run(["run".as_ref(), folder.as_os_str()]);
    assert_eq!(output.status.code(), Some(126));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&next));
}

#[test]
fn a_label_that_is_not_announced_is_refused_with_the_command_for_one_that_is() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("hello").as_os_str(), "--trust".as_ref()]);
    let grant = format!("docs=host:{}", node.scratch().display());
    let output = node.run(["run", "hello", "--grant", &grant, "--", "two words"]);
    assert_eq!(output.status.code(), Some(126));
    let told = String::from_utf8_lossy(&output.stderr);
    let named = grant.replace("docs=", "folder=");
    assert!(told.contains(&format!("next: latch run hello --grant {named} -- 'two words'")), "{told}");
    let told = node.refused(["grant", "hello", &grant]);
    assert!(told.contains(&format!("next: latch grant hello {named}")), "{told}");
}

#[test]
fn an_unknown_author_needs_trust_first() {
    let node = Node::start();
    let before = everything_below(&node.state());
    let hello = std::fs::read(tests::package("hello")).expect("the package is built");
    let told = refuse(&node, &hello, &[]);
    assert!(told.contains("trust"), "the refusal does not say what to do next:\n{told}");
    assert_nothing_is_left(&node, &before, "unknown author");
    node.expect(["install".as_ref(), tests::package("hello").as_os_str(), "--trust".as_ref()]);
}

#[test]
fn a_component_that_takes_forever_to_compile_is_given_up_on() {
    let forge = Forge::of(&tests::package("hello"));
    let node = Node::start();
    let before = everything_below(&node.state());
    let told = refuse(&node, &forge.signed(&forge.component_with_bomb()), &["--trust"]);
    assert!(told.contains("compil"), "the refusal does not speak of compiling:\n{told}");
    assert_nothing_is_left(&node, &before, "compile bomb");
    node.expect(["install".as_ref(), tests::package("hello").as_os_str(), "--trust".as_ref()]);
}

/// Tries to install; gives what was said.
fn refuse(node: &Node, bytes: &[u8], options: &[&str]) -> String {
    let file = node.scratch().join("bad.latch");
    std::fs::write(&file, bytes).expect("room for the package");
    let words = ["install".as_ref(), file.as_os_str()].into_iter().chain(options.iter().map(AsRef::as_ref));
    node.refused(words)
}

fn assert_nothing_is_left(node: &Node, before: &BTreeSet<PathBuf>, case: &str) {
    let listed = node.json(["install"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(0), "{case}: installed after all: {listed}");
    let status = node.json(["status"]);
    let processes = status["processes"].as_array().expect("processes are listed").iter();
    let images = processes.filter_map(|process| process["image"].as_str());
    // the shell is the one that asks
    let names: Vec<&str> = images.filter(|image| *image != "shell").collect();
    assert_eq!(names, ["powerbox", "keys", "storage"], "{case}: something was started, and still runs");
    let after = everything_below(&node.state());
    let left: Vec<&PathBuf> = after.difference(before).filter(|path| !is_record(path)).collect();
    assert!(left.is_empty(), "{case}: left behind: {left:?}");
}

/// The log, the index and what the node's services keep go on whatever happens.
fn is_record(path: &Path) -> bool {
    ["log", "index", "usage", "keys", "storage"]
        .iter()
        .any(|folder| path.components().any(|part| part.as_os_str() == *folder))
}

fn everything_below(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the state can be listed");
    let paths = entries.map(|entry| entry.expect("the state can be listed").path());
    paths.flat_map(|path| if path.is_dir() { everything_below(&path) } else { BTreeSet::from([path]) }).collect()
}
