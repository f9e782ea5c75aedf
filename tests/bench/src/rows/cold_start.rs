//! From the command to the first word of an app that is installed and compiled; against `wasmtime run` of the same
//! component, compiled before.

use super::Scale;
use crate::machine::package;
use crate::node::Node;
use crate::operator;
use crate::outcome::{Aim, Outcome, Part};
use crate::sample::Sample;
use crate::wasmtime::{self, Wasmtime};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

const WARM_UP: u32 = 5;

/// Time until the first byte of output.
pub(super) fn measure(scale: Scale) -> Result<Outcome, String> {
    let node = Node::start()?;
    node.install(&package("plain"))?;
    let released = Wasmtime::prepare(wasmtime::RELEASED)?;
    let lean = Wasmtime::prepare(wasmtime::LEAN)?;
    let [mut subject, mut open_shell, mut baseline, mut lean_baseline]: [Sample; 4] = Default::default();
    for round in scale.rounds(WARM_UP + 60, WARM_UP + 300, 1) {
        let of_latch = until_first_byte(&mut node.latch(["run", "plain"]))?;
        let of_released = until_first_byte(&mut released.command())?;
        let of_lean = until_first_byte(&mut lean.command())?;
        let of_shell: Sample = operator::until_first_byte(&node.state(), "plain", 1)?.into_iter().collect();
        if round >= WARM_UP {
            subject.push(of_latch);
            open_shell.extend(&of_shell);
            baseline.push(of_released);
            lean_baseline.push(of_lean);
        }
    }
    Ok(Outcome {
        row: "cold-start".into(),
        aim: Aim::AtMost(0.9),
        unit: "us",
        against: "wasmtime run of the same component, compiled before",
        parts: vec![
            Part::of_medians("latch run, to the first byte", &subject, &baseline),
            Part::of_medians("latch run, against wasmtime with only what this needs", &subject, &lean_baseline).aside(),
            Part::of_medians("asked for by an open shell", &open_shell, &baseline).aside(),
        ],
        note: released.version,
    })
}

/// In microseconds.
fn until_first_byte(command: &mut Command) -> Result<f64, String> {
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let mut first = [0];
    let read = child.stdout.as_mut().map(|output| output.read(&mut first));
    let took_us = start.elapsed().as_secs_f64() * 1e6;
    let output = child.wait_with_output().map_err(|error| format!("{command:?}: {error}"))?;
    match read {
        Some(Ok(1)) => Ok(took_us),
        _ => Err(format!("{command:?} printed nothing: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
