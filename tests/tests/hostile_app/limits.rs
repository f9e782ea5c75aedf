//! What an app can do to its machine: time, memory, output.

use crate::scene::Scene;
use std::io::Read;

/// Of the hostile package: its manifest says so.
const OUTPUT_LIMIT_BYTES: usize = 64 << 10;
/// What a sandbox may take beside its guest, which may have 64 MiB.
const RESIDENT_LIMIT_BYTES: u64 = 128 << 20;

#[test]
fn who_uses_too_much_is_ended_and_the_log_says_of_what() {
    let scene = Scene::get();
    let cases = [
        ("endless-loop", "computed for more than 1 s without asking its door"),
        ("memory", "used more than 64 MiB of memory"),
    ];
    for (way, reason) in cases {
        let attack = scene.attack(way, &[], &[way]);
        scene.all_is_well();
        let (code, _, told) = attack.end();
        assert_eq!(code, Some(124), "{told}");
        assert!(told.contains(reason), "whoever ran it is not told: {told}");
        assert!(scene.recorded(way, reason).contains("exit"));
        assert_eq!(scene.instance(way)["last"], reason);
    }
}

#[test]
fn a_flood_of_output_waits_for_its_reader() {
    let scene = Scene::get();
    let mut attack = scene.start_attack("flood-attached", &[], &["output-flood"]);
    let mut some = [0; 1 << 16];
    attack.output.read_exact(&mut some).expect("it prints");
    // From now on nobody reads.
    scene.all_is_well();
    let row = scene.instance("flood-attached");
    assert_eq!(row["state"], "running", "{row}");
    assert!(row["resident_bytes"].as_u64() < Some(RESIDENT_LIMIT_BYTES), "what nobody reads is kept: {row}");
    scene.node.expect(["stop", "flood-attached"]);
    scene.all_is_well();
    drop(attack.end());
    scene.recorded("flood-attached", "ended");
}

#[test]
fn a_flood_of_output_that_is_kept_keeps_the_newest_of_it() {
    let scene = Scene::get();
    scene.node.expect(["run", "--detach", "hostile", "--name", "flood-kept", "--", "output-flood"]);
    let kept = loop {
        let logs = scene.node.run(["logs", "flood-kept"]);
        assert!(logs.status.success(), "{}", String::from_utf8_lossy(&logs.stderr));
        if String::from_utf8_lossy(&logs.stderr).contains("are gone") {
            break logs.stdout;
        }
    };
    assert!(!kept.is_empty() && kept.len() <= OUTPUT_LIMIT_BYTES, "{} bytes", kept.len());
    scene.all_is_well();
    let files = ["0", "1"].map(|part| scene.node.state().join(format!("powerbox/output/flood-kept.{part}")));
    let bytes: u64 = files.iter().map(|file| file.metadata().expect("output is kept there").len()).sum();
    // Each of the two has a few bytes that say which is newer.
    assert!(bytes <= OUTPUT_LIMIT_BYTES as u64 + 64, "{bytes} bytes on disk");
    assert_eq!(scene.instance("flood-kept")["state"], "running");
    scene.node.expect(["stop", "flood-kept"]);
    scene.recorded("flood-kept", "ended");
}

#[test]
fn who_does_not_come_to_its_door_is_ended_by_a_stop_and_by_the_end_of_its_shell() {
    let scene = Scene::get();
    let unheard = "was told to stop while it waited for something else than its door, and was ended";
    scene.node.expect(["run", "--detach", "hostile", "--name", "sleeper", "--", "never-at-its-door"]);
    scene.node.expect(["stop", "sleeper"]);
    assert!(scene.recorded("sleeper", unheard).contains("143"));
    assert_eq!(scene.instance("sleeper")["last"], unheard);

    let mut attack = scene.start_attack("shell-killed", &[], &["never-at-its-door"]);
    attack.hear("not looking");
    attack.kill_shell();
    scene.recorded("shell-killed", unheard);
    scene.all_is_well();
}
