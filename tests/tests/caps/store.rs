//! `latch store` and `latch fsck`.

use std::fs;

use super::person::{node, put};

#[test]
fn a_sound_store_is_clean_and_shows_what_it_has() {
    let node = node();
    put(&node, "storage:/notes", "a.txt", &[7; 100_000]);
    let checked = node.json(["fsck"]);
    assert_eq!((&checked["clean"], &checked["files"], &checked["lost"]), (&true.into(), &1.into(), &0.into()));
    assert!(node.expect(["fsck"]).starts_with("clean: read "));
    let status = node.json(["store"]);
    assert_eq!((&status["unlocked"], &status["files"], &status["trouble"]), (&true.into(), &1.into(), &"".into()));
    assert!(status["live_bytes"].as_u64().unwrap() >= 100_000);
    node.expect(["store", "compact"]);
    node.expect(["keys", "lock"]);
    // What is there can be read still, and nothing is signed.
    node.expect(["fsck"]);
    let key = "09".repeat(32);
    let told =
        node.refused(["cap", "write-issue", "storage:/notes", "--to", &key, "--rights", "read", "--expires", "1d"]);
    assert!(told.contains("the node's keys are locked") && told.contains("next: latch keys"), "{told}");
}

#[test]
fn without_keys_it_is_said_what_to_do() {
    let node = tests::node::Node::start();
    for words in [&["fsck"][..], &["store", "compact"], &["cap", "readers", "storage:/notes"]] {
        let told = node.refused(words);
        assert!(told.contains("the node has no keys yet") && told.contains("next: latch keys"), "{told}");
    }
    let status = node.json(["store"]);
    assert_eq!((&status["unlocked"], &status["root"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn what_was_changed_on_the_disk_is_named_and_the_exit_code_says_so() {
    let node = node();
    put(&node, "storage:/notes", "broken.txt", &[7; 100_000]);
    put(&node, "storage:/notes", "whole.txt", &[8; 100_000]);
    let segment = fs::read_dir(node.state().join("storage/segments")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    // Within the first file's content, which comes first.
    bytes[60_000] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let output = node.run(["fsck", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let checked: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(checked["clean"], false);
    let findings = checked["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["where"] == "/notes/broken.txt" && finding["severity"] == "lost"));
    assert!(!findings.iter().any(|finding| finding["where"] == "/notes/whole.txt"), "{findings:?}");
    let told = node.refused(["fsck"]);
    assert!(told.contains("the store is not clean") && told.contains("next: latch fsck --repair"), "{told}");
    node.expect(["cat", "storage:/notes", "whole.txt"]);
}
