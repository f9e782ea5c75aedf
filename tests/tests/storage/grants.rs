//! Folders of the store in the hands of apps: rights, quotas, and being taken away.

use crate::{node, restart};
use std::io::{BufRead, BufReader};
use tests::node::Node;

fn install(node: &Node, app: &str) {
    node.expect(["install".as_ref(), tests::package(app).as_os_str(), "--trust".as_ref()]);
}

#[test]
fn an_app_searches_a_stored_folder_as_any_other() {
    let node = node();
    install(&node, "search");
    node.store("storage:/project/deep/er", "a.txt", b"a needle\n");
    node.store("storage:/other", "b.txt", b"another needle\n");
    let words = ["run", "search", "--grant", "folder=storage:/project,ro", "--", "needle"];
    let printed = node.expect(words);
    assert!(printed.contains("deep/er/a.txt:1:a needle") && !printed.contains("b.txt"), "{printed}");
    restart(&node);
    let again = node.expect(["run", "search", "--", "needle"]);
    assert_eq!(again, printed, "the grant outlives the node");
}

#[test]
fn rights_hold_on_stored_folders_as_on_others() {
    let node = node();
    install(&node, "append");
    node.store("storage:/diary", "page", b"old\n");
    let said = node.expect(["run", "append", "--grant", "folder=storage:/diary,append", "--", "page", "only"]);
    let expected = "add: done\nmake a folder: done\nlist: NotPermitted\nlook: NotPermitted\nread: NotPermitted\n\
                    read what is open: NotPermitted\nwrite over: AppendOnly\ntruncate: AppendOnly\n\
                    rename: AppendOnly\nremove: AppendOnly\n\
                    given back: [Some(GivenBack), Some(GivenBack)]\n";
    assert_eq!(said, expected);
    assert_eq!(node.stored("storage:/diary", "page"), format!("old\n{:>15}\n", 0).as_bytes());
}

#[test]
fn who_grants_more_than_before_gives_it_in_the_place_of_that() {
    let node = node();
    install(&node, "notes");
    let add = ["run", "notes", "--grant", "notes=storage:/notes,ro", "--", "add", "Title", "text"];
    assert_ne!(node.run(add).status.code(), Some(0), "it may only read");
    let granted = node.expect(["grant", "notes", "notes=storage:/notes,rw"]);
    assert!(granted.starts_with("granted notes:notes = storage:/notes, read-write (#"), "{granted}");
    node.expect(["run", "notes", "--", "add", "Title", "text"]);
    let held = node.json(["grants", "notes"]);
    assert_eq!(held.as_array().map(Vec::len), Some(1), "one in the place of the other: {held}");
    // What it holds cannot be narrowed by a part of itself, and is not lost by the try.
    let told = node.refused(["grant", "notes", "notes=notes:notes,ro"]);
    assert!(told.contains("Give storage:/notes itself as notes"), "{told}");
    assert_eq!(node.json(["grants", "notes"])[0]["id"], held[0]["id"]);
    let granted = node.expect(["grant", "notes", "notes=storage:/notes,ro"]);
    assert!(granted.contains(", read-only (#"), "{granted}");
    assert_ne!(node.run(["run", "notes", "--", "add", "Other", "text"]).status.code(), Some(0));
}

#[test]
fn what_was_revoked_is_given_back_with_its_limits() {
    let node = node();
    install(&node, "notes");
    let limits = "notes=storage:/notes,quota=1MiB,expires=2h";
    node.expect(["run", "notes", "--grant", limits, "--", "add", "Title", "text"]);
    node.expect(["revoke", "notes:notes"]);
    let told = String::from_utf8(node.run(["run", "notes", "--", "list"]).stderr).unwrap();
    let command = "latch grant notes notes=storage:/notes,rw,expires=2h,quota=1MiB";
    assert!(told.lines().any(|line| line.ends_with(command)), "{told}");
    node.expect(command.split(' ').skip(1));
    assert_eq!(node.json(["grants", "notes"])[0]["quota"], 1 << 20);
    node.expect(["run", "notes", "--", "list"]);
}

#[test]
fn two_apps_with_a_folder_each_see_only_theirs() {
    let node = node();
    install(&node, "search");
    for who in ["one", "two"] {
        node.store(&format!("storage:/{who}"), &format!("{who}.txt"), b"needle\n");
    }
    for (who, other) in [("one", "two"), ("two", "one")] {
        let grant = format!("folder=storage:/{who},ro");
        let printed = node.expect(["run", "search", "--name", who, "--grant", &grant, "--", "needle"]);
        assert!(printed.contains(&format!("{who}.txt")) && !printed.contains(other), "{printed}");
        let shown = node.expect(["ls", &format!("{who}:folder")]);
        assert_eq!(shown, format!("{who}.txt\n"), "one sees what it sees");
    }
}

#[test]
fn a_grant_that_is_revoked_ends_in_the_middle_of_its_writes() {
    let node = node();
    install(&node, "append");
    let grant = "folder=storage:/lines,append";
    let mut run = node.spawn(["run", "append", "--name", "busy", "--grant", grant, "--", "lines", "16"]);
    let mut output = BufReader::new(run.stdout.take().unwrap());
    let mut first = String::new();
    output.read_line(&mut first).unwrap();
    assert_eq!(first, "begun\n");
    let told = node.json(["revoke", "busy:folder"]);
    assert_eq!((&told["cut"], told["unconfirmed"].as_array().map(Vec::len)), (&1.into(), Some(0)), "{told}");
    let at_quiet = node.stored("storage:/lines", "lines").len();
    let mut last = String::new();
    output.read_line(&mut last).unwrap();
    let ended = run.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3), "{}", String::from_utf8_lossy(&ended.stderr));
    let known: usize = last.trim().strip_prefix("acknowledged ").unwrap().parse().unwrap();
    let (now, line) = (node.stored("storage:/lines", "lines").len(), 16);
    assert_eq!(now, at_quiet, "nothing is written after the revocation is quiet");
    assert!(known * line <= now, "{known} lines were acknowledged, and {now} bytes are there");
    let again = node.run(["run", "append", "--name", "busy", "--", "lines", "16"]);
    assert_eq!(again.status.code(), Some(3), "it stays revoked");
}

#[test]
fn a_quota_is_shown_and_holds_for_two_writers_together() {
    const QUOTA: u64 = 256 << 10;
    let node = node();
    install(&node, "append");
    // One who uses it up; then two at once who have parts of it, and store at its cost.
    let whole = "folder=storage:/full,append,quota=256KiB";
    let full = node.run(["run", "append", "--name", "whole", "--grant", whole, "--", "lines", "16"]);
    let told = String::from_utf8_lossy(&full.stderr);
    assert!(full.status.code() == Some(1) && told.contains("quota"), "{told}");
    node.expect(["rm", "storage:/full", "lines"]);
    let grant = node.json(["grants"])[0]["id"].as_u64().unwrap();
    assert_eq!(node.json(["grants"])[0]["quota"], QUOTA);
    assert!(node.expect(["grants"]).contains("stores at most 256"), "{}", node.expect(["grants"]));
    let writers: Vec<_> = ["one", "two"]
        .map(|who| {
            let part = format!("folder=#{grant},append");
            node.spawn(["run", "append", "--name", who, "--grant", &part, "--", who, "16"])
        })
        .into_iter()
        .collect();
    for writer in writers {
        let ended = writer.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
        assert!(!ended.status.success() && told.to_lowercase().contains("quota"), "{told}");
    }
    let status = node.json(["store"]);
    let accounts = status["accounts"].as_array().unwrap();
    let used = accounts.iter().find(|account| account["grant"] == grant).unwrap()["used_bytes"].as_u64().unwrap();
    assert!(used <= QUOTA, "{used} bytes are stored: {status}");
    assert!(used > QUOTA - (64 << 10), "and it was used up: {used}");
    // What nobody's quota holds back goes on.
    node.store("storage:/other", "file", b"content");
}
