//! Damage to what the store keeps: the index is only an index, and of the segments nothing bad is ever served.

use crate::{node, restart, up};
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::node::Node;

/// A node with two files in its store, stopped.
fn stopped(size: usize) -> Node {
    let node = node();
    for name in ["first", "second"] {
        node.store("storage:/", name, &content(name, size));
    }
    node.expect(["down"]);
    node
}

/// Bytes that differ from file to file.
fn content(name: &str, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn all_there(node: &Node, size: usize, when: &str) {
    for name in ["first", "second"] {
        assert!(node.stored("storage:/", name) == content(name, size), "{when}: {name}");
    }
    let checked = node.expect(["fsck"]);
    assert!(checked.starts_with("clean"), "{when}: {checked}");
}

fn index(node: &Node) -> PathBuf {
    node.state().join("storage/index")
}

/// Copies with owners.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn an_index_that_is_lost_or_stale_or_damaged_loses_nothing() {
    const SIZE: usize = 50_000;
    let node = stopped(SIZE);
    let stale = node.scratch().join("stale");
    copy(&index(&node), &stale);
    up(&node);
    node.store("storage:/", "later", b"later");
    restart(&node);
    for harm in ["deleted", "stale", "damaged"] {
        node.expect(["down"]);
        match harm {
            "deleted" => std::fs::remove_dir_all(index(&node)).unwrap(),
            "stale" => {
                std::fs::remove_dir_all(index(&node)).unwrap();
                copy(&stale, &index(&node));
            }
            _ => {
                let files = std::fs::read_dir(index(&node)).unwrap().flatten();
                for file in files.filter(|file| file.path().is_file()) {
                    let mut bytes = std::fs::read(file.path()).unwrap();
                    let length = bytes.len();
                    bytes[length / 4..length / 2].fill(0xa5);
                    std::fs::write(file.path(), bytes).unwrap();
                }
            }
        }
        up(&node);
        all_there(&node, SIZE, harm);
        assert_eq!(node.stored("storage:/", "later"), b"later", "{harm}");
    }
    let recorded = node.expect(["log"]);
    assert!(recorded.contains("its index was built anew"), "people are told: {recorded}");
}

#[test]
fn a_file_that_was_damaged_is_named_and_never_served_and_all_else_is() {
    const SIZE: usize = 200_000;
    let node = stopped(SIZE);
    let segments = node.state().join("storage/segments");
    let segment = std::fs::read_dir(segments).unwrap().flatten().map(|entry| entry.path()).max().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    // What was written last is the second file: its content ends not far from the end.
    let at = bytes.len() - 60_000;
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    up(&node);
    assert!(node.stored("storage:/", "first") == content("first", SIZE));
    let told = node.refused(["cat", "storage:/", "second"]);
    assert!(told.contains("second") && told.contains("segment"), "the file and the place are named: {told}");
    for shown in [node.json(["status"])["warnings"].to_string(), node.expect(["log"])] {
        assert!(shown.contains("the store") && shown.contains("damaged"), "people are told: {shown}");
    }
    let checked = node.run(["fsck"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("second"), "{said}");
    // A repair makes it readable, and the log keeps what was lost, which nothing else will tell again.
    let before = node.expect(["log"]);
    assert!(!before.contains("found by a repair"), "{before}");
    node.expect(["fsck", "--repair"]);
    let log = node.expect(["log"]);
    let kept = log.lines().find(|line| line.contains("found by a repair") && line.contains("/second"));
    assert!(kept.is_some_and(|line| line.contains("zeros")), "{log}");
    assert!(node.expect(["fsck"]).starts_with("clean"));
    assert_eq!(node.stored("storage:/", "second").len(), SIZE);
    // It can be written anew.
    node.expect(["rm", "storage:/", "second"]);
    node.store("storage:/", "second", &content("second", SIZE));
    assert!(node.stored("storage:/", "second") == content("second", SIZE));
}
