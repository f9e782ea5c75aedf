//! Apps that ask the powerbox without end: of its processor they get little, and everybody else is answered. In a node of
//! their own, where nobody else gives the powerbox work.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tests::node::Node;

/// How long is measured, when what may be had at once is used up.
const MEASURED: Duration = Duration::from_secs(5);
/// An app that floods sends its first mebibyte as fast as it goes, and is known by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of one core, in thousandths, with what `latch status` itself asks of the powerbox. Without a rate it is some hundreds.
const SHARE_MAXIMUM: u128 = 100;

fn flood(node: &Node, instance: &str, how: &str) -> Child {
    let mut command = node.latch(["run", "hostile", "--name", instance, "--", "ask", how]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("latch runs")
}

/// Processor time of the powerbox so far.
fn used(node: &Node) -> Duration {
    let status = node.json(["status"]);
    let processes = status["processes"].as_array().expect("processes are listed");
    let powerbox = processes.iter().find(|process| process["image"] == "powerbox").expect("it is one of them");
    Duration::from_micros(powerbox["cpu_us"].as_u64().expect("a number"))
}

#[test]
fn who_floods_its_session_costs_the_powerbox_little_and_is_named() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("hostile").as_os_str(), "--trust".as_ref()]);
    for how in ["without-end", "and-takes-back"] {
        let mut child = flood(&node, how, how);
        let began = Instant::now();
        let told = format!("{how} sends more on its session than is read at once: it is made to wait");
        while !node.expect(["status"]).contains(&told) {
            assert!(began.elapsed() < PATIENCE, "an operator is not told of {how}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let (before, began) = (used(&node), Instant::now());
        std::thread::sleep(MEASURED);
        let share = (used(&node) - before).as_micros() * 1_000 / began.elapsed().as_micros();
        assert!(share <= SHARE_MAXIMUM, "{how} takes {share} thousandths of a core");
        eprintln!("{how}: {share} thousandths of a core");
        // It was slowed down and not cut: it hears that it is to stop.
        node.expect(["stop", how]);
        child.wait().expect("latch ends");
    }
}
