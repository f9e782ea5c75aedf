//! A guest in its sandbox calls a service; against a native client that calls the same service, both over links of the
//! real kernel and both confined. Times are those between the calls' arrivals at the service.

use super::Scale;
use crate::outcome::{Aim, Outcome, Part};
use crate::place::{Placement, SLEEP_NOTE, pin};
use crate::sample::Sample;
use crate::stage::{self, Stage};
use rustix::process::Pid;

const AGAINST: &str = "a native client in a process of the same profile, calling the same service";

const DEPTH: u32 = 64;
const WARM_UP_CALLS: u32 = 5_000;
const LATENCY_BLOCK_CALLS: u32 = 1_000;
const RATE_BLOCK_CALLS: u32 = 20_000;

/// Time of a call, one at a time.
pub(super) fn latency(scale: Scale) -> Result<Outcome, String> {
    let block = |scene: &mut Scene, process| scene.gaps(process, LATENCY_BLOCK_CALLS);
    Ok(Outcome {
        row: "guest-call.latency".into(),
        aim: Aim::AtMost(1.1),
        unit: "us",
        against: AGAINST,
        parts: Scene::start()?.each_placement(
            &Placement::idle()?,
            |parts| scale.rounds(16, 60, parts),
            block,
            Part::of_medians,
        )?,
        note: format!("time between one call's arrival at the service and the next; {SLEEP_NOTE}"),
    })
}

/// Calls a second, 64 deep.
pub(super) fn rate(scale: Scale) -> Result<Outcome, String> {
    let block = |scene: &mut Scene, process| Ok([scene.rate(process, RATE_BLOCK_CALLS)?].into_iter().collect());
    Ok(Outcome {
        row: "guest-call.rate".into(),
        aim: Aim::AtLeast(1.0),
        unit: "calls/s",
        against: AGAINST,
        parts: Scene::start()?.each_placement(
            &Placement::busy()?,
            |parts| scale.rounds(8, 30, parts),
            block,
            Part::of_rates,
        )?,
        note: "p99: 99% of all blocks were at least so fast".into(),
    })
}

/// One service, and the two that call it.
struct Scene {
    stage: Stage,
    service: Pid,
    guest: (u64, Pid),
    native: (u64, Pid),
}

impl Scene {
    fn start() -> Result<Self, String> {
        let component = crate::component::of(&crate::machine::package("bench"))?;
        let mut stage = Stage::start()?;
        stage.compile(component.path())?;
        let (service_number, service) = stage.add(stage::Part::Service)?;
        let guest = stage.add(stage::Part::Guest)?;
        let native = stage.add(stage::Part::Client)?;
        stage.link(service_number, &[guest.0, native.0], 2)?;
        Ok(Self { stage, service, guest, native })
    }

    /// Blocks of subject and baseline in turns, on one core and on two.
    fn each_placement<Rounds: Iterator<Item = u32>>(
        mut self,
        placements: &[Placement],
        rounds: impl Fn(usize) -> Rounds,
        block: impl Fn(&mut Self, u64) -> Result<Sample, String>,
        compared: impl Fn(&'static str, &Sample, &Sample) -> Part,
    ) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        let both = [self.guest, self.native];
        for &placement in placements {
            let _awake = placement.wake()?;
            let (mut of_guest, mut of_native) = (Sample::default(), Sample::default());
            let (of_service, of_callers) = placement.cores()?;
            pin(self.service, of_service)?;
            for (number, pid) in both {
                pin(pid, of_callers)?;
                self.rate(number, WARM_UP_CALLS)?;
            }
            for _ in rounds(placements.len()) {
                of_guest.extend(&block(&mut self, both[0].0)?);
                of_native.extend(&block(&mut self, both[1].0)?);
            }
            parts.push(placement.show(compared(placement.name(), &of_guest, &of_native)));
        }
        Ok(parts)
    }

    fn gaps(&mut self, process: u64, calls: u32) -> Result<Sample, String> {
        let answer = self.stage.tell(process, &format!("each {calls}"))?;
        let gaps: Result<Vec<u64>, _> = answer.split_whitespace().map(str::parse).collect();
        gaps.map(|gaps| Sample::from_nanoseconds(&gaps)).map_err(|_| format!("not a list of times: {answer}"))
    }

    fn rate(&mut self, process: u64, calls: u32) -> Result<f64, String> {
        let answer = self.stage.tell(process, &format!("deep {calls} {DEPTH}"))?;
        let nanoseconds: f64 = answer.parse().map_err(|_| format!("not a time: {answer}"))?;
        Ok(f64::from(calls) * 1e9 / nanoseconds)
    }
}
