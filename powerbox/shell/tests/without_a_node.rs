//! What `latch` says and returns where no node runs.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A state folder that nothing uses; removed when it is dropped.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("latch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn latch(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latch"));
        let state = self.folder.join("state");
        command.args(words).env("LATCH_STATE", state).env_remove("LATCH_LIBEXEC").stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_command_that_needs_a_node_says_how_to_start_one() {
    let scratch = Scratch::new("needs");
    let commands: &[&[&str]] = &[
        &["status"],
        &["install"],
        &["ps"],
        &["stop", "x"],
        &["logs", "x"],
        &["uninstall", "x"],
        &["trust"],
        &["offers"],
        &["requests"],
        &["approve", "1", "host:/"],
        &["deny", "1"],
        &["grants"],
        &["grant", "x", "docs=host:/"],
        &["revoke", "1"],
        &["why", "1"],
        &["log"],
        &["log", "--verify"],
        &["ls", "1"],
        &["cat", "1", "a"],
        &["put", "/etc/hostname", "1"],
        &["get", "1", "a"],
        &["rm", "1", "a"],
        &["store"],
        &["store", "compact"],
        &["fsck", "--repair"],
        &["cap", "readers", "storage:/x"],
        &["cap", "export", "storage:/x", "--out", "/nowhere"],
    ];
    for words in commands {
        let output = scratch.latch(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("next: latch up"), "{words:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{words:?}");
    }
    let elsewhere = scratch.folder.join("an other");
    let output = scratch.latch(&["--state", elsewhere.to_str().unwrap(), "ps"]);
    let next = format!("next: latch --state '{}' up", elsewhere.display());
    assert!(stderr(&output).contains(&next), "{}", stderr(&output));
}

#[test]
fn under_run_the_codes_are_apart_from_an_apps() {
    let scratch = Scratch::new("run");
    let output = scratch.latch(&["run", "search", "--", "x"]);
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(stderr(&output).contains("next: latch up"));
    let senseless: &[&[&str]] =
        &[&["run"], &["--json", "run", "search", "--grnt"], &["run", "search", "--grant", "docs"], &["run", "-x", "y"]];
    for words in senseless {
        assert_eq!(scratch.latch(words).status.code(), Some(125), "{words:?}");
    }
    let help = scratch.latch(&["run", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    for code in ["124 ", "125 ", "126 ", "127 ", "128+N ", "130 ", "134 ", "143 "] {
        assert!(stdout(&help).contains(code), "{code}");
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_2() {
    let scratch = Scratch::new("usage");
    let cases: &[&[&str]] = &[
        &[],
        &["fly"],
        &["revoke"],
        &["approve", "x", "host:/"],
        &["log", "--follow", "--verify"],
        &["grant", "search"],
    ];
    for words in cases {
        assert_eq!(scratch.latch(words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_node_that_is_down_is_down() {
    let scratch = Scratch::new("down");
    let output = scratch.latch(&["down"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("not running"));
}

#[test]
fn the_doctor_works_without_a_node() {
    let scratch = Scratch::new("doctor");
    let output = scratch.latch(&["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stdout(&output).contains("latch up"), "{}", stdout(&output));
    let output = scratch.latch(&["doctor", "--json"]);
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let node = findings.iter().find(|finding| finding["subject"] == "node").unwrap();
    assert_eq!((node["ok"].as_bool(), node["remedy"].as_str()), (Some(false), Some("latch up")));
}

#[test]
fn up_without_a_kernel_names_what_is_missing() {
    let scratch = Scratch::new("up");
    let libexec = scratch.folder.join("empty");
    let output = scratch.latch(&["up", "--libexec", libexec.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("latch-kernel"), "{}", stderr(&output));
}

/// A kernel that is only a script: what `up`, its parent and `down` do around it is the real thing.
#[cfg(test)]
mod with_a_false_kernel {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn kernel(scratch: &Scratch, script: &str) -> PathBuf {
        let libexec = scratch.folder.join("libexec");
        std::fs::create_dir_all(&libexec).unwrap();
        let kernel = libexec.join("latch-kernel");
        std::fs::write(&kernel, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&kernel, std::fs::Permissions::from_mode(0o755)).unwrap();
        libexec
    }

    #[test]
    fn a_kernel_that_refuses_is_heard() {
        let scratch = Scratch::new("refuses");
        let libexec = kernel(&scratch, "echo 'latch-kernel: the state is too new: update latch' >&2; exit 1");
        let output = scratch.latch(&["up", "--libexec", libexec.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("the state is too new"), "{}", stderr(&output));
    }

    /// What the kernel's place is taken by below: it holds the state's lock, says READY, and listens to nobody.
    #[test]
    #[ignore = "this is a process of the next test"]
    fn be_a_hung_kernel() {
        let arguments = std::env::var("LATCH_TEST_ARGUMENTS").unwrap();
        let words: Vec<&str> = arguments.split(' ').collect();
        let after = |name: &str| words[words.iter().position(|word| *word == name).unwrap() + 1];
        let lock = std::fs::File::create(std::path::Path::new(after("--state")).join("lock")).unwrap();
        lock.lock().unwrap();
        let ready = vat::native::take_inherited(after("--ready-fd").parse().unwrap()).unwrap();
        std::fs::File::from(ready).write_all(b"READY\n").unwrap();
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn a_hung_kernel_and_its_parent_are_ended() {
        let scratch = Scratch::new("hung");
        let own = std::env::current_exe().unwrap();
        let script = format!(
            "trap '' TERM; LATCH_TEST_ARGUMENTS=\"$*\" exec {} --ignored --exact with_a_false_kernel::be_a_hung_kernel",
            own.display()
        );
        let libexec = kernel(&scratch, &script);
        let output = scratch.latch(&["up", "--libexec", libexec.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let output = scratch.latch(&["down", "--kill"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("killing the kernel"), "{}", stderr(&output));
        let output = scratch.latch(&["down"]);
        assert!(stdout(&output).contains("not running"), "{}", stdout(&output));
    }
}
