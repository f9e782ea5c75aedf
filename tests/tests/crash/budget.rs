//! Budgets are never refilled, whoever dies: what is counted is what stands in the file.

use crate::seed::{Draw, rounds};
use crate::stage::{LINE_BYTES, Stage, kill, until};

/// Enough that the kill comes in the middle, few enough to be used up soon.
const CALLS: u64 = 20_000;

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
];

#[test]
fn no_death_refills_a_budget() {
    let stage = Stage::new();
    let mut draw = Draw::of(2);
    for (number, death) in (0..rounds()).flat_map(|_| DEATHS).enumerate() {
        let instance = format!("budget{number}");
        let grant = stage.spec("folder", &instance, &format!(",append,calls={CALLS}"));
        if let Death::At(point) = death {
            stage.arm(&[(point, 1)]);
        }
        let words = ["run", "append", "--detach", "--name", &instance, "--grant", &grant, "--", "lines", "16"];
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
        until(&format!("{death:?}: the budget does not come to an end"), || {
            grant_row(&stage, &instance)["end_reason"] == "exhausted"
        });
        let row = grant_row(&stage, &instance);
        let served = stage.added(&instance) / LINE_BYTES;
        // The file was opened with one call at least.
        assert!(served < CALLS, "{death:?}: {served} calls of {CALLS} were served");
        // Calls that were refused are metered too, as errors.
        let metered = row["used_calls"].as_u64().zip(row["errors"].as_u64()).map(|(all, errors)| all - errors);
        assert!(metered <= Some(CALLS), "{death:?}: {row}");
        drop(stage.node.run(["stop", &instance]));
        stage.restart();
        assert_eq!(stage.added(&instance) / LINE_BYTES, served, "{death:?}: more was served after the end");
        assert_eq!(grant_row(&stage, &instance)["end_reason"], "exhausted", "{death:?}");
    }
}

/// The grant of an instance, ended or not.
fn grant_row(stage: &Stage, instance: &str) -> serde_json::Value {
    let rows = stage.node.json(["grants", "--all"]);
    let rows = rows.as_array().expect("grants are listed");
    rows.iter().find(|row| row["holder"] == instance).cloned().unwrap_or_default()
}
