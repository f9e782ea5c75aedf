//! Apps that ask the powerbox without end: they are read at a rate, and a person is told of them.

use std::process::{Child, Stdio};
use tests::node::Node;

fn flood(node: &Node, instance: &str, how: &str) -> Child {
    let mut command = node.latch(["run", "hostile", "--name", instance, "--", "ask", how]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("latch runs")
}

#[test]
fn who_floods_its_session_is_made_to_wait_and_named() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("hostile").as_os_str(), "--trust".as_ref()]);
    for how in ["without-end", "and-takes-back"] {
        let mut child = flood(&node, how, how);
        let told = format!("{how} sends more on its session than is read at once: it is made to wait");
        // An app that floods sends its first mebibyte as fast as it goes, and is known by then.
        tests::until(&format!("an operator is not told of {how}"), || node.expect(["status"]).contains(&told));
        // It was slowed down and not cut: it hears that it is to stop.
        node.expect(["stop", how]);
        child.wait().expect("latch ends");
    }
}
