//! Seeded kills of everything, under load.

use crate::ledger::{Ledger, Slot};
use crate::points::{all, grant_of};
use crate::seed::{Draw, rounds};
use crate::stage::{LINE_BYTES, Stage, kill};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Between two orderly starts of the node; few, as the pauses before new starts double.
const STEPS_A_LIFE: usize = 8;
const LIVES: usize = 15;
/// At least so many of the steps kill something; a point that the step does not pass kills nothing.
const KILLS: usize = 70;
/// Instances that add lines all the time, and are granted and revoked.
const INSTANCES: [&str; 3] = ["one", "two", "three"];
const LABELS: [&str; 2] = ["folder", "other"];

/// What goes wrong in a step.
#[derive(Debug)]
enum Disaster {
    Nothing,
    Point(&'static str, usize),
    Kill(&'static str, Duration),
    /// The command itself.
    Shell(Duration),
}

/// What is passed again and again whatever is done, and what the act itself passes.
fn points(revokes: bool) -> Vec<&'static str> {
    let about = |point: &&str| match point.split_once('.').map_or("", |(subject, _)| subject) {
        "grant" | "link" => !revokes,
        "revoke" => revokes,
        "log" | "session" => true,
        _ => false,
    };
    all().into_iter().filter(about).collect()
}

fn disaster(draw: &mut Draw, revokes: bool) -> Disaster {
    let moment = Duration::from_micros(draw.below(20_000) as u64);
    match draw.below(16) {
        0 => Disaster::Nothing,
        1 | 2 => Disaster::Kill("powerbox", moment),
        3 | 4 => Disaster::Kill("folder", moment),
        5 => Disaster::Kill("sandbox", moment),
        6 => Disaster::Kill("kernel", moment),
        7 => Disaster::Shell(moment),
        _ => Disaster::Point(draw.pick::<&str>(&points(revokes)), 1 + draw.below(2) * draw.below(2)),
    }
}

struct Storm {
    stage: Stage,
    ledger: Ledger,
    /// How long the file of a revoked folder was when the revocation was acknowledged.
    closed: BTreeMap<&'static str, u64>,
    /// How many processes of the node were killed.
    kills: usize,
}

impl Storm {
    fn step(&mut self, draw: &mut Draw) {
        let (instance, label) = (*draw.pick(&INSTANCES), *draw.pick(&LABELS));
        let slot: Slot = (instance.into(), label.into());
        let revoked = self.ledger.alive(&slot).filter(|_| draw.below(3) > 0);
        let disaster = disaster(draw, revoked.is_some());
        println!("{} {slot:?}: {disaster:?}", if revoked.is_some() { "revoke" } else { "grant" });
        if let Disaster::Point(point, pass) = disaster {
            self.stage.arm(&[(point, pass)]);
        }
        let victim = match disaster {
            Disaster::Kill("kernel", _) => self.stage.kernel(),
            Disaster::Kill(image, _) => {
                let running = self.stage.processes(image);
                (!running.is_empty()).then(|| *draw.pick(&running))
            }
            _ => None,
        };
        let command = match revoked {
            Some(grant) => self.stage.node.spawn(["revoke", &grant.to_string()]),
            None => {
                self.closed.remove(instance);
                let folder = if label == "folder" { instance } else { label };
                let options = if label == "folder" { ",append" } else { ",ro" };
                self.stage.node.spawn(["grant", instance, &self.stage.spec(label, folder, options)])
            }
        };
        if let Disaster::Kill(_, moment) | Disaster::Shell(moment) = disaster {
            std::thread::sleep(moment);
            let victim = victim.unwrap_or_else(|| i32::try_from(command.id()).expect("a process number"));
            kill(victim);
        }
        let output = command.wait_with_output().expect("it ends");
        let killed = match disaster {
            Disaster::Point(..) => self.stage.disarm(),
            Disaster::Kill(..) => victim.is_some(),
            Disaster::Nothing | Disaster::Shell(_) => false,
        };
        self.kills += usize::from(killed);
        self.stage.await_answer();
        match (output.status.success(), revoked) {
            (false, _) => self.ledger.doubt(&slot),
            (true, None) => self.ledger.granted(&slot, grant_of(&String::from_utf8_lossy(&output.stdout))),
            (true, Some(grant)) => {
                self.ledger.revoked(&slot, grant);
                if label == "folder" {
                    self.closed.insert(instance, self.stage.added(instance));
                }
            }
        }
    }

    fn judge(&mut self, when: &str) {
        self.ledger.judge(&self.stage.node, when);
        self.judge_files(when);
    }

    /// Once the node was started anew.
    fn settle(&mut self, when: &str) {
        self.ledger.settle(&self.stage.node, when);
        self.judge_files(when);
    }

    fn judge_files(&self, when: &str) {
        for (instance, size) in &self.closed {
            let now = self.stage.added(instance);
            // What was being written when the link was cut is written to its end.
            assert!(
                now <= size + LINE_BYTES,
                "{when}: the folder of {instance} was revoked at {size}, and is at {now}"
            );
        }
    }

    /// A search over more than it can end with soon, whose output nobody reads to its end.
    fn search(&self, number: usize) -> Child {
        let name = format!("search{number}");
        let grant = self.stage.spec("folder", "searched", ",ro");
        let mut run = self.stage.node.latch(["run", "search", "--name", &name, "--grant", &grant, "--", "needle"]);
        run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("latch runs")
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_a_storm() {
    let mut draw = Draw::of(1);
    let stage = Stage::new();
    stage.node.expect(["install".as_ref(), tests::package("search").as_os_str()]);
    let text = "needle and some more words to make a line of it\n".repeat(1_000);
    for number in 0..50 {
        std::fs::write(stage.folder("searched").join(format!("{number}.txt")), &text).expect("room for a file");
    }
    INSTANCES.iter().for_each(|instance| stage.load(instance, 16));
    let mut storm = Storm { stage, ledger: Ledger::default(), closed: BTreeMap::new(), kills: 0 };
    for (instance, label) in INSTANCES.iter().flat_map(|instance| LABELS.map(|label| (*instance, label))) {
        storm.ledger.doubt(&(instance.to_owned(), label.to_owned()));
    }
    storm.settle("before the storm");
    for life in 0..LIVES * rounds() {
        let searches: Vec<Child> = (0..2).map(|number| storm.search(2 * life + number)).collect();
        for _ in 0..STEPS_A_LIFE {
            storm.step(&mut draw);
        }
        storm.judge(&format!("life {life}"));
        for mut search in searches {
            kill(i32::try_from(search.id()).expect("a process number"));
            drop(search.wait());
        }
        storm.stage.restart();
        storm.settle(&format!("after life {life}"));
    }
    println!("{} kills", storm.kills);
    assert!(storm.kills >= KILLS, "only {} kills", storm.kills);
}
