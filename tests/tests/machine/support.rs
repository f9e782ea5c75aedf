//! What these tests do with a node again and again.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde_json::Value;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tests::node::Node;

/// What `search` was compiled to, by its file's name: once for all nodes of these tests.
static COMPILED: Mutex<Vec<(OsString, Vec<u8>)>> = Mutex::new(Vec::new());

/// Puts `search` and a folder with one match into a node.
pub(crate) fn furnish(node: &Node) {
    let project = node.scratch().join("project");
    std::fs::create_dir_all(&project).expect("room for a folder");
    std::fs::write(project.join("a.txt"), "a needle\n").expect("room for a file");
    let package = node.scratch().join("search.latch");
    std::fs::copy(tests::package("search"), &package).expect("room for a package");
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = powerbox(node).join("compiled");
    let owner = std::fs::metadata(&folder).expect("the node has a place for it");
    for (name, bytes) in compiled.iter() {
        std::fs::write(folder.join(name), bytes).expect("room for it");
        chown(folder.join(name), Some(owner.uid()), Some(owner.gid())).expect("it can be given to the powerbox");
    }
    node.expect(["install".as_ref(), package.as_os_str(), "--trust".as_ref()]);
    if compiled.is_empty() {
        let files = contents(&folder).into_iter();
        *compiled = files.map(|(path, bytes)| (path.file_name().expect("a name").to_owned(), bytes)).collect();
    }
}

/// What `--grant` takes to give `search` the folder read-only.
pub(crate) fn grant(node: &Node) -> String {
    format!("folder=host:{},ro", node.scratch().join("project").display())
}

/// The main job: somebody else's program with one folder of ours.
pub(crate) fn search(node: &Node) {
    let printed = node.expect(["run", "search", "--grant", &grant(node), "--", "needle"]);
    assert!(printed.contains("a.txt:1:a needle"), "{printed}");
}

/// The same with what was granted before.
pub(crate) fn search_again(node: &Node) {
    let printed = node.expect(["run", "search", "--", "needle"]);
    assert!(printed.contains("a.txt:1:a needle"), "{printed}");
}

/// What the doctor finds wrong: each with its remedy.
pub(crate) fn complaints(node: &Node) -> Vec<(String, String, String)> {
    let output = node.run(["doctor", "--json"]);
    let findings: Value = serde_json::from_slice(&output.stdout).expect("findings");
    let all = findings.as_array().expect("a list");
    let bad: Vec<_> = all
        .iter()
        .filter(|finding| finding["ok"] == false)
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().expect("a text").to_owned();
            (text("subject"), text("text"), text("remedy"))
        })
        .collect();
    assert_eq!(output.status.code(), Some(i32::from(!bad.is_empty())), "{findings}");
    bad
}

/// The doctor complains of this subject in words with `text`, and its remedy has `remedy`.
pub(crate) fn explained(node: &Node, subject: &str, text: &str, remedy: &str) {
    let complaints = complaints(node);
    let fits = |of: &&(String, String, String)| of.0 == subject && of.1.contains(text) && of.2.contains(remedy);
    assert!(complaints.iter().find(fits).is_some(), "no {subject}: {text} -> {remedy} in {complaints:?}");
}

/// The node does not start, and says why in these words.
pub(crate) fn does_not_start(node: &Node, words: &[&str]) {
    let told = node.refused(["up"]);
    for word in words {
        assert!(told.contains(word), "no {word:?}: {told}");
    }
    assert!(told.contains("next: "), "nothing to do: {told}");
}

/// Every file below a folder with its bytes.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

/// The powerbox's own folder.
pub(crate) fn powerbox(node: &Node) -> PathBuf {
    node.state().join("powerbox")
}

/// The node's process of this image, as `status` shows it.
pub(crate) fn process(node: &Node, image: &str) -> Value {
    let status = node.json(["status"]);
    let processes = status["processes"].as_array().expect("processes are listed");
    processes.iter().find(|process| process["image"] == image).unwrap_or_else(|| panic!("no {image}: {status}")).clone()
}

/// The process that holds the lock on this file of the state.
pub(crate) fn holder(node: &Node, lock: &str) -> u64 {
    let inode = std::fs::metadata(node.state().join(lock)).expect("a lock").ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").expect("locks are listed");
    let line = locks.lines().find(|line| line.contains("FLOCK") && line.contains(&format!(":{inode} ")));
    let line = line.unwrap_or_else(|| panic!("nobody holds {lock}: {locks}"));
    line.split_whitespace().nth(4).expect("a process").parse().expect("a number")
}

/// What can be waited for until a process has ended.
pub(crate) fn watch(pid: u64) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process")).expect("a process");
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).expect("it runs")
}

pub(crate) fn await_end(process: &OwnedFd) {
    poll(&mut [PollFd::new(process, PollFlags::IN)], None).expect("its end can be waited for");
}

/// Kills a process, and returns when it has ended.
pub(crate) fn kill(pid: u64) {
    let process = watch(pid);
    rustix::process::pidfd_send_signal(&process, Signal::KILL).expect("it runs");
    await_end(&process);
}

/// Nothing was lost: this grant is there, the log is whole.
pub(crate) fn nothing_lost(node: &Node) {
    let grants = node.json(["grants"]);
    assert_eq!(grants[0]["holder"], "search", "{grants}");
    assert_eq!(node.json(["log", "--verify"])["ok"], true);
    search_again(node);
}
