//! What one app's flood does to another app's calls: both use one service through the vat library; against two pairs
//! of plain processes that do the same, each with a server of its own.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::{Engine, Load, Order, Peer, Work, link};
use crate::place::{cores, pin, pin_to_all};
use crate::sample::Sample;

/// Calls that the flooding app always has under way.
const FLOOD_DEPTH: u32 = 64;
/// The innocent app's calls in one block.
const BLOCK_CALLS: u32 = 500;

/// An innocent app and a flooding app with what serves them.
struct Neighbours {
    servers: Vec<Peer>,
    innocent: Peer,
    flooder: Peer,
}

/// The innocent app's p99, one call at a time.
pub(super) fn measure(scale: Scale) -> Result<Outcome, String> {
    let mut subject = shared_service()?;
    let mut baseline = plain_pairs()?;
    let mut parts = Vec::new();
    for &(name, spread) in SPREADS {
        for neighbours in [&subject, &baseline] {
            neighbours.place(spread)?;
        }
        let mut quiet = [Sample::default(), Sample::default()];
        let mut flooded = [Sample::default(), Sample::default()];
        for _ in scale.rounds(12, 60, SPREADS.len()) {
            for (index, neighbours) in [&mut subject, &mut baseline].into_iter().enumerate() {
                quiet[index].extend(&neighbours.calls()?);
                flooded[index].extend(&neighbours.calls_under_flood()?);
            }
        }
        parts.push(Part::of_tails(name, &flooded[0], &flooded[1]));
        parts.push(Part::of_tails(format!("{name}, no flood"), &quiet[0], &quiet[1]).aside());
    }
    Ok(Outcome {
        row: "neighbour".into(),
        aim: Aim::AtMost(1.5),
        unit: "us",
        against: "two pairs of processes on bare capnp-rpc, p99",
        parts,
        note: format!("the ratio is of p99; the flood is {FLOOD_DEPTH} calls at any time"),
    })
}

fn shared_service() -> Result<Neighbours, String> {
    let mut neighbours =
        Neighbours { servers: vec![Peer::start()?], innocent: Peer::start()?, flooder: Peer::start()? };
    let server = &mut neighbours.servers[0];
    link(&mut neighbours.innocent, server, Engine::Guarded, 1, 0, Work::Answer)?;
    link(&mut neighbours.flooder, server, Engine::Guarded, 1, 0, Work::Answer)?;
    Ok(neighbours)
}

fn plain_pairs() -> Result<Neighbours, String> {
    let mut neighbours =
        Neighbours { servers: vec![Peer::start()?, Peer::start()?], innocent: Peer::start()?, flooder: Peer::start()? };
    link(&mut neighbours.innocent, &mut neighbours.servers[0], Engine::Bare, 1, 0, Work::Answer)?;
    link(&mut neighbours.flooder, &mut neighbours.servers[1], Engine::Bare, 1, 0, Work::Answer)?;
    Ok(neighbours)
}

const SPREADS: &[(&str, Spread)] = &[("any core", Spread::Any), ("servers on one, apps on the other", Spread::ByRole)];

/// Where the processes may run.
#[derive(Clone, Copy)]
enum Spread {
    Any,
    ByRole,
}

impl Neighbours {
    fn place(&self, spread: Spread) -> Result<(), String> {
        let cores = cores()?;
        let apps = [self.innocent.pid(), self.flooder.pid()];
        let servers = self.servers.iter().map(Peer::pid);
        match (spread, cores.as_slice()) {
            (Spread::ByRole, [of_servers, of_apps, ..]) => {
                servers.into_iter().try_for_each(|process| pin(process, *of_servers))?;
                apps.into_iter().try_for_each(|process| pin(process, *of_apps))
            }
            _ => servers.chain(apps).try_for_each(|process| pin_to_all(process, &cores)),
        }
    }

    fn calls(&mut self) -> Result<Sample, String> {
        self.innocent.times(&Order::Call(Load::OneAtATime { calls: BLOCK_CALLS }))
    }

    fn calls_under_flood(&mut self) -> Result<Sample, String> {
        self.flooder.order(&Order::Flood { depth: FLOOD_DEPTH }, &[])?;
        let calls = self.calls();
        self.flooder.order(&Order::Calm, &[])?;
        calls
    }
}
