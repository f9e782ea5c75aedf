//! An app that lets go of its link as soon as it is there and asks for it again, over and over: each of those is a lease
//! and its return in the log, where the grant has a budget.

use crate::scene::Scene;
use std::time::{Duration, Instant};

/// So many new links are made at once, and then one in each period: see the powerbox's `pace`.
const AT_ONCE: u64 = 16;
const PERIOD: Duration = Duration::from_secs(2);
/// Of each link.
const RECORDS: u64 = 2;

#[test]
fn who_opens_its_link_again_and_again_waits_and_does_not_fill_the_log() {
    let scene = Scene::get();
    let began = Instant::now();
    let [option, spec] = scene.preset();
    let options = [option, format!("{spec},calls=100000")];
    let attack = scene.attack("reopens", &options, &["ask", "never-at-its-door"]);
    let told = (0..10_000).find_map(|_| {
        let status = scene.node.expect(["status"]);
        let told = status.lines().find(|line| line.contains("reopens opens its link of grant #"));
        told.map(str::to_owned)
    });
    let told = told.expect("an operator is told who it is");
    assert!(told.contains("made to wait"), "{told}");
    scene.all_is_well();
    let grants = scene.node.json(["grants"]);
    let row = grants.as_array().and_then(|rows| rows.iter().find(|row| row["holder"] == "reopens"));
    let grant = row.and_then(|row| row["id"].as_u64()).expect("it holds a grant");
    scene.node.expect(["stop", "reopens"]);
    drop(attack.end());

    let log = scene.node.expect(["log"]);
    let of_grant = format!(" #{grant}: ");
    let records = log.lines().filter(|line| line.contains(&of_grant) && line.contains(" calls, ")).count() as u64;
    // The first link of all is no new one; and one may have been made since a whole period.
    let periods = u64::try_from(began.elapsed().as_millis() / PERIOD.as_millis()).expect("not that long");
    let links = 1 + AT_ONCE + periods + 1;
    // Not each of its questions is a new link: one that comes before the end of the last link is known makes none.
    assert!(records >= AT_ONCE, "it did not get far: {records} records");
    assert!(records <= links * RECORDS, "{records} records of at most {links} links");
}
