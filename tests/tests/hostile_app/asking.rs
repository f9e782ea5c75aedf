//! Apps that ask too much.

use crate::scene::Scene;

#[path = "forge.rs"]
pub(crate) mod forge;

/// Undecided requests of one session at most, see `Session.request`.
const UNDECIDED: usize = 32;

#[test]
fn who_asks_ten_thousand_times_has_asked_once() {
    let scene = Scene::get();
    let mut attack = scene.attack("asks-again", &[], &["ask", "again"]);
    scene.all_is_well();
    attack.hear("Pending 10000");
    let requests = scene.node.json(["requests"]);
    let own: Vec<_> =
        requests.as_array().expect("a list").iter().filter(|row| row["instance"] == "asks-again").collect();
    // It may have ended meanwhile, and what it asked for with it.
    if let [request] = own.as_slice() {
        assert_eq!(request["coalesced"], 9_999, "an operator does not see how often: {request}");
    }
    assert!(own.len() <= 1, "{requests}");
    assert_eq!(attack.end().0, Some(0));
    let log = scene.node.expect(["log"]);
    assert_eq!(log.lines().filter(|line| line.contains("asks-again asks for")).count(), 1, "{log}");
}

#[test]
fn what_no_package_announces_is_refused_ten_thousand_times_and_counted() {
    let scene = Scene::get();
    let mut attack = scene.attack("asks-anything", &[], &["ask", "anything"]);
    scene.all_is_well();
    attack.hear("Pending 0");
    attack.hear("Unannounced 10000");
    assert_eq!(attack.end().0, Some(0));
    let status = scene.node.expect(["status"]);
    assert!(status.contains("asks-anything asked 10000 times for what its package does not announce"), "{status}");
    let log = scene.node.expect(["log"]);
    assert_eq!(log.lines().filter(|line| line.contains("asks-anything asks for")).count(), 0, "{log}");
}

#[test]
fn what_a_person_gives_with_a_run_is_listed_and_taken_away_before_the_app_asks() {
    let scene = Scene::get();
    let mut attack = scene.start_attack("given", &scene.preset(), &["never-at-its-door"]);
    attack.hear("not looking");
    let listed = || {
        let grants = scene.node.json(["grants"]);
        grants.as_array().expect("a list").iter().filter(|row| row["holder"] == "given").count()
    };
    assert_eq!(listed(), 1);
    scene.node.expect(["revoke", "given:folder"]);
    assert_eq!(listed(), 0);
    scene.node.expect(["stop", "given"]);
    drop(attack.end());
    // Nothing is left of it that the next question would find.
    let mut attack = scene.start_attack("given", &[], &["ask", "again"]);
    for said in ["begun", "Pending 0", "Unannounced 0", "Granted 0"] {
        attack.hear(said);
    }
    assert_eq!(attack.end().0, Some(0));
    scene.all_is_well();
}

#[test]
fn not_everything_that_is_announced_can_wait_for_a_decision_at_once() {
    let scene = Scene::get();
    let package = forge::changed("asker", |manifest| {
        let announced = manifest.requests[0].clone();
        let labelled = |number| package::Announced { label: format!("label-{number}"), ..announced.clone() };
        manifest.requests = (0..UNDECIDED + 8).map(labelled).collect();
    });
    let file = scene.node.scratch().join("asker.latch");
    std::fs::write(&file, package).expect("room for a package");
    scene.node.expect(["install".as_ref(), file.as_os_str(), "--trust".as_ref()]);
    scene.node.expect(["run", "--detach", "asker", "--", "ask", "all", "40"]);
    let said = loop {
        let said = scene.node.expect(["logs", "asker"]);
        if said.contains("taken") {
            break said;
        }
    };
    assert_eq!(said, "32 of 40 were taken\n");
    let requests = scene.node.json(["requests"]);
    let own = requests.as_array().expect("a list").iter().filter(|row| row["instance"] == "asker").count();
    assert_eq!(own, UNDECIDED);
    scene.all_is_well();
    scene.node.expect(["uninstall", "asker"]);
    let requests = scene.node.json(["requests"]);
    let own = requests.as_array().expect("a list").iter().filter(|row| row["instance"] == "asker").count();
    assert_eq!(own, 0, "who is gone still asks: {requests}");
}
