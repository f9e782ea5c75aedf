//! A full disk. What takes something away always works or says that it did not; what gives is refused.

use crate::support::{
    await_end, complaints, explained, furnish, grant, nothing_lost, powerbox, process, search, watch,
};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use tests::machine::{alone, small_disk};
use tests::node::Node;

/// Where it is: each test sees its own there.
const DISK: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/disk");
/// More than the doctor wants to see free, beside what the node needs.
const DISK_BYTES: u64 = 96 << 20;

/// A node whose state is on a small disk, with `search` and its grant.
fn node() -> Node {
    std::fs::create_dir_all(DISK).expect("room for a folder");
    small_disk(Path::new(DISK), DISK_BYTES);
    let node = Node::prepare_in(&std::env::temp_dir()).with_state(Path::new(DISK).join("state"));
    node.up();
    furnish(&node);
    search(&node);
    node
}

/// Uses up every block of the disk. Removing what this returns makes room.
fn fill() -> PathBuf {
    let path = Path::new(DISK).join("fill");
    let mut file = File::options().create(true).append(true).open(&path).expect("room for an empty file");
    while file.write_all(&[0; 4096]).is_ok() {}
    path
}

/// Leaves the log no block but those that it has filled.
fn take_the_reserve(node: &Node) {
    let log = File::options().write(true).open(powerbox(node).join("log/records")).expect("there is a log");
    log.set_len(log.metadata().expect("its length").len()).expect("its length stays");
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn while_the_disk_is_full_nothing_is_lost_and_what_was_granted_can_be_revoked() {
    alone(|| {
        let node = node();
        let full = fill();
        explained(&node, "disk", "has 0", "free some space");
        let package = tests::package("hello");
        let told = node.refused(["install".as_ref(), package.as_os_str(), "--trust".as_ref()]);
        assert!(told.contains("No space left") && told.contains("Look at the disk"), "{told}");
        nothing_lost(&node);
        let cut = node.json(["revoke", "search:folder"]);
        assert!(cut["unconfirmed"].as_array().is_some_and(Vec::is_empty), "{cut}");
        node.expect(["down"]);
        // a full disk is no reason not to start, and the revocation was recorded
        node.up();
        assert_eq!(node.json(["grants"]).as_array().map(Vec::len), Some(0));
        remove(&full);
        node.expect(["grant", "search", &grant(&node)]);
        node.expect(["install".as_ref(), package.as_os_str(), "--trust".as_ref()]);
        nothing_lost(&node);
    });
}

#[test]
fn without_a_reserve_nothing_is_granted_until_there_is_room() {
    alone(|| {
        let node = node();
        node.expect(["down"]);
        take_the_reserve(&node);
        let full = fill();
        node.up();
        let told = node.refused(["grant", "search", &grant(&node)]);
        assert!(told.contains("full") && told.contains("Make room"), "{told}");
        let output = node.run(["run", "search", "--", "needle"]);
        assert_eq!(output.status.code(), Some(126));
        assert!(String::from_utf8_lossy(&output.stderr).contains("full"));
        explained(&node, "disk", "kept for revocations", "make room");
        remove(&full);
        // at once: whoever makes room need not wait or restart anything
        node.expect(["grant", "search", &grant(&node)]);
        nothing_lost(&node);
        assert!(!complaints(&node).iter().any(|it| it.0 == "disk"), "there is room again");
    });
}

#[test]
fn a_revocation_that_cannot_be_recorded_says_so_and_holds() {
    alone(|| {
        let node = node();
        // more than fit into what is left of the log's last block
        let names: Vec<String> = (0..24).map(|number| format!("s{number}")).collect();
        for name in &names {
            node.expect(["run", "search", "--name", name, "--grant", &grant(&node), "--", "needle"]);
        }
        node.expect(["down"]);
        take_the_reserve(&node);
        let full = fill();
        node.up();
        let powerbox = watch(process(&node, "powerbox")["pid"].as_u64().expect("it runs"));
        let reason = "r".repeat(400);
        let revoke = |name: &String| node.run(["revoke", &format!("{name}:folder"), "--reason", &reason]);
        let (mut done, mut told) = (Vec::new(), String::new());
        for name in &names {
            // an index that could not be opened is thrown away, which makes room
            fill();
            let output = revoke(name);
            if !output.status.success() {
                told = String::from_utf8_lossy(&output.stderr).into_owned();
                break;
            }
            done.push(name.clone());
        }
        let undone = names[done.len()].clone();
        assert!(told.contains("everything is cut, but that is not recorded"), "{told}");
        assert!(told.contains("No space left") && told.contains("mend the disk"), "{told}");
        await_end(&powerbox);
        remove(&full);
        let holders = || {
            let grants = node.json(["grants"]);
            let grants = grants.as_array().expect("a list").iter();
            grants.map(|grant| grant["holder"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
        };
        // with room again, the kernel's memory of the cut is recorded by the node itself
        let left = holders();
        assert!(!left.iter().any(|name| done.contains(name) || *name == undone), "{left:?} and {done:?}, {undone}");
        assert_eq!(left.len(), 1 + names.len() - done.len() - 1, "{left:?}: only what was revoked is gone");
        assert_eq!(node.json(["log", "--verify"])["ok"], true);
    });
}
