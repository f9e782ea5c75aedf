//! Words of apps and authors that would steer a terminal: in every listing, prompt and log they are shown, not obeyed.

use crate::asking::forge;
use crate::scene::Scene;
use tests::terminal::Terminal;

/// A title, a cleared screen, a question to the terminal that it answers as if typed; by C0 and by C1 controls; text
/// turned around; a line that looks like the system's own.
const ESCAPES: &str =
    "ok\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}2J\u{1b}[6n\u{90}\u{202e}gnitirw\u{2066}\u{200b}\r\nlatch: granted";

/// Whether a terminal would only show this.
#[track_caller]
fn is_harmless(what: &str, bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: not text, {error}: {bytes:?}"));
    let steers = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    assert!(!text.contains(steers), "{what} steers the terminal: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("latch: granted")), "{what} speaks as the system: {text}");
}

#[track_caller]
fn all_harmless(scene: &Scene, commands: &[&[&str]]) {
    for words in commands {
        for json in [false, true] {
            let all: Vec<&str> = words.iter().copied().chain(json.then_some("--json")).collect();
            let output = scene.node.run(&all);
            is_harmless(&format!("{all:?}"), &output.stdout);
            is_harmless(&format!("{all:?} (standard error)"), &output.stderr);
        }
    }
}

#[test]
fn an_authors_words_are_shown_and_not_obeyed() {
    let scene = Scene::get();
    let file = scene.node.scratch().join("escaper.latch");
    let line = ESCAPES.replace(['\r', '\n'], "");
    let package = forge::changed("escaper", |manifest| {
        manifest.author_name.clone_from(&line);
        manifest.description.clone_from(&line);
        manifest.requests[0].reason.clone_from(&line);
    });
    std::fs::write(&file, package).expect("room for a package");
    let file = file.to_str().expect("a plain path");
    all_harmless(&scene, &[&["install", file]]);
    let installed = scene.node.run(["install", file, "--trust"]);
    is_harmless("install --trust", &installed.stdout);
    is_harmless("install --trust (standard error)", &installed.stderr);
    // Whether it is taken or refused for its words: they are shown safely from then on.
    all_harmless(
        &scene,
        &[&["install"], &["trust"], &["ps", "--all"], &["log"], &["status"], &["doctor"], &["offers"]],
    );
    if installed.status.success() {
        scene.node.expect(["uninstall", "escaper"]);
    }
}

#[test]
fn a_name_that_steers_a_terminal_is_no_name() {
    let scene = Scene::get();
    let file = scene.node.scratch().join(format!("{}.latch", ESCAPES.replace('/', "")));
    // What the library that signs would not sign: words of the same length, exchanged afterwards.
    let plain = "1.0.0-".to_owned() + &"a".repeat(ESCAPES.len() - 6);
    let name = "a".repeat(ESCAPES.len());
    type Change = fn(&mut package::Manifest, String);
    let changes: [(&str, &str, Change); 5] = [
        ("name", &name, |manifest, text| manifest.name = text),
        ("version", &plain, |manifest, text| manifest.version = text),
        ("label", &name, |manifest, text| manifest.requests[0].label = text),
        ("description", &name, |manifest, text| manifest.description = text),
        ("author's name", &name, |manifest, text| manifest.author_name = text),
    ];
    for (what, placeholder, change) in changes {
        let good = forge::changed("named", |manifest| change(manifest, placeholder.to_owned()));
        std::fs::write(&file, forge::exchanged(good, placeholder, ESCAPES)).expect("room for a package");
        let refused = scene.node.run(["install".as_ref(), file.as_os_str(), "--trust".as_ref()]);
        // An author's own name may be anything. It is only shown.
        assert_eq!(refused.status.code(), Some(i32::from(what != "author's name")), "{what}");
        is_harmless(what, &refused.stdout);
        is_harmless(what, &refused.stderr);
    }
    all_harmless(
        &scene,
        &[
            &["run", ESCAPES],
            &["grant", ESCAPES, "folder=host:/"],
            &["revoke", ESCAPES],
            &["why", ESCAPES],
            &["stop", ESCAPES],
            &["logs", ESCAPES],
        ],
    );
}

#[test]
fn an_apps_reason_is_shown_as_its_own_words() {
    let scene = Scene::get();
    let attack = scene.attack("escapes", &[], &["ask", "escapes"]);
    let requests = scene.node.json(["requests", "--wait"]);
    let rows = requests.as_array().expect("a list");
    let request = rows.iter().find(|row| row["instance"] == "escapes").expect("it asks");
    assert!(request["reason"].as_str().is_some_and(|reason| reason.contains("owned")), "{request}");
    all_harmless(&scene, &[&["requests"], &["ps"], &["log"], &["status"], &["why", "escapes"]]);
    let (id, offer) = (request["id"].as_u64().expect("a number").to_string(), format!("{},ro", scene.offer()));
    scene.node.expect(["approve", &id, &offer]);
    all_harmless(&scene, &[&["grants"], &["grants", "--all"], &["why", "escapes:folder"], &["log"]]);
    scene.node.expect(["stop", "escapes"]);
    let (_, _, told) = attack.end();
    is_harmless("run", told.as_bytes());
    scene.all_is_well();
}

#[test]
fn names_of_files_are_shown_and_not_obeyed() {
    use std::os::unix::ffi::OsStrExt;
    let scene = Scene::get();
    let folder = scene.node.scratch().join("names");
    std::fs::create_dir_all(&folder).expect("room for a folder");
    let names: [&[u8]; 3] = [ESCAPES.as_bytes(), b"\x1b[2J\x9b2J\xff", b"\x85\x90\n"];
    for name in names {
        std::fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), "").expect("room for a file");
    }
    let offer = format!("host:{}", folder.display());
    all_harmless(
        &scene,
        &[
            &["ls", &offer],
            &["cat", &offer, ESCAPES],
            &["rm", &offer, "\u{1b}[2J"],
            &["get", &offer, ESCAPES, "/"],
            &["ls", &offer, "\u{1b}[2J\u{9b}"],
        ],
    );
    let listed = scene.node.json(["ls", &offer]);
    assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");
}

/// The prompt of `latch run`, and what the app itself prints, on a real terminal.
#[test]
fn on_a_terminal_an_app_can_only_write() {
    let scene = Scene::get();
    for (name, how, before) in
        [("on-terminal", "escapes", "in the app's own words"), ("prints", "print-escapes", "harmless")]
    {
        let mut terminal = Terminal::run(&scene.node, &format!("run hostile --name {name} -- ask {how}"));
        // Up to that word, and the app's words after it.
        let seen = terminal.wait_for(before) + &terminal.wait_for("granted");
        for forbidden in ["\u{1b}]", "\u{1b}[2J", "\u{1b}[6n", "\u{9b}", "\u{90}", "\u{202e}", "\u{2066}", "\u{7}"] {
            assert!(!seen.contains(forbidden), "{how}: the terminal is sent {forbidden:?}: {seen:?}");
        }
        assert!(seen.contains("gnitirw"), "{how}: {seen:?}");
        // One waits for its answer; the other ends by itself.
        if how == "escapes" {
            terminal.type_in("\u{3}");
        }
        terminal.end();
    }
    scene.all_is_well();
}
