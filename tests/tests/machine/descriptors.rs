//! A machine that gives a process 1,024 descriptors and not one more.

use crate::support::{furnish, holder, search, search_again};
use std::process::Child;
use tests::node::Node;

const LIMIT: u32 = 1_024;

fn open(pid: u64) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

#[test]
fn the_node_works_with_few_descriptors_and_keeps_none() {
    let node = Node::prepare_in(&std::env::temp_dir()).with_descriptors(LIMIT);
    node.up();
    furnish(&node);
    search(&node);
    let kernel = holder(&node, "lock");
    let limits = std::fs::read_to_string(format!("/proc/{kernel}/limits")).expect("it runs");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is listed");
    assert_eq!(line.split_whitespace().filter(|word| *word == LIMIT.to_string()).count(), 2, "{line}");
    let before = open(kernel);
    for _ in 0..8 {
        search_again(&node);
    }
    // What the last of them left is cleared up after it has ended.
    tests::until("the kernel keeps more descriptors than it had", || open(kernel) <= before + 2);
}

#[test]
fn beyond_its_descriptors_the_node_refuses_and_recovers() {
    /// So few that waiting commands use them up: the kernel keeps some for itself.
    const FEW: u32 = 160;
    let node = Node::prepare_in(&std::env::temp_dir()).with_descriptors(FEW);
    node.up();
    furnish(&node);
    search(&node);
    let kernel = holder(&node, "lock");
    let before = open(kernel);
    // each waits for a request that nobody makes, until one is turned away
    let mut waiting: Vec<Child> = Vec::new();
    let refused = loop {
        let output = node.run(["status"]);
        if !output.status.success() {
            break String::from_utf8_lossy(&output.stderr).into_owned();
        }
        assert!(waiting.len() < 128, "nothing is refused");
        waiting.extend((0..8).map(|_| node.spawn(["requests", "--wait"])));
    };
    assert!(refused.contains("no room for one more command") || refused.contains("closed the door"), "{refused}");
    assert!(refused.contains("latch doctor"), "{refused}");
    for mut child in waiting {
        child.kill().expect("it waits");
        child.wait().expect("it ends");
    }
    search_again(&node);
    node.json(["status"]);
    // What the last of them left is cleared up after it has ended.
    tests::until("the kernel keeps more descriptors than it had", || open(kernel) <= before + 2);
}
