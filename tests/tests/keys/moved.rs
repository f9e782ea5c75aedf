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
