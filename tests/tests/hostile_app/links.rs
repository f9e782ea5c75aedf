//! What an app can do on its links: on its session to the powerbox and on the link to a granted folder.

use crate::scene::Scene;

/// The app's exit code for "my link was cut".
const CUT: i32 = 42;
/// Garbage differs from run to run only where somebody changes this.
const SEED: u64 = 20_261_120;

/// What is done, and what the log says of it where it is done on a session and on a folder's link. Nothing: it is no
/// misbehaviour there.
const ATTACKS: &[(&str, Option<&str>, Option<&str>)] = &[
    ("many-segments", Some("a frame of 4294967296 segments"), Some("a frame of 4294967296 segments")),
    ("huge-segment", Some("a message of 4294967288 bytes"), Some("a message of 4294967288 bytes")),
    ("reference", Some("data only"), None),
    ("promise", Some("data only"), Some("a promise")),
    ("promise-to-itself", Some("data only"), Some("a promise")),
    ("promise-to-hosted", Some("data only"), Some("a promise")),
    ("promise-to-answer", Some("data only"), Some("a promise")),
    ("unanswered", Some("unfinished calls"), Some("unfinished calls")),
    ("unread", Some("not read"), Some("unfinished calls")),
    // One byte of a header, and no more for as long as a peer may take: the slowest, so it is last.
    ("slow-header", Some("not finished in time"), Some("not finished in time")),
];

#[track_caller]
fn is_cut(scene: &Scene, link: &str, words: &[&str], reason: &str) {
    let instance = format!("{link}-{}", words[0]);
    let options = if link == "folder" { scene.preset().to_vec() } else { Vec::new() };
    let words: Vec<&str> = [link].into_iter().chain(words.iter().copied()).collect();
    let attack = scene.attack(&instance, &options, &words);
    scene.all_is_well();
    let (code, said, told) = attack.end();
    assert_eq!(code, Some(CUT), "{instance}: {said}{told}");
    let record = scene.recorded(&instance, reason);
    assert!(record.contains("misbehav"), "{record}");
    scene.all_is_well();
}

#[test]
fn a_session_on_which_something_is_done_wrong_is_cut() {
    let scene = Scene::get();
    ATTACKS.iter().filter_map(|(attack, reason, _)| Some((attack, (*reason)?))).for_each(|(attack, reason)| {
        is_cut(&scene, "session", &[attack], reason);
    });
}

#[test]
fn a_folders_link_on_which_something_is_done_wrong_is_cut() {
    let scene = Scene::get();
    ATTACKS.iter().filter_map(|(attack, _, reason)| Some((attack, (*reason)?))).for_each(|(attack, reason)| {
        is_cut(&scene, "folder", &[attack], reason);
    });
}

#[test]
fn garbage_cuts_a_session() {
    let scene = Scene::get();
    is_cut(&scene, "session", &["garbage", &SEED.to_string()], "misbehaved");
}

/// Whoever has it done to each new link as well is not written down each time. (From the seventeenth on it has to wait for
/// its links.)
#[test]
fn garbage_cuts_a_folders_link_as_often_as_it_comes() {
    let scene = Scene::get();
    eprintln!("seed {SEED}");
    is_cut(&scene, "folder", &["garbage-again", &SEED.to_string(), "20"], "goes on misbehaving");
    let log = scene.node.expect(["log"]);
    let notes = log.lines().filter(|line| line.contains("folder-garbage-again") && line.contains("misbehav")).count();
    assert_eq!(notes, 16, "an app fills the log");
}

#[test]
fn a_reference_to_an_object_of_its_own_is_an_apps_good_right_on_a_grant() {
    let scene = Scene::get();
    let attack = scene.attack("folder-reference", &scene.preset(), &["folder", "reference"]);
    scene.all_is_well();
    scene.node.expect(["stop", "folder-reference"]);
    let (code, said, told) = attack.end();
    assert_eq!(code, Some(0), "it was not cut, and ended when it was told to: {said}{told}");
}

#[test]
fn a_link_that_is_dropped_in_the_middle_of_a_call_leaves_nothing_behind() {
    let scene = Scene::get();
    for link in ["session", "folder"] {
        let instance = format!("{link}-dropped");
        let options = if link == "folder" { scene.preset().to_vec() } else { Vec::new() };
        let (code, said, told) = scene.attack(&instance, &options, &[link, "drop-mid-call"]).end();
        assert_eq!(code, Some(CUT), "{said}{told}");
        scene.all_is_well();
        assert!(scene.recorded(&instance, "ended with code 42").contains("exit"));
    }
    let why = scene.node.expect(["why", "folder-dropped:folder"]);
    assert!(why.contains("not in use now"), "{why}");
}
