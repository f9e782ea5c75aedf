//! What it costs a service that each grant is a link of its own: calls at random over 5,000 links, against the same
//! objects on connections.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::{Engine, Load, Order, Pair, Work};
use crate::place::Placement;
use crate::sample::Sample;

const APPS: u32 = 500;
const OBJECTS_EACH: u32 = 10;
/// Calls under way at any time, by all apps together.
const DEPTH: u32 = 64;

/// Processor time of the server a call.
pub(super) fn measure(scale: Scale) -> Result<Outcome, String> {
    let calls = scale.pick(6_000, 20_000);
    let mut links = many(Engine::Guarded, APPS * OBJECTS_EACH, 0)?;
    let mut connections = many(Engine::Bare, APPS, OBJECTS_EACH)?;
    let mut guarded_connections = many(Engine::Guarded, APPS, OBJECTS_EACH)?;
    let mut parts = Vec::new();
    let placements = Placement::busy()?;
    for &placement in &placements {
        let mut samples = [Sample::default(), Sample::default(), Sample::default()];
        for pair in [&mut links, &mut connections, &mut guarded_connections] {
            pair.pin(placement)?;
            pair.rate(calls, DEPTH)?;
        }
        for _ in scale.rounds(3, 12, placements.len()) {
            for (pair, sample) in [&mut links, &mut connections, &mut guarded_connections].into_iter().zip(&mut samples)
            {
                sample.push(processor_time_a_call_us(pair, calls)?);
            }
        }
        let [of_links, of_connections, of_guarded] = samples;
        parts.push(Part::of_medians(placement.name(), &of_links, &of_connections));
        let name = format!("{}, guarded connections", placement.name());
        parts.push(Part::of_medians(name, &of_guarded, &of_connections).aside());
    }
    Ok(Outcome {
        row: "many-links.cpu".into(),
        aim: Aim::AtMost(1.3),
        unit: "us",
        against: "bare capnp-rpc, 500 connections of 10 objects each",
        parts,
        note: "one process makes the calls of all 500 apps, 64 at a time".into(),
    })
}

fn many(engine: Engine, links: u32, objects: u32) -> Result<Pair, String> {
    let mut pair = Pair::start(engine)?;
    pair.link(links, objects, Work::Answer)?;
    pair.client.times(&Order::Call(Load::EachOnce))?;
    Ok(pair)
}

fn processor_time_a_call_us(pair: &mut Pair, calls: u32) -> Result<f64, String> {
    let before = pair.server.nanoseconds(&Order::ProcessorTime)?;
    pair.rate(calls, DEPTH)?;
    let after = pair.server.nanoseconds(&Order::ProcessorTime)?;
    Ok((after - before) as f64 / 1e3 / f64::from(calls))
}
