//! What something idle costs in memory.

use super::Scale;
use crate::machine::package;
use crate::memory::share_bytes;
use crate::node::Node;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::{Engine, Load, Order, Pair, Work};
use crate::sample::Sample;
use crate::wasmtime::{self, Wasmtime};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a link may cost a service.
const LINK_AIM_BYTES: f64 = 16.0 * 1024.0;
/// What a whole node may cost.
const NODE_AIM_BYTES: f64 = 80.0 * 1024.0 * 1024.0;
/// Links whose cost is shared out.
const LINKS: u32 = 1_000;
/// Links before the first look: what the first ones bring along is not theirs alone.
const LINKS_BEFORE: u32 = 50;

/// Private memory of a service for each idle link on which one call was made.
pub(super) fn link(scale: Scale) -> Result<Outcome, String> {
    let times = scale.pick(3, 7);
    let mut samples = [Sample::default(), Sample::default(), Sample::default()];
    for _ in 0..times {
        let (unused, used) = bytes_a_link(Engine::Guarded)?;
        samples[0].push(used);
        samples[1].push(unused);
        samples[2].push(bytes_a_link(Engine::Bare)?.1);
    }
    let [used, unused, bare] = samples;
    Ok(Outcome {
        row: "idle-memory.link".into(),
        aim: Aim::AtMost(1.0),
        unit: "bytes",
        against: "16 KiB",
        parts: vec![
            Part::of_budget("after one call", &used, LINK_AIM_BYTES),
            Part::of_budget("never called", &unused, LINK_AIM_BYTES).aside(),
            Part::of_budget("bare capnp-rpc, after one call", &bare, LINK_AIM_BYTES).aside(),
        ],
        note: "the service's own memory; what the system holds for a socket is not in it".into(),
    })
}

/// Apps at once: what they share with each other is not counted for each.
const APPS: u32 = 4;
/// How long a process gets to come to rest.
const SETTLE: Duration = Duration::from_millis(500);

/// Memory of the whole node for each app that does nothing.
pub(super) fn app(scale: Scale) -> Result<Outcome, String> {
    let times = scale.pick(2, 5);
    let wasmtime = Wasmtime::prepare(wasmtime::RELEASED)?;
    let node = Node::start()?;
    node.install(&package("plain"))?;
    node.install(&package("bench"))?;
    let mut samples = [Sample::default(), Sample::default(), Sample::default()];
    for _ in 0..times {
        samples[0].push(node_bytes_an_app(&node, &["run", "plain", "--", "idle"])?);
        samples[1].push(node_bytes_an_app(&node, &["run", "bench", "--", "rest"])?);
        samples[2].push(wasmtime_bytes_an_app(&wasmtime)?);
    }
    let [plain, resting, baseline] = samples;
    Ok(Outcome {
        row: "idle-memory.app".into(),
        aim: Aim::AtMost(1.5),
        unit: "bytes",
        against: "wasmtime run of the same component",
        parts: vec![
            Part::of_medians("the same component", &plain, &baseline),
            Part::of_medians("an app at its door", &resting, &baseline).aside(),
        ],
        note: format!(
            "{APPS} apps at once, shared memory counted once in all; without their shells; {}",
            wasmtime.version
        ),
    })
}

/// Memory of a node on which nothing runs.
pub(super) fn node(_: Scale) -> Result<Outcome, String> {
    let node = Node::start()?;
    std::thread::sleep(SETTLE);
    let bytes: Sample = [node.bytes()? as f64].into_iter().collect();
    Ok(Outcome {
        row: "idle-memory.node".into(),
        aim: Aim::AtMost(1.0),
        unit: "bytes",
        against: "80 MiB",
        parts: vec![Part::of_budget("kernel, powerbox, watching parent", &bytes, NODE_AIM_BYTES)],
        note: "what several processes share is counted once".into(),
    })
}

fn node_bytes_an_app(node: &Node, words: &[&str]) -> Result<f64, String> {
    let before = node.bytes()?;
    let apps = idle(|| node.latch(words))?;
    let after = node.bytes()?;
    end(apps)?;
    Ok(after.saturating_sub(before) as f64 / f64::from(APPS))
}

fn wasmtime_bytes_an_app(wasmtime: &Wasmtime) -> Result<f64, String> {
    let apps = idle(|| {
        let mut command = wasmtime.command();
        command.arg("idle");
        command
    })?;
    let bytes: Result<u64, String> = apps.iter().map(|app| share_bytes(Pid::from_child(app))).sum();
    end(apps)?;
    Ok(bytes? as f64 / f64::from(APPS))
}

/// Starts apps and waits until each has said something and come to rest.
fn idle(command: impl Fn() -> Command) -> Result<Vec<Child>, String> {
    let started = (0..APPS).map(|_| {
        let mut command = command();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("cannot run {command:?}: {error}"))?;
        let heard = child.stdout.as_mut().map(|output| output.read(&mut [0]));
        if matches!(heard, Some(Ok(1))) { Ok(child) } else { Err(format!("{command:?} says nothing")) }
    });
    let apps = started.collect();
    std::thread::sleep(SETTLE);
    apps
}

/// Ends them as a person at a terminal would: what they read ends, and then they are interrupted.
fn end(apps: Vec<Child>) -> Result<(), String> {
    for mut app in apps {
        drop(app.stdin.take());
        // one that ended with its input is gone already
        let _ = kill_process(Pid::from_child(&app), Signal::INT);
        app.wait().map_err(|error| format!("an app does not end: {error}"))?;
    }
    Ok(())
}

/// Bytes for each link before and after its first call.
fn bytes_a_link(engine: Engine) -> Result<(f64, f64), String> {
    let mut pair = Pair::start(engine)?;
    pair.link(LINKS_BEFORE, 0, Work::Answer)?;
    pair.client.times(&Order::Call(Load::EachOnce))?;
    let before = pair.server.private_bytes()?;
    pair.link(LINKS, 0, Work::Answer)?;
    let unused = pair.server.private_bytes()?;
    pair.client.times(&Order::Call(Load::EachOnce))?;
    let used = pair.server.private_bytes()?;
    let share = |now: u64| now.saturating_sub(before) as f64 / f64::from(LINKS);
    Ok((share(unused), share(used)))
}
