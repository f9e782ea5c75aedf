//! Starting twice, being killed, coming back.

use crate::support::{await_end, does_not_start, furnish, grant, holder, kill, nothing_lost, process, search, watch};
use std::process::{Command, Stdio};
use tests::node::Node;

#[test]
fn up_twice_changes_nothing() {
    let node = Node::start();
    let before = holder(&node, "lock");
    assert!(node.expect(["up"]).contains("up already"));
    assert_eq!(holder(&node, "lock"), before);
}

#[test]
fn two_kernels_on_one_state_are_refused() {
    let node = Node::start();
    let mut kernel = Command::new(tests::binaries().join("latch-kernel"));
    let second = kernel.arg("--state").arg(node.state()).stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(second.status.code(), Some(3));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains("another kernel runs") && told.contains("latch down"), "{told}");
    node.json(["status"]);
}

#[test]
fn a_killed_kernel_is_started_again_with_its_detached_app() {
    let node = Node::start();
    furnish(&node);
    search(&node);
    // it asks for a folder that it has not got, and waits
    node.expect(["run", "--detach", "--name", "waiting", "search", "--", "needle"]);
    node.json(["requests", "--wait"]);
    let (kernel, parent) = (holder(&node, "lock"), holder(&node, "supervisor"));
    let app = process(&node, "sandbox")["pid"].as_u64().expect("it runs");
    kill(kernel);
    // while its parent is about to start it again, `up` waits for that
    node.up();
    assert_eq!(holder(&node, "supervisor"), parent);
    assert_ne!(holder(&node, "lock"), kernel);
    nothing_lost(&node);
    let request = node.json(["requests", "--wait"]);
    assert_eq!(request[0]["instance"], "waiting", "{request}");
    assert_ne!(process(&node, "sandbox")["pid"].as_u64(), Some(app));
}

#[test]
fn what_a_killed_node_leaves_behind_is_no_hindrance() {
    let node = Node::start();
    furnish(&node);
    search(&node);
    let kernel = holder(&node, "lock");
    let powerbox = watch(process(&node, "powerbox")["pid"].as_u64().expect("it runs"));
    // first who would start it again
    kill(holder(&node, "supervisor"));
    kill(kernel);
    await_end(&powerbox);
    assert!(node.state().join("operator").exists() && node.state().join("lock").exists(), "nothing was left behind");
    let told = node.refused(["status"]);
    assert!(told.contains("not running") && told.contains("latch up"), "{told}");
    node.up();
    nothing_lost(&node);
    node.expect(["grant", "search", &grant(&node)]);
}

#[test]
fn a_missing_powerbox_is_named() {
    let node = Node::prepare_in(&std::env::temp_dir());
    let libexec = node.scratch().join("libexec");
    std::fs::create_dir(&libexec).expect("room for a folder");
    let told = node.refused(["up".as_ref(), "--libexec".as_ref(), libexec.as_os_str()]);
    assert!(told.contains("no latch-kernel") && told.contains("--libexec DIR"), "{told}");
    std::os::unix::fs::symlink(tests::binaries().join("latch-kernel"), libexec.join("latch-kernel")).expect("a link");
    let told = node.refused(["up".as_ref(), "--libexec".as_ref(), libexec.as_os_str()]);
    assert!(told.contains("no latch-powerbox"), "{told}");
    std::fs::remove_dir_all(node.state()).expect("it was made");
    std::fs::write(node.state(), b"a file").expect("room for a file");
    does_not_start(&node, &["state"]);
    std::fs::remove_file(node.state()).expect("it is there");
}
