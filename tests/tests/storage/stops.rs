//! The end of a node: what apps wrote without `sync` is committed, and the next start finds the store closed in order.

use crate::{node, restart};

/// Who was to end first, the keys or the store, was left to chance once: it takes some rounds to see that it is not.
const ROUNDS: usize = 8;

#[test]
fn the_store_commits_what_was_not_synced_before_its_keys_end() {
    let node = node();
    node.expect(["install".as_ref(), tests::package("append").as_os_str(), "--trust".as_ref()]);
    node.store("storage:/diary", "page", b"");
    for round in 1..=ROUNDS {
        // It adds one line, and does not sync.
        let name = format!("round{round}");
        node.expect(["run", "append", "--name", &name, "--grant", "folder=storage:/diary", "--", "page", "only"]);
        node.expect(["down"]);
        let closed = node.state().join("storage/index.marker").exists();
        assert!(closed, "round {round}: the store was not closed in order");
        crate::up(&node);
        assert_eq!(node.stored("storage:/diary", "page").len(), round * 16, "round {round}");
    }
    restart(&node);
    let log = node.expect(["log"]);
    assert!(!log.contains("cut off") && !log.contains("built anew"), "nothing was to be mended: {log}");
    assert!(node.expect(["fsck"]).starts_with("clean"));
}
