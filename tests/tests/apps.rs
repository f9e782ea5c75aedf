//! Apps as a person runs them: what they print of a real folder.

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
                        rename: AppendOnly\nremove: AppendOnly\n";
        assert_eq!(said, expected, "granted with {rights:?}");
        std::fs::remove_dir(folder.join("made")).expect("it was made");
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
    node.expect(["stop", "refused", "--kill"]);
}
