//! A native client calls a service through the vat library with every caveat on; against the bare engine.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::{Engine, Load, Order, Pair};
use crate::place::{Placement, SLEEP_NOTE};
use crate::sample::Sample;

const AGAINST: &str = "bare capnp-rpc on the same kind of socket";

/// How deep the pipeline of the rate is.
const DEPTH: u32 = 64;
/// Calls before anything is counted: caches, allocator and the sockets' buffers have their shape then.
const WARM_UP_CALLS: u32 = 5_000;
/// Calls of one block: long against a switch between subject and baseline, short against the machine's moods.
const LATENCY_BLOCK_CALLS: u32 = 1_000;
const RATE_BLOCK_CALLS: u32 = 20_000;

/// Time of a call, one at a time.
pub(super) fn latency(scale: Scale) -> Result<Outcome, String> {
    let block = |pair: &mut Pair| pair.client.times(&Order::Call(Load::OneAtATime { calls: LATENCY_BLOCK_CALLS }));
    let placements = Placement::idle()?;
    let (parts, note) = each_placement(&placements, |parts| scale.rounds(16, 60, parts), block, Part::of_medians)?;
    Ok(Outcome {
        row: "guarded-call.latency".into(),
        aim: Aim::AtMost(1.1),
        unit: "us",
        against: AGAINST,
        parts,
        note: format!("{SLEEP_NOTE}; {note}"),
    })
}

/// Calls a second, 64 deep.
pub(super) fn rate(scale: Scale) -> Result<Outcome, String> {
    let block = |pair: &mut Pair| Ok([pair.rate(RATE_BLOCK_CALLS, DEPTH)?].into_iter().collect());
    let placements = Placement::busy()?;
    let (parts, note) = each_placement(&placements, |parts| scale.rounds(8, 30, parts), block, Part::of_rates)?;
    Ok(Outcome {
        row: "guarded-call.rate".into(),
        aim: Aim::AtLeast(0.9),
        unit: "calls/s",
        against: AGAINST,
        parts,
        note: format!("p99: 99% of all blocks were at least so fast; {note}"),
    })
}

/// Blocks of subject and baseline in turns, on one core and on two.
fn each_placement<Rounds: Iterator<Item = u32>>(
    placements: &[Placement],
    rounds: impl Fn(usize) -> Rounds,
    block: impl Fn(&mut Pair) -> Result<Sample, String>,
    compared: impl Fn(&'static str, &Sample, &Sample) -> Part,
) -> Result<(Vec<Part>, String), String> {
    let mut subject = Pair::linked(Engine::Guarded)?;
    let mut baseline = Pair::linked(Engine::Bare)?;
    let (mut parts, mut processor_time_ratios) = (Vec::new(), Vec::new());
    for &placement in placements {
        let _awake = placement.wake()?;
        let (mut of_subject, mut of_baseline) = (Sample::default(), Sample::default());
        for pair in [&mut subject, &mut baseline] {
            pair.pin(placement)?;
            pair.rate(WARM_UP_CALLS, DEPTH)?;
        }
        let before = [subject.processor_time_ns()?, baseline.processor_time_ns()?];
        for _ in rounds(placements.len()) {
            of_subject.extend(&block(&mut subject)?);
            of_baseline.extend(&block(&mut baseline)?);
        }
        let after = [subject.processor_time_ns()?, baseline.processor_time_ns()?];
        parts.push(placement.show(compared(placement.name(), &of_subject, &of_baseline)));
        processor_time_ratios.push((after[0] - before[0]) as f64 / (after[1] - before[1]) as f64);
    }
    let ratios: Vec<String> = processor_time_ratios.iter().map(|ratio| format!("{ratio:.2}x")).collect();
    Ok((parts, format!("processor time of client and server against the baseline's: {}", ratios.join(", "))))
}
