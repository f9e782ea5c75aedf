//! The store of a whole node, as people and apps have it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "storage/damage.rs"]
mod damage;
#[path = "storage/grants.rs"]
mod grants;
#[path = "storage/hands.rs"]
mod hands;
#[path = "storage/notes.rs"]
mod notes;
#[path = "storage/stops.rs"]
mod stops;

use tests::node::Node;

const PASSPHRASE: &str = "correct horse battery";

/// A node with keys that are open.
fn node() -> Node {
    let node = Node::start();
    node.create_keys(PASSPHRASE);
    node
}

/// Stops the node in order and starts it again, with its keys open.
fn restart(node: &Node) {
    node.expect(["down"]);
    up(node);
}

fn up(node: &Node) {
    let file = node.passphrase(PASSPHRASE);
    node.expect(["up".as_ref(), "--passphrase-file".as_ref(), file.as_os_str()]);
}
