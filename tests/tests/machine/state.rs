//! Damage to what the node keeps. The index is rebuilt and that is said; the log is never changed or believed.

use crate::support::{
    contents, does_not_start, explained, furnish, kill, nothing_lost, powerbox, process, search, search_again,
};
use serde_json::Value;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tests::node::Node;

/// A node with something to lose, stopped.
fn stopped() -> Node {
    let node = Node::start();
    furnish(&node);
    search(&node);
    node.expect(["down"]);
    node
}

fn warnings(node: &Node) -> String {
    node.json(["status"])["warnings"].to_string()
}

/// The files of the index.
fn index(node: &Node) -> Vec<PathBuf> {
    let files: Vec<_> = contents(&powerbox(node).join("index")).into_iter().map(|(path, _)| path).collect();
    assert!(files.iter().any(|file| file.ends_with("db")), "no index: {files:?}");
    files
}

/// Bytes that are nothing, and always the same.
fn junk(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn damage(file: &Path, how: &str) {
    let length = std::fs::metadata(file).expect("it is there").len();
    let opened = std::fs::File::options().write(true).open(file).expect("it can be written");
    match how {
        "truncated" => opened.set_len(length / 2).expect("it can be cut"),
        "empty" => opened.set_len(0).expect("it can be cut"),
        "junk" => opened.write_all_at(&junk(usize::try_from(length).expect("short")), 0).expect("it can be written"),
        _ => opened.write_all_at(&[0xff; 16], length / 2).expect("it can be written"),
    }
}

#[test]
fn a_deleted_index_is_rebuilt_and_that_is_said() {
    let node = stopped();
    std::fs::remove_dir_all(powerbox(&node).join("index")).expect("it is there");
    node.up();
    assert!(warnings(&node).contains("index was rebuilt"), "{}", warnings(&node));
    explained(&node, "warning", "index was rebuilt", "latch log");
    assert!(node.expect(["log"]).contains("index was rebuilt"), "the log tells for good");
    nothing_lost(&node);
}

#[test]
fn an_index_damaged_in_any_file_loses_nothing() {
    let node = stopped();
    let mut rebuilt = 0;
    let files = index(&node);
    for file in &files {
        for how in ["truncated", "empty", "junk", "changed"] {
            if !file.exists() {
                continue;
            }
            damage(file, how);
            node.up();
            rebuilt += u32::from(warnings(&node).contains("index was rebuilt"));
            nothing_lost(&node);
            node.expect(["down"]);
        }
    }
    assert!(rebuilt >= 4, "damage is seen: {rebuilt} of {} were said", files.len() * 4);
}

#[test]
fn an_index_damaged_while_the_powerbox_is_restarted_loses_nothing() {
    let node = stopped();
    node.up();
    for how in ["junk", "deleted"] {
        let before = process(&node, "powerbox");
        // the powerbox's own life has these open: what it still writes is junk as well
        for file in index(&node) {
            if how == "deleted" { std::fs::remove_file(&file).expect("it is there") } else { damage(&file, how) }
        }
        kill(before["pid"].as_u64().expect("it runs"));
        nothing_lost(&node);
        let after = process(&node, "powerbox");
        assert_ne!(before["pid"], after["pid"]);
        assert!(warnings(&node).contains("index was rebuilt"), "{how}: {}", warnings(&node));
    }
}

#[test]
fn a_log_that_was_changed_in_the_middle_is_refused_with_its_place() {
    let node = stopped();
    let log = powerbox(&node).join("log/records");
    let whole = std::fs::read(&log).expect("there is a log");
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0x10;
    std::fs::write(&log, &changed).expect("it can be written");
    does_not_start(&node, &["log is damaged at record", "(byte ", "Restore the state folder"]);
    explained(&node, "node", "log is damaged at record", "latch up");
    assert!(std::fs::read(&log).expect("it is still there") == changed, "nothing is dropped silently");
    // a tail that was once there is missed as well
    std::fs::write(&log, &whole[..middle]).expect("it can be written");
    does_not_start(&node, &["log is damaged at record", "Restore the state folder"]);
    std::fs::write(&log, &whole).expect("it can be written");
    node.up();
    nothing_lost(&node);
}

#[test]
fn a_newer_versions_log_is_refused_and_left_alone() {
    const FORMAT_OFFSET: u64 = 8;
    let node = stopped();
    let log = powerbox(&node).join("log/records");
    let opened = std::fs::File::options().read(true).write(true).open(&log).expect("there is a log");
    let mut format = [0; 4];
    opened.read_exact_at(&mut format, FORMAT_OFFSET).expect("it has a header");
    let newer = (u32::from_le_bytes(format) + 1).to_le_bytes();
    opened.write_all_at(&newer, FORMAT_OFFSET).expect("it can be written");
    // the index could be rebuilt, but not by a version that does not know what it means
    let before = contents(&powerbox(&node).join("log"));
    does_not_start(&node, &["newer version", "Use that version"]);
    explained(&node, "node", "newer version", "latch up");
    assert!(contents(&powerbox(&node).join("log")) == before, "nothing was changed");
    opened.write_all_at(&format, FORMAT_OFFSET).expect("it can be written");
    node.up();
    nothing_lost(&node);
}

#[test]
fn a_log_that_is_signed_by_other_keys_than_the_nodes_does_not_verify() {
    let node = Node::start();
    furnish(&node);
    search(&node);
    node.create_keys("open sesame");
    node.expect(["down"]);
    node.up();
    assert!(node.json(["log", "--verify"])["checkpoints"].as_u64() > Some(0), "it is signed when the node stops");
    node.expect(["down"]);
    let (keys, kept) = (node.state().join("keys"), node.scratch().join("keys"));
    std::fs::rename(&keys, &kept).expect("it is there");
    // The log is the truth whoever signed it: without its keys the node starts, and says what is missing.
    node.up();
    search_again(&node);
    let is_refused = |when: &str| {
        let told = node.run(["log", "--verify"]);
        let said = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(1), "{when}: {said}");
        assert!(said.contains("a key that this node does not have"), "{when}: {said}");
    };
    is_refused("no keys");
    node.expect(["down"]);
    std::fs::remove_dir_all(&keys).expect("it is there");
    std::fs::rename(&kept, &keys).expect("room for it");
    node.up();
    assert_eq!(node.json(["log", "--verify"])["ok"], Value::Bool(true));
    node.expect(["down"]);
    std::fs::remove_dir_all(&keys).expect("it is there");
    node.up();
    node.create_keys("open sesame");
    is_refused("other keys");
}
