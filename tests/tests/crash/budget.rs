//! Budgets are never refilled, whoever dies, and a death costs no more than two slices of one: what is counted is what
//! stands in the file.

use crate::seed::{Draw, rounds};
use crate::stage::{LINE_BYTES, Stage, kill};
use tests::until;

/// Enough that the kill comes in the middle, few enough to be used up soon.
const CALLS: u64 = 20_000;

/// The largest slice: an eighth of all.
const SLICE: u64 = CALLS / 8;

/// Calls of the load that are under way at any moment.
const DEPTH: u64 = 16;

/// Links that the load uses a budget up on, one after the other: the first, and one after the death.
const LINKS: u64 = 2;

#[derive(Debug)]
enum Death {
    Of(&'static str),
    At(&'static str),
}

const DEATHS: &[Death] = &[
    Death::Of("powerbox"),
    Death::Of("folder"),
    Death::Of("sandbox"),
    Death::Of("kernel"),
    Death::At("link.leased"),
    Death::At("link.made"),
    Death::At("lease.renewed"),
];

impl Death {
    /// What it may cost of the budget: what a link had in hand, and what was on its way to it. Whoever lives on tells what
    /// was not used. Beside that a few calls on each link open the file, and those under way when it is lost may have
    /// begun without getting to the end.
    fn costs(&self) -> u64 {
        const OPENING: u64 = 4;
        let slices = match self {
            Death::Of("folder" | "kernel") | Death::At("link.leased") => 2 * SLICE,
            Death::Of(_) | Death::At(_) => 0,
        };
        LINKS * (OPENING + DEPTH) + slices
    }
}

#[test]
fn no_death_refills_a_budget_or_costs_most_of_it() {
    let stage = Stage::new();
    let mut draw = Draw::of(2);
    let depth = &DEPTH.to_string();
    for (number, death) in (0..rounds()).flat_map(|_| DEATHS).enumerate() {
        let instance = format!("budget{number}");
        let grant = stage.spec("folder", &instance, &format!(",append,calls={CALLS}"));
        if let Death::At(point) = death {
            stage.await_parts();
            stage.arm(&[(point, 1)]);
        }
        let words = ["run", "append", "--detach", "--name", &instance, "--grant", &grant, "--", "lines", depth];
        let started = stage.node.run(words);
        match death {
            Death::At(_) => {
                until("the point was not passed", || stage.fired());
                stage.await_answer();
            }
            Death::Of(image) => {
                assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
                let after = draw.below(usize::try_from(CALLS / 2).expect("few")) as u64;
                stage.await_growth(&instance, after * LINE_BYTES);
                let pid = if *image == "kernel" { stage.kernel() } else { stage.processes(image).last().copied() };
                kill(pid.expect("it runs"));
                stage.await_answer();
            }
        }
        println!("{death:?}: killed at {} of {CALLS} calls", stage.added(&instance) / LINE_BYTES);
        let is_over = || grant_row(&stage, &instance)["end_reason"] == "exhausted";
        if matches!(death, Death::Of("sandbox")) {
            // Nobody starts it again: that is for a person to decide. The rest of its budget is there.
            until("the instance does not end", || !is_running(&stage, &instance));
            let row = grant_row(&stage, &instance);
            assert!(row["calls_left"].as_u64() > Some(CALLS / 4), "{row}");
            stage.node.expect(["run", "append", "--detach", "--name", &instance, "--", "lines", depth]);
        }
        until(&format!("{death:?}: the budget does not come to an end"), is_over);
        let row = grant_row(&stage, &instance);
        let served = stage.added(&instance) / LINE_BYTES;
        println!("{death:?}: {served} of {CALLS} calls were served");
        // The file was opened with one call at least.
        assert!(served < CALLS, "{death:?}: {served} calls of {CALLS} were served");
        assert!(served + death.costs() >= CALLS, "{death:?}: only {served} calls of {CALLS} were served");
        assert!(row["used_calls"].as_u64() <= Some(CALLS), "{death:?}: {row}");
        drop(stage.node.run(["stop", &instance]));
        stage.restart();
        assert_eq!(stage.added(&instance) / LINE_BYTES, served, "{death:?}: more was served after the end");
        assert_eq!(grant_row(&stage, &instance)["end_reason"], "exhausted", "{death:?}");
    }
}

fn is_running(stage: &Stage, instance: &str) -> bool {
    let rows = stage.node.json(["ps"]);
    let rows = rows.as_array().expect("instances are listed");
    rows.iter().any(|row| row["name"] == instance && row["state"] == "running")
}

/// The grant of an instance, ended or not.
fn grant_row(stage: &Stage, instance: &str) -> serde_json::Value {
    let rows = stage.node.json(["grants", "--all"]);
    let rows = rows.as_array().expect("grants are listed");
    rows.iter().find(|row| row["holder"] == instance).cloned().unwrap_or_default()
}
