//! Keys through the lives of the node and of their own process.

use tests::node::Node;
use tests::processes::kill;
use tests::until;

const PASSPHRASE: &str = "correct horse battery";

fn is_unlocked(node: &Node) -> bool {
    node.json(["keys"])["unlocked"] == true
}

#[test]
fn a_node_that_was_restarted_has_locked_keys_and_is_unlocked_at_the_start_by_a_file() {
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    node.store("storage:/", "file", b"content");
    node.expect(["down"]);
    node.up();
    assert!(!is_unlocked(&node));
    let told = node.refused(["cat", "storage:/", "file"]);
    assert!(told.contains("locked") && told.contains("next: latch keys"), "{told}");
    node.unlock_keys(PASSPHRASE);
    assert_eq!(node.stored("storage:/", "file"), b"content");
    node.expect(["down"]);
    let file = node.passphrase(PASSPHRASE);
    node.expect(["up".as_ref(), "--passphrase-file".as_ref(), file.as_os_str()]);
    assert!(is_unlocked(&node));
    assert_eq!(node.stored("storage:/", "file"), b"content");
    // A wrong one leaves the node up, and says so.
    node.expect(["down"]);
    let file = node.passphrase("something else");
    let told = node.refused(["up".as_ref(), "--passphrase-file".as_ref(), file.as_os_str()]);
    assert!(told.contains("another passphrase"), "{told}");
    assert!(!is_unlocked(&node), "it is up");
}

#[test]
fn keys_that_were_killed_are_locked_and_once_open_the_store_goes_on_without_a_restart() {
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    node.store("storage:/", "file", b"content");
    let (keys, storage) = (node.processes("keys")[0], node.processes("storage")[0]);
    assert!(kill(keys));
    until("the keys are not started again", || node.processes("keys").iter().any(|process| *process != keys));
    until("the keys do not answer", || node.run(["keys"]).status.success());
    assert!(!is_unlocked(&node));
    let file = node.scratch().join("file");
    let told = node.refused(["put".as_ref(), file.as_os_str(), "storage:/".as_ref(), "other".as_ref()]);
    assert!(told.contains("locked") && told.contains("next: latch keys"), "{told}");
    node.unlock_keys(PASSPHRASE);
    node.store("storage:/", "other", b"more");
    assert_eq!(
        (node.stored("storage:/", "file"), node.stored("storage:/", "other")),
        (b"content".into(), b"more".into())
    );
    assert_eq!(node.processes("storage"), [storage], "the store was not restarted");
    assert_eq!(node.json(["log", "--verify"])["ok"], true);
}
