//! Cgroups: divided up where they are the node's alone, left as they are otherwise, and gone with it.

use super::*;
use support::cgroups::Delegated;

const MEMORY_BYTES: u64 = 64 << 20;

/// A node in there.
fn node_in(delegated: &Delegated) -> (Node, Powerbox) {
    let (mut node, mut powerbox) = Node::start_with(|command| delegated.enter(command));
    powerbox.fake.confine();
    node.await_ready();
    powerbox.inventory();
    (node, powerbox)
}

fn stop(mut node: Node, powerbox: &mut Powerbox) {
    let kernel = rustix::process::Pid::from_child(&node.kernel);
    rustix::process::kill_process(kernel, rustix::process::Signal::TERM).unwrap();
    powerbox.fake.exit(0);
    assert_eq!(node.exit_code(), Some(0));
}

fn cgroup_of(pid: u32) -> String {
    let list = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    list.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

#[test]
fn each_process_has_a_cgroup_of_its_own() {
    let Some(delegated) = Delegated::find() else { return };
    let (node, mut powerbox) = node_in(&delegated);
    assert!(node.log().contains("memory is limited by cgroup v2"), "{}", node.log());
    let mut bound = started(&node, &mut powerbox, &Start { memory_bytes: MEMORY_BYTES, ..sandbox(&node, 10) });
    assert_eq!(delegated.names(), ["latch-0", "latch-10", "latch-kernel"]);
    let pids: Vec<u32> = powerbox.inventory().processes.iter().map(|row| row.2).collect();
    for (pid, name) in pids.into_iter().chain([node.kernel.id()]).zip(["latch-0", "latch-10", "latch-kernel"]) {
        assert!(cgroup_of(pid).ends_with(&format!("/{name}")), "{name}: {}", cgroup_of(pid));
    }

    let read = |file: &str| std::fs::read_to_string(delegated.path().join(file)).unwrap().trim().to_owned();
    let maximum: u64 = read("latch-10/memory.max").parse().unwrap();
    assert!((MEMORY_BYTES + 1..10 * MEMORY_BYTES).contains(&maximum), "{maximum}");
    assert_eq!(read("latch-10/pids.max"), "256");
    assert_eq!(read("latch-0/memory.max"), "max");

    bound.exit(0);
    powerbox.until(|event| matches!(event, Event::Exited { process: 10, .. }).then_some(()));
    support::eventually(|| (delegated.names() == ["latch-0", "latch-kernel"]).then_some(()));
    stop(node, &mut powerbox);
    assert!(delegated.names().is_empty(), "{:?}", delegated.names());
}

#[test]
fn a_process_that_comes_back_comes_back_into_its_cgroup() {
    let Some(delegated) = Delegated::find() else { return };
    let (node, mut powerbox) = node_in(&delegated);
    assert_eq!(powerbox.start(&Start { restart: true, ..sandbox(&node, 10) }), Outcome::Ok);
    node.born().exit(1);
    let _again = node.born();
    assert_eq!(delegated.names(), ["latch-0", "latch-10", "latch-kernel"]);
}

#[test]
fn a_cgroup_with_others_in_it_is_left_as_it_is() {
    let Some(delegated) = Delegated::find() else { return };
    let _fellow = delegated.fellow();
    let (node, mut powerbox) = node_in(&delegated);
    let log = node.log();
    assert!(log.contains("memory is limited by RLIMIT_DATA only, because /sys/fs/cgroup"), "{log}");
    let _sandboxed = started(&node, &mut powerbox, &sandbox(&node, 10));
    assert!(delegated.names().is_empty(), "{:?}", delegated.names());
    let members = std::fs::read_to_string(delegated.path().join("cgroup.procs")).unwrap();
    assert_eq!(members.lines().count(), 4, "the fellow, the kernel and its two");
}

#[test]
fn where_none_is_delegated_it_is_said() {
    if Delegated::find().is_none() {
        let (node, _powerbox) = Node::ready();
        assert!(node.log().contains("memory is limited by RLIMIT_DATA only, because "), "{}", node.log());
    }
}
