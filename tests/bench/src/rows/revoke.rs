//! How long a revocation takes with that many open links, at the real kernel and a real service process: until the
//! link is cut, and until the service has confirmed; against a round trip over a plain socket.

use super::Scale;
use crate::machine::package;
use crate::node::Node;
use crate::outcome::{Aim, Outcome, Part};
use crate::peer::{Order, Peer, borrowed, socket_pairs};
use crate::place::{Placement, pin};
use crate::sample::Sample;
use crate::stage::{self, Stage};
use rustix::process::Pid;
use serde_json::Value;

const HOLDERS: u64 = 100;
/// Links that are also cut in one act, as those of a grant's descendants are.
const AT_ONCE: u32 = 1_000;
/// Revocations, and round trips, before anything is counted.
const WARM_UP: u32 = 20;

/// With ten open links; and by `latch revoke` in a whole node, where the powerbox has more to do.
pub(super) fn with_10(scale: Scale) -> Result<Outcome, String> {
    let mut outcome = measure("revoke.10", 10, scale)?;
    let (cut, quiet) = by_command()?;
    let plain = Plain::start(Placement::SleepyCores)?.round_trips(WARM_UP)?;
    outcome.parts.push(Part::of_medians("latch revoke, to cut", &cut, &plain).aside());
    outcome.parts.push(Part::of_medians("latch revoke, to quiet", &quiet, &plain).aside());
    Ok(outcome)
}

/// With a thousand; and all of them at once, as when a grant with so many descendants is revoked.
pub(super) fn with_1_000(scale: Scale) -> Result<Outcome, String> {
    measure("revoke.1000", 1_000, scale)
}

/// With ten thousand.
pub(super) fn with_10_000(scale: Scale) -> Result<Outcome, String> {
    measure("revoke.10000", 10_000, scale)
}

fn measure(row: &str, links: u32, scale: Scale) -> Result<Outcome, String> {
    let each = scale.pick(20, 100);
    let mut stage = Stage::start()?;
    let (service, service_pid) = stage.add(stage::Part::Service)?;
    let holders: Result<Vec<(u64, Pid)>, String> =
        (0..HOLDERS.min(links.into())).map(|_| stage.add(stage::Part::Client)).collect();
    let holders = holders?;
    let numbers: Vec<u64> = holders.iter().map(|(number, _)| *number).collect();
    stage.link(service, &numbers, links)?;
    let mut parts = Vec::new();
    let placements = Placement::idle()?;
    for &placement in &placements {
        let _awake = placement.wake()?;
        placement.pin(stage.powerbox_pid(), stage.kernel_pid())?;
        let cores = placement.cores()?;
        pin(service_pid, cores.0)?;
        holders.iter().try_for_each(|(_, holder)| pin(*holder, cores.0))?;
        let mut plain = Plain::start(placement)?;
        stage.revoke(WARM_UP, 1)?;
        plain.round_trips(WARM_UP)?;
        let (mut cut, mut quiet, mut baseline) = (Sample::default(), Sample::default(), Sample::default());
        for _ in scale.rounds(10, 20, placements.len()) {
            let revoked = stage.revoke(each, 1)?;
            cut.extend(&Sample::from_nanoseconds(&revoked.cut_ns));
            quiet.extend(&Sample::from_nanoseconds(&revoked.quiet_ns));
            baseline.extend(&plain.round_trips(each)?);
        }
        for (until, sample) in [("to cut", &cut), ("to quiet", &quiet)] {
            let name = format!("{until}, {}", placement.name());
            parts.push(placement.show(Part::of_medians(name, sample, &baseline)));
        }
        if links == AT_ONCE {
            let revoked = stage.revoke(scale.pick(3, 10), AT_ONCE)?;
            for (until, times) in [("cut", &revoked.cut_ns), ("quiet", &revoked.quiet_ns)] {
                let a_link: Sample = times.iter().map(|&time_ns| time_ns as f64 / 1e3 / f64::from(AT_ONCE)).collect();
                let name = format!("all at once, to {until}, a link, {}", placement.name());
                parts.push(placement.show(Part::of_medians(name, &a_link, &baseline)));
            }
        }
    }
    Ok(Outcome {
        row: row.into(),
        aim: Aim::AtMost(5.0),
        unit: "us",
        against: "a byte there and back over a socket between two processes",
        parts,
        note: format!("real kernel, service and {} holders, a stand-in powerbox that records nothing", holders.len()),
    })
}

/// Ten apps hold a folder each; every grant is revoked. How long the powerbox says that it took until the link was
/// cut, and until the folder's service had confirmed, in microseconds.
fn by_command() -> Result<(Sample, Sample), String> {
    let node = Node::start()?;
    node.install(&package("bench"))?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let grant = format!("folder=host:{},ro", folder.path().display());
    let names: Vec<String> = (0..10).map(|number| format!("holder-{number}")).collect();
    for name in &names {
        node.run(["run", "--detach", "--name", name.as_str(), "--grant", grant.as_str(), "bench", "--", "hold"])?;
    }
    let (mut cut, mut quiet) = (Sample::default(), Sample::default());
    node.wait_for("the grants", |node| Ok(node.run(["grants"])?.matches("holder-").count() == names.len()))?;
    for name in &names {
        let printed = node.run(["--json", "revoke", name.as_str()])?;
        let said: Value = serde_json::from_str(&printed).map_err(|error| format!("not JSON ({error}): {printed}"))?;
        let figure = |name: &str| said[name].as_f64().ok_or_else(|| format!("no {name} in {printed}"));
        if figure("cut")? != 1.0 {
            return Err(format!("one link was to be cut: {printed}"));
        }
        cut.push(figure("cut_after_us")?);
        quiet.push(figure("quiet_after_us")?);
    }
    Ok((cut, quiet))
}

/// Two processes with a socket between them.
struct Plain {
    asking: Peer,
    /// Answers as long as it lives.
    _answering: Peer,
}

impl Plain {
    fn start(placement: Placement) -> Result<Self, String> {
        let (mut asking, mut answering) = (Peer::start()?, Peer::start()?);
        placement.pin(asking.pid(), answering.pid())?;
        let (one, other) = socket_pairs(1)?;
        answering.order(&Order::Echo, &borrowed(&other))?;
        asking.order(&Order::RoundTrips { links: 1, count: 1 }, &borrowed(&one))?;
        Ok(Self { asking, _answering: answering })
    }

    fn round_trips(&mut self, count: u32) -> Result<Sample, String> {
        self.asking.times(&Order::RoundTrips { links: 0, count })
    }
}
