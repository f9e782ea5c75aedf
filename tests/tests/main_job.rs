//! The main job: somebody else's program, one folder of ours, a look at what it holds, a cut that holds, and the proof.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use tests::node::Node;

/// A node with `search` and `hello` installed, and a folder of ours beside its state.
fn node() -> Node {
    let node = Node::start();
    let project = node.scratch().join("project/src");
    std::fs::create_dir_all(&project).expect("room for a folder");
    std::fs::write(project.join("main.rs"), "fn main() {\n    // needle\n}\n").expect("room for a file");
    std::fs::write(project.join("image.bin"), b"needle\0needle").expect("room for a file");
    for app in ["search", "hello"] {
        node.expect(["install".as_ref(), tests::package(app).as_os_str(), "--trust".as_ref()]);
    }
    node
}

fn folder(node: &Node, options: &str) -> String {
    format!("host:{}{options}", node.scratch().join("project").display())
}

fn preset(node: &Node, options: &str) -> String {
    format!("folder={}", folder(node, options))
}

/// Many files with a match in each, so that a search over them fills every buffer on its way and is then in the middle of its work.
fn fill(node: &Node) {
    let deep = node.scratch().join("project/many");
    std::fs::create_dir_all(&deep).expect("room for a folder");
    let text = "needle and some more words to make a line of it\n".repeat(2_000);
    (0..200).for_each(|number| std::fs::write(deep.join(format!("{number}.txt")), &text).expect("room for a file"));
}

struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// Starts a search that cannot end before its output is read, and waits until it has found something.
    fn search(node: &Node) -> Self {
        fill(node);
        let mut child = node.spawn(["run", "search", "--grant", &preset(node, ",ro"), "--", "needle"]);
        let mut output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut first = String::new();
        output.read_line(&mut first).expect("its output can be read");
        assert!(first.contains("needle"), "not a match: {first}");
        Self { child, output }
    }

    /// Reads all that it still prints: how many bytes, its exit code, and what it said on standard error.
    fn end(mut self) -> (usize, Option<i32>, String) {
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).expect("its output can be read");
        let ended = self.child.wait_with_output().expect("it ends");
        (rest.len(), ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    }
}

#[test]
fn a_request_waits_and_its_approval_lets_the_search_go_on() {
    let node = node();
    let app = node.spawn(["run", "search", "--", "needle"]);
    let requests = node.json(["requests", "--wait"]);
    let request = &requests[0];
    assert_eq!(request["instance"], "search");
    assert_eq!(request["label"], "folder");
    assert_eq!(request["interface_name"], "Directory");
    let id = request["id"].as_u64().expect("requests are numbered").to_string();
    node.expect(["approve", &id, &folder(&node, ",ro")]);
    let output = app.wait_with_output().expect("the search ends");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("src/main.rs") && printed.contains("// needle"), "{printed}");
    assert!(!printed.contains("image.bin"), "a binary file was searched: {printed}");
}

#[test]
fn a_denial_reaches_the_app() {
    let node = node();
    let app = node.spawn(["run", "search", "--", "needle"]);
    let id = node.json(["requests", "--wait"])[0]["id"].as_u64().expect("requests are numbered").to_string();
    node.expect(["deny", &id]);
    let output = app.wait_with_output().expect("the search ends");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("denied"));
}

#[test]
fn a_cut_in_the_middle_holds_and_is_told_and_stays() {
    let node = node();
    let running = Running::search(&node);
    let cut: Value = node.json(["revoke", "search:folder", "--reason", "enough"]);
    assert_eq!(cut["cut"], 1, "{cut}");
    assert_eq!(cut["unconfirmed"].as_array().map(Vec::len), Some(0), "{cut}");
    let (_, code, told) = running.end();
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("revoked"), "{told}");
    let again = node.run(["run", "search", "--", "needle"]);
    assert_eq!(again.status.code(), Some(3), "the label stays revoked until a person grants anew");
    node.expect(["grant", "search", &preset(&node, ",ro")]);
    node.expect(["run", "search", "--", "needle"]);
    let verified = node.json(["log", "--verify"]);
    assert_eq!(verified["ok"], true, "{verified}");
}

#[test]
fn an_open_grant_does_not_notice_that_the_powerbox_dies() {
    let node = node();
    let running = Running::search(&node);
    let before = powerbox(&node);
    kill(before["pid"].as_u64().expect("it has a number"));
    let (bytes, code, told) = running.end();
    // the search ends as if nothing had been: every line of every file is there
    assert_eq!(code, Some(0), "{told}");
    assert!(bytes > 200 * 2_000 * 20, "only {bytes} bytes");
    let after = powerbox(&node);
    assert_ne!(before["pid"], after["pid"]);
    assert!(after["restarts"].as_u64() >= Some(1), "status does not tell: {after}");
}

#[test]
fn what_holds_the_others_in_is_still_told_after_the_powerbox_died() {
    let node = node();
    let running = Running::search(&node);
    let before = powerbox(&node);
    let (app, folder) = (confinement(&node, "sandbox"), confinement(&node, "folder"));
    assert!(app.contains("seccomp") && folder.contains("seccomp"), "{app} {folder}");
    kill(before["pid"].as_u64().expect("it has a number"));
    // A command that reaches the one that is dying fails, and says so.
    while !node.run(["status"]).status.success() {}
    assert_ne!(before["pid"], powerbox(&node)["pid"]);
    assert_eq!((confinement(&node, "sandbox"), confinement(&node, "folder")), (app, folder));
    drop(running.end());
}

#[test]
fn who_holds_what_and_why_can_be_seen() {
    let node = node();
    node.expect(["run", "search", "--grant", &preset(&node, ",ro,expires=1h,calls=100000"), "--", "needle"]);
    let grants = node.json(["grants"]);
    let grant = &grants[0];
    assert_eq!(grant["holder"], "search");
    assert_eq!(grant["label"], "folder");
    assert_eq!(grant["calls"], 100_000);
    assert!(grant["expires_at_ms"].as_u64().is_some());
    assert!(grant["used_calls"].as_u64() > Some(0), "nothing was metered: {grant}");
    let left = grant["calls_left"].as_u64().expect("a budget");
    assert_eq!(left + grant["used_calls"].as_u64().expect("a meter"), 100_000, "an orderly end gives the rest back");
    let why = node.expect(["why", "search:folder"]);
    assert!(why.contains("search") && why.contains("project"), "{why}");
    assert!(why.contains(&format!("so far {} calls (0 failed)", grant["used_calls"])), "{why}");
    assert!(why.contains("File.read") && !why.contains("refused"), "what it did is not told: {why}");
}

#[test]
fn a_budget_of_calls_ends_the_grant_when_it_is_used_up() {
    let node = node();
    let output = node.run(["run", "search", "--grant", &preset(&node, ",ro,calls=2"), "--", "needle"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{told}");
    // It is not asked for anew: only a person gives more, and is told how.
    let again = node.run(["run", "search", "--", "needle"]);
    let told = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(3), "the budget was refilled: {told}");
    assert!(told.contains("latch grant search folder="), "{told}");
}

#[test]
fn a_method_that_is_not_allowed_is_named() {
    let node = node();
    let methods = ",ro,methods=Directory.list+Directory.stat+Directory.openDirectory";
    let output = node.run(["run", "search", "--grant", &preset(&node, methods), "--", "needle"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("does not allow Directory.openFile"), "{told}");
    // The service tells what was done when the link ends, and nobody waits for that.
    let refused = (0..1_000).find_map(|_| node.json(["grants"])[0]["refused"].as_u64().filter(|refused| *refused > 0));
    let refused = refused.expect("that it was refused is told");
    assert!(node.expect(["grants"]).contains(&format!("refused {refused} times")));
    let why = node.expect(["why", "search:folder"]);
    assert!(why.contains(&format!("and {refused} calls that were refused")), "{why}");
    assert!(why.contains("Directory.list:") && !why.contains("Directory.openFile:"), "{why}");
    let lines = node.json(["why", "search:folder"]);
    let lines = lines.as_array().expect("lines").iter().filter_map(|line| line["text"].as_str());
    assert_eq!(lines.filter(|line| line.contains("that were refused")).count(), 1, "{why}");
}

#[test]
fn the_shell_uses_a_folder_like_any_other_holder() {
    let node = node();
    let folder = folder(&node, "");
    let local = node.scratch().join("local.txt");
    std::fs::write(&local, "from here\n").expect("room for a file");
    node.expect(["put".as_ref(), local.as_os_str(), folder.as_ref(), "new.txt".as_ref()]);
    assert_eq!(node.expect(["cat", &folder, "new.txt"]), "from here\n");
    assert!(node.expect(["ls", &folder]).contains("new.txt"));
    node.expect(["rm", &folder, "new.txt"]);
    assert!(!node.expect(["ls", &folder]).contains("new.txt"));
    let open = node.json(["grants"]);
    assert_eq!(open.as_array().map(Vec::len), Some(0), "what a shell uses is not kept: {open}");
}

fn powerbox(node: &Node) -> Value {
    process(node, "powerbox")
}

/// The process of this image.
fn process(node: &Node, image: &str) -> Value {
    let status = node.json(["status"]);
    let processes = status["processes"].as_array().expect("processes are listed");
    processes.iter().find(|process| process["image"] == image).unwrap_or_else(|| panic!("no {image} runs")).clone()
}

/// What `status` says of how the process of this image is confined, and of which process.
fn confinement(node: &Node, image: &str) -> String {
    let process = process(node, image);
    format!("{} {} missing {}", process["pid"], process["confinement"], process["missing"])
}

fn kill(pid: u64) {
    let status = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill runs");
    assert!(status.success(), "no process {pid}");
}

#[test]
fn an_app_whose_reader_has_gone_ends() {
    use std::io::BufRead;
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("search").as_os_str(), "--trust".as_ref()]);
    let folder = node.scratch().join("long");
    std::fs::create_dir(&folder).expect("room for a folder");
    std::fs::write(folder.join("long.txt"), "needle\n".repeat(1_000_000)).expect("room for a file");
    let grant = format!("folder=host:{},ro", folder.display());
    let mut run = node.latch(["run", "search", "--grant", &grant, "--", "needle"]);
    run.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut run = run.stdout(std::process::Stdio::piped()).spawn().expect("latch runs");
    let mut output = std::io::BufReader::new(run.stdout.take().expect("its output is a pipe"));
    output.read_line(&mut String::new()).expect("the first match comes");
    drop(output);
    // As `latch run … | head -1` does; it used to wait for ever.
    tests::until("latch still runs", || run.try_wait().is_ok_and(|ended| ended.is_some()));
}
