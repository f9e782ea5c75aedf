//! Machines that cannot confine as they should: without Landlock, without root, without user namespaces.

use crate::support::{does_not_start, explained, furnish, grant, process, search};
use std::os::unix::fs::chown;
use std::path::Path;
use tests::machine::{alone, without_landlock, without_user_namespaces};
use tests::node::Node;

const NOBODY: u32 = 65_534;

/// A node of somebody who is not root, in a folder of theirs, with binaries that they can reach.
fn of_nobody() -> Node {
    let node = Node::prepare_in(&std::env::temp_dir()).with_user(NOBODY);
    chown(node.scratch(), Some(NOBODY), Some(NOBODY)).expect("root gives away");
    node
}

/// Gives all of a node's own files to its user.
fn hand_over(node: &Node) {
    let project = node.scratch().join("project");
    std::fs::create_dir_all(&project).expect("room for a folder");
    chown(&project, Some(NOBODY), Some(NOBODY)).expect("root gives away");
}

fn missing(node: &Node, image: &str) -> String {
    process(node, image)["missing"].to_string()
}

#[test]
fn without_landlock_the_empty_root_carries_and_the_doctor_says_so() {
    alone(|| {
        without_landlock();
        let node = Node::prepare_in(&std::env::temp_dir());
        explained(&node, "landlock", "does not offer it", "--reduced");
        let warned = node.run(["up"]);
        let told = String::from_utf8_lossy(&warned.stderr);
        assert!(told.contains("warning: powerbox runs without landlock"), "{told}");
        furnish(&node);
        // a folder of somebody's, so that its service need not be root
        hand_over(&node);
        search(&node);
        assert!(missing(&node, "powerbox").contains("landlock"));
        assert!(missing(&node, "folder").contains("landlock"));
        let warnings = node.json(["status"])["warnings"].to_string();
        assert!(warnings.contains("runs without landlock"), "{warnings}");
        explained(&node, "powerbox", "without landlock", "see machine");
    });
}

#[test]
fn without_landlock_a_folder_of_roots_is_refused() {
    alone(|| {
        without_landlock();
        for up in [&["up"][..], &["up", "--reduced"]] {
            let node = Node::prepare_in(&std::env::temp_dir());
            node.expect(up);
            furnish(&node);
            let output = node.run(["run", "search", "--grant", &grant(&node), "--", "needle"]);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_ne!(output.status.code(), Some(0), "{told}");
            assert!(output.stdout.is_empty(), "something was found");
            assert!(told.contains("landlock"), "{told}");
        }
    });
}

#[test]
fn the_main_job_works_without_root() {
    alone(|| {
        let node = of_nobody();
        node.up();
        furnish(&node);
        search(&node);
        let powerbox = process(&node, "powerbox");
        assert_eq!(powerbox["uid"], NOBODY);
        assert_eq!(powerbox["missing"].as_array().map(Vec::len), Some(0), "{powerbox}");
        explained(&node, "machine", "of their own for processes", "as root");
        let cut = node.json(["revoke", "search:folder"]);
        assert!(cut["unconfirmed"].as_array().is_some_and(Vec::is_empty), "{cut}");
        assert_eq!(node.json(["log", "--verify"])["ok"], true);
    });
}

#[test]
fn by_what_memory_is_limited_is_told_and_is_no_complaint() {
    alone(|| {
        let node = Node::prepare_in(&std::env::temp_dir());
        node.up();
        let output = node.run(["doctor", "--json"]);
        let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("findings");
        let memory = findings.as_array().and_then(|all| all.iter().find(|finding| finding["subject"] == "memory"));
        let memory = memory.expect("a finding of it");
        let text = memory["text"].as_str().expect("a text");
        assert!(
            text == "limited by cgroup v2 and RLIMIT_DATA" || text.starts_with("limited by RLIMIT_DATA only, because ")
        );
        assert_eq!(memory["ok"], true);
    });
}

#[test]
fn without_user_namespaces_landlock_carries_and_without_both_only_reduced_starts() {
    alone(|| {
        let node = of_nobody();
        // of the build and not of the node: what is below it is everything, and must never be cleaned up
        without_user_namespaces(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("root"));
        node.up();
        furnish(&node);
        search(&node);
        assert!(missing(&node, "powerbox").contains("empty root"));
        explained(&node, "machine", "users of their own for processes", "user namespaces");
        node.expect(["down"]);
        without_landlock();
        does_not_start(&node, &["this machine offers no empty root and no landlock", "latch up --reduced"]);
        explained(&node, "node", "this machine offers no", "latch up");
        let warned = node.run(["up", "--reduced"]);
        assert!(warned.status.success());
        let told = String::from_utf8_lossy(&warned.stderr);
        assert!(told.contains("warning: powerbox runs without empty root, landlock"), "{told}");
        search(&node);
        explained(&node, "confinement", "--reduced", "without --reduced");
        let warnings = node.json(["status"])["warnings"].to_string();
        assert!(warnings.contains("runs without"), "{warnings}");
    });
}
