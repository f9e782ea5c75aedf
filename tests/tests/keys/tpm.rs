//! Keys in a TPM through the whole node: a real TPM in software (`swtpm`), which the test starts and ends.

use crate::moved::copied;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tests::node::Node;
use tests::until;

/// A TPM that is on. What it remembers while it is off lies in a folder.
struct Tpm {
    child: Child,
    socket: PathBuf,
}

impl Tpm {
    /// Nothing where this machine has none in software; the test is named then.
    fn start(memory: &Path, test: &str) -> Option<Self> {
        std::fs::create_dir_all(memory).unwrap();
        let socket = memory.join("socket");
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new("swtpm");
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.arg("--server").arg(format!("type=unixio,path={}", socket.display()));
        command.arg("--tpmstate").arg(format!("dir={}", memory.display()));
        let Ok(child) = command.stdin(Stdio::null()).spawn() else {
            println!("not run: {test}: this machine has no swtpm (Debian: apt-get install swtpm)");
            return None;
        };
        let tpm = Self { child, socket };
        until("the TPM makes no socket", || tpm.socket.exists());
        Some(tpm)
    }

    fn off(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        // One that was turned off is not there to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As somebody who clears the TPM: it remembers nothing, and makes itself new seeds.
fn clear(memory: &Path) {
    std::fs::remove_dir_all(memory).unwrap();
}

fn up(node: &Node, tpm: &Tpm) {
    node.expect(["up".as_ref(), "--tpm".as_ref(), tpm.socket.as_os_str()]);
}

fn unlocked(node: &Node) -> bool {
    node.json(["keys"])["unlocked"] == true
}

/// It says that the TPM is another one, and what to do; nothing is opened.
fn is_refused(node: &Node) {
    // The TPM is asked while the node is up already.
    until("the keys do not say what is wrong with the TPM", || {
        node.json(["keys"])["trouble"].as_str().is_some_and(|trouble| trouble.contains("TPM"))
    });
    assert!(!unlocked(node));
    let told = node.refused(["keys", "unlock"]);
    assert!(told.contains("TPM") && told.contains("next: latch keys restore"), "{told}");
    assert!(node.json(["status"])["warnings"].to_string().contains("keys cannot be used"), "people are told");
    node.refused(["ls", "storage:/"]);
}

#[test]
fn keys_in_a_tpm_need_nobody_and_no_other_tpm_opens_them() {
    let test = "keys_in_a_tpm_need_nobody_and_no_other_tpm_opens_them";
    let memory = tempfile::tempdir().unwrap();
    let (own, others) = (memory.path().join("own"), memory.path().join("others"));
    let Some(tpm) = Tpm::start(&own, test) else { return };
    let node = Node::prepare_in(&std::env::temp_dir());
    up(&node, &tpm);
    node.expect(["keys", "create", "--tpm"]);
    node.store("storage:/", "file", b"content");
    node.expect(["keys", "lock"]);
    assert!(!unlocked(&node));
    node.expect(["keys", "unlock"]);
    assert!(unlocked(&node));
    node.expect(["down"]);
    tpm.off();

    // The machine is started again: nobody is needed.
    let tpm = Tpm::start(&own, test).unwrap();
    up(&node, &tpm);
    until("the keys are not opened by the TPM", || unlocked(&node));
    assert_eq!(node.stored("storage:/", "file"), b"content");
    node.expect(["down"]);
    tpm.off();

    // The state on another machine.
    let other = Tpm::start(&others, test).unwrap();
    let elsewhere = copied(&node, node.scratch());
    up(&elsewhere, &other);
    is_refused(&elsewhere);
    elsewhere.expect(["down"]);
    other.off();

    // Back on its own, and then with that one cleared.
    let tpm = Tpm::start(&own, test).unwrap();
    up(&node, &tpm);
    until("the keys are not opened by the TPM", || unlocked(&node));
    assert_eq!(node.stored("storage:/", "file"), b"content");
    node.expect(["down"]);
    tpm.off();
    clear(&own);
    let tpm = Tpm::start(&own, test).unwrap();
    up(&node, &tpm);
    is_refused(&node);
    node.expect(["down"]);
}
