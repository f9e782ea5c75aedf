//! An app that never looks at its door.

use crate::scene::Scene;

#[test]
fn who_never_comes_to_its_door_keeps_nobody_waiting() {
    let scene = Scene::get();
    let attack = scene.attack("door", &scene.preset(), &["ask", "never-at-its-door"]);
    scene.all_is_well();
    // What it holds can be taken away, and its service confirms that.
    let grants = scene.node.json(["grants"]);
    assert!(grants.as_array().is_some_and(|rows| rows.iter().any(|row| row["holder"] == "door")), "{grants}");
    let cut = scene.node.json(["revoke", "door:folder", "--reason", "it does not listen"]);
    assert_eq!(cut["unconfirmed"].as_array().map(Vec::len), Some(0), "{cut}");
    scene.all_is_well();
    assert_eq!(scene.instance("door")["state"], "running");
    // It is asked to stop, does not hear it, and its sandbox ends it.
    scene.node.expect(["stop", "door"]);
    drop(attack.end());
    scene.recorded("door", "something else than its door");
    scene.all_is_well();
}
