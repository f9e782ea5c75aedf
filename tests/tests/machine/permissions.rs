//! Wrong owners and modes.

use crate::support::{does_not_start, explained, furnish, nothing_lost, powerbox, search, search_again};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use tests::machine::{alone, undo, write_protect};
use tests::node::Node;

const NOBODY: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode can be set");
}

fn stopped() -> Node {
    let node = Node::start();
    furnish(&node);
    search(&node);
    node.expect(["down"]);
    node
}

#[test]
fn a_state_that_others_can_enter_is_refused() {
    let node = stopped();
    set_mode(&node.state(), 0o755);
    does_not_start(&node, &["open to others", "chmod 700"]);
    explained(&node, "state", "open to others", "chmod 700");
    set_mode(&node.state(), 0o700);
    node.up();
    nothing_lost(&node);
}

#[test]
fn keys_that_belong_to_somebody_else_are_not_used_and_the_node_says_so() {
    alone(|| {
        let node = stopped();
        let keys = node.state().join("keys");
        let (user, group) = (2_000_000_001, 2_000_000_001);
        chown(&keys, Some(1_000), Some(1_000)).expect("root gives away");
        node.up();
        search_again(&node);
        let warnings = node.json(["status"])["warnings"].to_string();
        for words in ["keys does not run", "belongs to user 1000", "chown -R"] {
            assert!(warnings.contains(words), "no {words}: {warnings}");
        }
        node.expect(["down"]);
        chown(&keys, Some(user), Some(group)).expect("root gives away");
        node.up();
        assert_eq!(node.json(["keys"])["protection"], "none");
    });
}

#[test]
fn a_log_that_cannot_be_written_is_refused() {
    let node = stopped();
    let log = powerbox(&node).join("log/records");
    set_mode(&log, 0o400);
    does_not_start(&node, &["Permission denied", "permissions"]);
    set_mode(&log, 0o600);
    node.up();
    nothing_lost(&node);
}

#[test]
fn a_state_that_belongs_to_somebody_else_is_refused() {
    alone(|| {
        let node = stopped();
        let own = powerbox(&node);
        let (user, group) = (2_000_000_000, 2_000_000_000);
        chown(&own, Some(1_000), Some(1_000)).expect("root gives away");
        does_not_start(&node, &["belongs to user 1000", "chown -R"]);
        explained(&node, "node", "belongs to user 1000", "latch up");
        chown(&own, Some(user), Some(group)).expect("root gives away");
        node.up();
        nothing_lost(&node);
        node.expect(["down"]);
        // nobody but its owner and root
        set_mode(node.scratch(), 0o755);
        let other = Node::prepare_in(node.scratch()).with_state(node.state()).with_user(NOBODY);
        does_not_start(&other, &["Permission denied", "--state DIR"]);
        explained(&other, "state", "belongs to uid 0", "--state DIR");
        node.up();
        let told = other.refused(["grants"]);
        assert!(told.contains("only its owner and root"), "{told}");
        // which is not its to stop
        drop(other.with_state(node.scratch().join("none")));
    });
}

#[test]
fn a_read_only_state_is_refused() {
    alone(|| {
        let node = stopped();
        write_protect(&node.state());
        does_not_start(&node, &["Read-only file system"]);
        explained(&node, "state", "read-only", "--state DIR");
        undo(&node.state());
        node.up();
        nothing_lost(&node);
    });
}
