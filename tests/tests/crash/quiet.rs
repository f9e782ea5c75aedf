//! A cut on a whole node: after *quiet* nothing starts, after *cut* nothing whose check comes later, with 64 calls under
//! way, and with either end paused.

use crate::stage::{LINE_BYTES, Stage, pause};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};

/// An app in the foreground that adds lines, 64 at once.
struct Adding {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Adding {
    fn start(stage: &Stage, instance: &str) -> Self {
        let grant = stage.spec("folder", instance, ",append");
        let mut child = stage.node.spawn(["run", "append", "--name", instance, "--grant", &grant, "--", "lines", "64"]);
        let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut first = String::new();
        output.read_line(&mut first).expect("its output can be read");
        assert_eq!(first, "begun\n");
        Self { child, output }
    }

    /// Waits for its end, which is that it was told of the revocation. How many bytes it knows to have been added.
    fn end(mut self) -> u64 {
        let mut last = String::new();
        self.output.read_line(&mut last).expect("its output can be read");
        let ended = self.child.wait_with_output().expect("it ends");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{told}");
        assert!(told.contains("revoked"), "{told}");
        let acknowledged = last.trim().strip_prefix("acknowledged ").and_then(|count| count.parse::<u64>().ok());
        acknowledged.unwrap_or_else(|| panic!("not a count: {last}")) * LINE_BYTES
    }
}

fn revoke(stage: &Stage, instance: &str) -> Value {
    let told = stage.node.json(["revoke", &format!("{instance}:folder")]);
    assert_eq!(told["cut"], 1, "{told}");
    told
}

/// Nothing was added after the cut but what was being written at that moment, which of one file is one line; and nothing
/// is when everything is started again.
fn stays(stage: &Stage, at_cut: &[(&str, u64)]) {
    let sizes = || at_cut.iter().map(|(instance, _)| stage.added(instance)).collect::<Vec<_>>();
    // Every process has come to its end by then.
    stage.node.expect(["down"]);
    let ended = sizes();
    for ((instance, size), ended) in at_cut.iter().zip(&ended) {
        assert!(*ended <= size + LINE_BYTES, "{instance}: {size} grew to {ended}");
    }
    stage.node.up();
    for (instance, _) in at_cut {
        let again = stage.node.run(["run", "append", "--name", instance, "--", "lines", "64"]);
        assert_eq!(again.status.code(), Some(3), "{}", String::from_utf8_lossy(&again.stderr));
    }
    assert_eq!(sizes(), ended);
}

#[test]
fn a_cut_holds_64_deep_and_with_either_end_paused() {
    let stage = Stage::new();

    let adding = Adding::start(&stage, "deep");
    let told = revoke(&stage, "deep");
    let at_quiet = stage.added("deep");
    assert_eq!(told["unconfirmed"].as_array().map(Vec::len), Some(0), "{told}");
    let known = adding.end();
    let deep = ("deep", at_quiet);
    assert!(known <= stage.added("deep"), "more was acknowledged than was done");

    // The app is paused in the middle of whatever it does: the cut needs nothing from it.
    let adding = Adding::start(&stage, "app");
    let app = stage.processes("sandbox")[0];
    pause(app, true);
    let told = revoke(&stage, "app");
    let at_quiet = stage.added("app");
    assert_eq!(told["unconfirmed"].as_array().map(Vec::len), Some(0), "{told}");
    pause(app, false);
    adding.end();
    let app = ("app", at_quiet);

    // The service is paused in the middle of a turn, with calls read and not started: it cannot confirm, and is named.
    // What it had started goes on, and nothing else.
    let adding = Adding::start(&stage, "service");
    let folder = stage.folder("service").display().to_string();
    let status = stage.node.json(["status"]);
    let rows = status["processes"].as_array().expect("processes are listed");
    let row = rows.iter().find(|row| row["name"].as_str().is_some_and(|name| name.ends_with(&folder)));
    let service =
        row.and_then(|row| row["pid"].as_i64()).and_then(|pid| i32::try_from(pid).ok()).expect("it is served");
    pause(service, true);
    let at_cut = stage.added("service");
    let told = revoke(&stage, "service");
    assert_eq!(told["unconfirmed"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(stage.added("service"), at_cut);
    pause(service, false);
    adding.end();
    stays(&stage, &[deep, app, ("service", at_cut)]);
}
