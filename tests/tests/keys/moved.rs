//! Keys elsewhere: by a backup, and with the whole state.

use std::path::Path;
use std::process::Command;
use tests::node::Node;

const PASSPHRASE: &str = "correct horse battery";

/// A copy of a state, with its owners, as an archive or a disk brings it to another machine.
pub(crate) fn copied(node: &Node, to: &Path) -> Node {
    let copy = to.join("copied state");
    let done = Command::new("cp").arg("-a").arg(node.state()).arg(&copy).status().unwrap();
    assert!(done.success());
    Node::prepare_in(to).with_state(copy)
}

#[test]
fn a_backup_brings_the_keys_into_another_node_under_another_passphrase() {
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    let (backup, of_backup) = (node.scratch().join("keys.backup"), node.passphrase("of the backup"));
    let saving = ["keys".as_ref(), "backup".as_ref(), backup.as_os_str(), "--backup-passphrase-file".as_ref()];
    node.expect(saving.into_iter().chain([of_backup.as_os_str()]));
    let told = node.refused(saving.into_iter().chain([of_backup.as_os_str()]));
    assert!(told.contains("exists"), "a backup that is there stays: {told}");

    let other = Node::start();
    let restore = |of_backup: &Path, new: &str| {
        let new = other.passphrase(new);
        let words = ["keys".as_ref(), "restore".as_ref(), backup.as_os_str(), "--backup-passphrase-file".as_ref()];
        let words = words.into_iter().chain([of_backup.as_os_str(), "--passphrase-file".as_ref(), new.as_os_str()]);
        other.run(words.map(std::ffi::OsStr::to_owned).collect::<Vec<_>>())
    };
    let wrong = restore(&node.passphrase("of something else"), "new here");
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(other.json(["keys"])["protection"], "none");
    let right = restore(&of_backup, "new here");
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    assert_eq!(other.json(["keys"])["keys"], node.json(["keys"])["keys"]);
    other.expect(["keys", "lock"]);
    other.refused(other.keys_words("unlock", PASSPHRASE));
    other.unlock_keys("new here");
    let again = restore(&of_backup, "new here");
    assert_eq!(again.status.code(), Some(1), "keys that are there are not replaced");
}

#[test]
fn of_keys_that_an_older_backup_lacks_it_is_said_what_is_to_be_done() {
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    let of_backup = node.passphrase("of the backup");
    let words = |act: &str, backup: &Path| {
        let words = ["keys".as_ref(), act.as_ref(), backup.as_os_str(), "--backup-passphrase-file".as_ref()];
        words.into_iter().chain([of_backup.as_os_str()]).map(std::ffi::OsStr::to_owned).collect::<Vec<_>>()
    };
    let restore = |backup: &Path| {
        node.expect(["down"]);
        std::fs::remove_file(node.state().join("keys/keyring")).unwrap();
        node.up();
        let protection = ["--passphrase-file".into(), node.passphrase(PASSPHRASE).into_os_string()];
        node.expect([words("restore", backup), protection.to_vec()].concat());
    };
    let (older, newer) = (node.scratch().join("older"), node.scratch().join("newer"));
    node.expect(words("backup", &older));
    for purpose in ["log", "commits"] {
        node.expect(["keys", "rotate", purpose]);
    }
    node.store("storage:/", "file", b"content");
    // Has the log signed.
    node.expect(["log", "--verify"]);
    node.expect(words("backup", &newer));

    restore(&older);
    let next =
        format!("move {} away, latch up, latch keys restore BACKUP", node.state().join("keys/keyring").display());
    for words in [&["log", "--verify"][..], &["fsck"], &["fsck", "--repair"]] {
        let told = node.refused(words);
        assert!(told.contains(&next), "{words:?}: {told}");
        for other in ["the version that wrote it", "look at the disk", "next: latch fsck --repair"] {
            assert!(!told.contains(other), "{words:?}: {told}");
        }
    }
    let doctor = node.run(["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        found.contains("a key that this node does not have") && found.contains("latch keys restore BACKUP"),
        "{found}"
    );
    assert_eq!(doctor.status.code(), Some(1));

    restore(&newer);
    // What was signed meanwhile was so with keys that the newer backup has as well.
    node.expect(["log", "--verify"]);
    assert!(node.expect(["fsck"]).starts_with("clean"));
    let found = node.expect(["doctor"]);
    assert!(found.contains("is whole"), "{found}");
}

#[test]
fn a_state_that_was_copied_elsewhere_is_opened_by_its_passphrase() {
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    node.store("storage:/", "file", b"content");
    node.expect(["down"]);
    let elsewhere = copied(&node, node.scratch());
    elsewhere.up();
    elsewhere.refused(["cat", "storage:/", "file"]);
    elsewhere.unlock_keys(PASSPHRASE);
    assert_eq!(elsewhere.stored("storage:/", "file"), b"content");
    assert_eq!(elsewhere.json(["log", "--verify"])["ok"], true);
}
