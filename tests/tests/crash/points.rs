//! The powerbox killed at each of its fault points once, each in the act whose steps it stands between.

use crate::ledger::{Ledger, Slot};
use crate::stage::Stage;
use std::collections::BTreeSet;

/// What is under way when the powerbox is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Grant,
    Revoke,
    Run,
    Install,
    Spend,
}
use Act::{Grant, Install, Revoke, Run, Spend};

/// Whether there is a grant afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    Alive,
    Ended,
    /// The act is about something else.
    Same,
}
use After::{Alive, Ended, Same};

/// Points by name, each with how often it is passed.
type Points = &'static [(&'static str, usize)];

/// Where it is killed, amid what, and what must be the case when it is back. A grant counts from when its record is whole;
/// a revocation from when the kernel has cut, since the kernel remembers.
const STEPS: &[(Points, Act, After)] = &[
    (&[("grant.decided", 1)], Grant, Ended),
    (&[("log.write", 1)], Grant, Ended),
    (&[("log.torn", 1)], Grant, Ended),
    (&[("log.written", 1)], Grant, Alive),
    (&[("log.synced", 1)], Grant, Alive),
    (&[("grant.durable", 1)], Grant, Alive),
    (&[("session.made", 1)], Grant, Ended),
    (&[("link.leased", 1)], Grant, Alive),
    (&[("link.made", 1)], Grant, Alive),
    (&[("revoke.begun", 1)], Revoke, Alive),
    (&[("revoke.cut", 1)], Revoke, Ended),
    (&[("log.write", 1)], Revoke, Ended),
    (&[("log.torn", 1)], Revoke, Ended),
    (&[("log.written", 1)], Revoke, Ended),
    (&[("log.synced", 1)], Revoke, Ended),
    (&[("revoke.durable", 1)], Revoke, Ended),
    (&[("revoke.forgotten", 1)], Revoke, Ended),
    (&[("revoke.quiet", 1)], Revoke, Ended),
    (&[("revoke.cut", 1), ("recovery.opened", 1)], Revoke, Ended),
    (&[("revoke.cut", 1), ("recovery.tombstones", 1)], Revoke, Ended),
    (&[("revoke.cut", 1), ("recovery.adopted", 1)], Revoke, Ended),
    (&[("revoke.cut", 1), ("log.torn", 2), ("recovery.tombstones", 1)], Revoke, Ended),
    (&[("run.recorded", 1)], Run, Same),
    (&[("install.kept", 1)], Install, Same),
    (&[("lease.renewed", 1)], Spend, Same),
];

/// After so many deaths the node is started anew: the pause before the powerbox is started again doubles with each.
const DEATHS_A_LIFE: usize = 4;

#[test]
fn whatever_step_the_powerbox_dies_at_nothing_acknowledged_is_lost() {
    let stage = Stage::new();
    stage.load("idle", 1);
    stage.load("busy", 16);
    stage.node.expect(["install".as_ref(), tests::package("search").as_os_str()]);
    let slot: Slot = ("idle".into(), "other".into());
    let mut ledger = Ledger::default();
    let (mut lives, mut deaths) = (1, 0);
    for (faults, act, after) in STEPS {
        if deaths + faults.len() > DEATHS_A_LIFE {
            (lives, deaths) = (lives + 1, 0);
            stage.restart();
            ledger.settle(&stage.node, "the node was started anew");
            stage.await_growth("busy", stage.added("busy"));
        }
        deaths += faults.len();
        let what = format!("{act:?} at {faults:?}");
        println!("{what}");
        prepare(&stage, &mut ledger, &slot, *act);
        let busy = stage.added("busy");
        stage.arm(faults);
        perform(&stage, &mut ledger, &slot, *act);
        tests::until(&format!("{what}: not every point was passed"), || stage.fired());
        stage.await_answer();
        assert!(stage.restarts("powerbox") >= 1, "{what}: status does not tell");
        // That the grant is what it must be, also where nothing was acknowledged.
        ledger.settle(&stage.node, &what);
        match after {
            Alive => assert!(ledger.alive(&slot).is_some(), "{what}: what was recorded is lost"),
            Ended => assert!(ledger.is_revoked(&slot), "{what}: what was cut, or never recorded, is alive"),
            Same => {}
        }
        stage.await_growth("busy", busy);
        assert_eq!(beginnings(&stage, "busy"), lives, "{what}: an open grant was disturbed");
    }
}

/// Makes sure that there is something to act on.
fn prepare(stage: &Stage, ledger: &mut Ledger, slot: &Slot, act: Act) {
    match (act, ledger.alive(slot)) {
        (Grant, Some(grant)) => {
            stage.node.expect(["revoke", &grant.to_string()]);
            ledger.revoked(slot, grant);
        }
        (Revoke, None) => {
            let said = stage.node.expect(["grant", &slot.0, &stage.spec(&slot.1, "other", ",ro")]);
            ledger.granted(slot, grant_of(&said));
        }
        _ => {}
    }
}

fn perform(stage: &Stage, ledger: &mut Ledger, slot: &Slot, act: Act) {
    match act {
        Grant => {
            let output = stage.node.run(["grant", &slot.0, &stage.spec(&slot.1, "other", ",ro")]);
            if output.status.success() {
                ledger.granted(slot, grant_of(&String::from_utf8_lossy(&output.stdout)));
            } else {
                ledger.doubt(slot);
            }
        }
        Revoke => {
            let grant = ledger.alive(slot).expect("there is one to revoke");
            if stage.node.run(["revoke", &grant.to_string()]).status.success() {
                ledger.revoked(slot, grant);
            } else {
                ledger.doubt(slot);
            }
        }
        Run => {
            let preset = stage.spec("folder", "searched", ",ro");
            std::fs::write(stage.folder("searched").join("a.txt"), "needle\n").expect("room for a file");
            let words = ["run", "search", "--name", "once", "--grant", &preset, "--", "needle"];
            drop(stage.node.run(words));
            stage.await_answer();
            stage.node.expect(words);
        }
        Spend => {
            const CALLS: u64 = 4_000;
            let grant = stage.spec("folder", "spend", &format!(",append,calls={CALLS}"));
            stage.node.expect(["run", "append", "--detach", "--name", "spend", "--grant", &grant, "--", "lines", "16"]);
            // The answer that it died with is given again: the calls that waited for it go on. More than the slice that
            // it died at is used.
            stage.await_growth("spend", CALLS / 2 * crate::stage::LINE_BYTES);
        }
        Install => {
            let hello = tests::package("hello");
            let words = ["install".as_ref(), hello.as_os_str()];
            drop(stage.node.run(words));
            stage.await_answer();
            stage.node.expect(words);
        }
    }
}

/// The number in what `latch grant` says.
pub(crate) fn grant_of(said: &str) -> u64 {
    let number = said.split("(#").nth(1).and_then(|rest| rest.split(';').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no grant's number: {said}"))
}

/// How often the load of an instance has begun anew. It does so when its link was lost, and when it was started again.
fn beginnings(stage: &Stage, instance: &str) -> usize {
    let lines = std::fs::read_to_string(stage.folder(instance).join("lines")).expect("the load's file");
    lines.lines().filter(|line| line.trim() == "0").count()
}

#[test]
fn no_fault_point_is_left_out() {
    let named: BTreeSet<&str> = STEPS.iter().flat_map(|(faults, ..)| faults.iter().map(|(point, _)| *point)).collect();
    let placed = tests::faults::points(&tests::checkout().join("powerbox/src"));
    assert_eq!(named, placed.iter().map(String::as_str).collect());
}

/// All points, for kills that are drawn.
pub(crate) fn all() -> Vec<&'static str> {
    let points: BTreeSet<&str> = STEPS.iter().flat_map(|(faults, ..)| faults.iter().map(|(point, _)| *point)).collect();
    points.into_iter().collect()
}
