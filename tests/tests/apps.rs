//! Apps as a person runs them: what they print of a real folder.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use tests::node::Node;

/// What `latch run` prints of an app that was given a folder.
fn run(node: &Node, app: &str, folder: &Path, rights: &str, words: &[&str]) -> String {
    let grant = format!("folder=host:{}{rights}", folder.display());
    let options = ["run", app, "--grant", &grant, "--"];
    node.expect(options.iter().chain(words))
}

#[test]
fn an_append_only_folder_takes_and_shows_and_changes_nothing() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("append").as_os_str(), "--trust".as_ref()]);
    let folder = node.scratch().join("diary");
    std::fs::create_dir(&folder).expect("room for a folder");
    std::fs::write(folder.join("page"), "old\n").expect("room for a file");
    // Whatever more is offered, the app asked to add and gets that.
    for rights in ["", ",append", ",rw"] {
        let said = run(&node, "append", &folder, rights, &["page", "only"]);
        let expected = "add: done\nmake a folder: done\nlist: NotPermitted\nlook: NotPermitted\nread: NotPermitted\n\
                        read what is open: NotPermitted\nwrite over: AppendOnly\ntruncate: AppendOnly\n\
                        rename: AppendOnly\nremove: AppendOnly\n\
                        given back: [Some(GivenBack), Some(GivenBack)]\n";
        assert_eq!(said, expected, "granted with {rights:?}");
        std::fs::remove_dir(folder.join("made")).expect("it was made");
        let held = node.json(["grants"]);
        assert_eq!(held.as_array().map(Vec::len), Some(0), "it was given back: {held}");
    }
    let line = format!("{:>15}\n", 0);
    assert_eq!(std::fs::read_to_string(folder.join("page")).expect("it is there"), format!("old\n{}", line.repeat(3)));
    assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 1, "renamed or made something else");
}

/// Waits for the first line of the log with these words in it.
fn until_recorded(node: &Node, words: &str) {
    let mut follow = node.spawn(["log", "--follow"]);
    let lines = BufReader::new(follow.stdout.take().expect("its output is a pipe")).lines();
    let found = lines.map_while(Result::ok).any(|line| line.contains(words));
    follow.kill().expect("it runs");
    follow.wait().expect("it can be waited for");
    assert!(found, "the log ended without: {words}");
}

#[test]
fn who_fails_again_and_again_is_given_up_and_shown_with_what_to_do() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("hostile").as_os_str(), "--trust".as_ref()]);
    node.expect(["run", "--detach", "hostile", "--name", "refused", "--", "return", "3"]);
    until_recorded(&node, "refused failed 4 times in a row");
    let shown = node.json(["ps"]);
    assert_eq!(shown[0]["name"], "refused", "{shown}");
    assert_eq!(shown[0]["state"], "given up: ended with code 3 each time");
    let status = node.expect(["status"]);
    assert!(status.contains("`latch logs refused`") && status.contains("`latch run --detach`"), "{status}");
    // Once a person starts it anew it counts from the beginning.
    node.expect(["run", "--detach", "hostile", "--name", "refused", "--", "never-at-its-door"]);
    assert_eq!(node.json(["ps"])[0]["detached"], true);
    let status = node.expect(["status"]);
    assert!(!status.contains("warning"), "what it warned of is over: {status}");
    node.expect(["stop", "refused", "--kill"]);
}

#[test]
fn a_folder_that_is_not_there_is_warned_of_as_long_as_it_is_granted() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("hello").as_os_str(), "--trust".as_ref()]);
    let folder = node.scratch().join("given");
    std::fs::create_dir(&folder).expect("room for a folder");
    run(&node, "hello", &folder, "", &[]);
    // Nothing serves it any more when it has gone.
    node.expect(["down"]);
    std::fs::remove_dir(&folder).expect("it is empty");
    node.up();
    node.expect(["run", "--detach", "hello"]);
    let warned = || node.json(["status"])["warnings"].as_array().cloned().unwrap_or_default();
    tests::until("nothing was warned of", || !warned().is_empty());
    let warnings = warned();
    assert!(warnings[0]["text"].as_str().is_some_and(|text| text.contains("could not be linked")), "{warnings:?}");
    assert!(warnings[0]["at_ms"].is_u64() && node.expect(["status"]).contains(" ago)\n"), "it says when");
    node.expect(["revoke", "hello:folder"]);
    assert_eq!(warned(), Vec::<serde_json::Value>::new(), "its cause is gone");
    // Whether its app has ended by now or not, nothing of it is wanted any more.
    node.run(["stop", "hello", "--kill"]);
}

/// What both print, in some order, without what stands between groups of context.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> =
        text.lines().map(|line| line.strip_prefix("./").unwrap_or(line)).filter(|line| *line != "--").collect();
    lines.sort_unstable();
    lines
}

#[test]
fn search_finds_what_grep_finds() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("search").as_os_str(), "--trust".as_ref()]);
    let folder = node.scratch().join("text");
    let long = format!("{} needle {}\n", "x".repeat(100_000), "y".repeat(100_000));
    let files: [(&str, &[u8]); 9] = [
        ("plain.txt", b"one needle\ntwo\nthree Needle\n\nneedles\n"),
        ("sub/deep/er/code.rs", b"fn main() {\n    let a = &[1];\n}\n"),
        ("sub/windows.txt", b"needle\r\nother\r\n"),
        ("no-end.txt", b"a\nneedle at the end"),
        ("empty.txt", b""),
        ("binary", b"needle\0needle\n"),
        ("latin.txt", b"caf\xe9 needle\n"),
        ("long.txt", long.as_bytes()),
        ("many.txt", &b"a needle in a line\nhay\nhay\n".repeat(20_000)),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("room for a folder");
        std::fs::write(path, content).expect("room for a file");
    }
    let cases: [(&[&str], &[&str]); 9] = [
        (&["-rn", "needle"], &["needle"]),
        (&["-rnE", "fn [a-z_]+|^$"], &["fn [a-z_]+|^$"]),
        (&["-rnF", "&["], &["-F", "&["]),
        (&["-rni", "NEEDLE"], &["-i", "NEEDLE"]),
        (&["-rnw", "needle"], &["-w", "needle"]),
        (&["-rn", "-C1", "needle at"], &["-C", "1", "needle at"]),
        (&["-rn", "-A2", "Needle"], &["-A", "2", "Needle"]),
        (&["-rl", "needle"], &["-l", "needle"]),
        (&["-rn", "--include=*.rs", "a"], &["-g", "*.rs", "a"]),
    ];
    for (theirs, ours) in cases {
        let mut grep = std::process::Command::new("grep");
        // In bytes, as the search is; without what it takes for not text.
        let found = grep.env("LC_ALL", "C").arg("-I").args(theirs).arg(".").current_dir(&folder).output();
        let found = found.expect("grep is on every machine that builds this").stdout;
        let found = String::from_utf8_lossy(&found);
        let said = run(&node, "search", &folder, ",ro", ours);
        assert!(!found.is_empty());
        assert_eq!(lines(&said), lines(&found), "search {ours:?}");
    }
}
