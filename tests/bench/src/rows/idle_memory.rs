//! What something idle costs in memory.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::{Engine, Load, Order, Pair, Work};
use crate::sample::Sample;

/// What a link may cost a service.
const LINK_AIM_BYTES: f64 = 16.0 * 1024.0;
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
