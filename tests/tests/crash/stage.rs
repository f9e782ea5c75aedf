//! A node whose powerbox can be killed between any two of its steps, with apps that keep it busy.

use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tests::node::Node;
pub(crate) use tests::processes::kill;
use tests::processes::numbers;
use tests::until;

/// What one call of the load adds to its file.
pub(crate) const LINE_BYTES: u64 = 16;

/// A node in which the app `append` is installed.
pub(crate) struct Stage {
    pub(crate) node: Node,
}

impl Stage {
    /// Its powerbox has the fault points.
    pub(crate) fn new() -> Self {
        let stage = Self {
            node: Node::start_with(|scratch| {
                let libexec = libexec(scratch);
                vec![OsString::from("--libexec"), libexec.into_os_string()]
            }),
        };
        stage.node.expect(["install".as_ref(), tests::package("append").as_os_str(), "--trust".as_ref()]);
        stage
    }

    /// A folder beside the state, made where it is not there.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.node.scratch().join(name);
        std::fs::create_dir_all(&folder).expect("room for a folder");
        folder
    }

    /// `label=offer` for a folder beside the state.
    pub(crate) fn spec(&self, label: &str, name: &str, options: &str) -> String {
        format!("{label}=host:{}{options}", self.folder(name).display())
    }

    /// Starts an app that adds lines to the file `lines` of its folder, which has the instance's name, and waits until it
    /// does.
    pub(crate) fn load(&self, instance: &str, depth: usize) {
        let grant = self.spec("folder", instance, ",append");
        let depth = depth.to_string();
        let words = ["run", "append", "--detach", "--name", instance, "--grant", &grant, "--", "lines", &depth];
        self.node.expect(words);
        self.await_growth(instance, 0);
    }

    /// How many bytes the load of an instance has added.
    pub(crate) fn added(&self, instance: &str) -> u64 {
        std::fs::metadata(self.folder(instance).join("lines")).map_or(0, |file| file.len())
    }

    /// Waits until the load has added more.
    pub(crate) fn await_growth(&self, instance: &str, beyond: u64) {
        until(&format!("{instance} adds no lines"), || self.added(instance) > beyond);
    }

    /// Has the powerbox killed at the n-th pass of each of these points, one after the other.
    pub(crate) fn arm(&self, faults: &[(&str, usize)]) {
        let lines: String = faults.iter().map(|(point, pass)| format!("{point} {pass}\n")).collect();
        let new = self.node.scratch().join("faults");
        std::fs::write(&new, lines).expect("room for a file");
        // The powerbox rewrites it: it is its own.
        use std::os::unix::fs::MetadataExt;
        let owner = std::fs::metadata(self.node.state().join("powerbox")).expect("the powerbox has a folder");
        std::os::unix::fs::chown(&new, Some(owner.uid()), Some(owner.gid())).expect("a file can be given away");
        std::fs::rename(&new, self.faults()).expect("the powerbox's folder takes a file");
    }

    /// Whether all that was armed has happened.
    pub(crate) fn fired(&self) -> bool {
        !self.faults().exists()
    }

    /// What has not happened does not happen any more; whether all had.
    pub(crate) fn disarm(&self) -> bool {
        std::fs::remove_file(self.faults()).is_err()
    }

    fn faults(&self) -> PathBuf {
        self.node.state().join("powerbox/faults")
    }

    /// The processes of an image that run now, by `latch status`.
    pub(crate) fn processes(&self, image: &str) -> Vec<i32> {
        self.node.processes(image)
    }

    /// How often processes of an image were started again, by `latch status`.
    pub(crate) fn restarts(&self, image: &str) -> u64 {
        let status = self.node.json(["status"]);
        let rows = status["processes"].as_array().expect("processes are listed");
        rows.iter().filter(|row| row["image"] == image).filter_map(|row| row["restarts"].as_u64()).sum()
    }

    /// The kernel, which no list of the node's shows.
    pub(crate) fn kernel(&self) -> Option<i32> {
        self.node.kernel()
    }

    /// Waits until the node answers, after its kernel or its powerbox was killed.
    pub(crate) fn await_answer(&self) {
        until("the node does not answer", || self.node.run(["status"]).status.success());
    }

    /// Waits until the node's own parts are linked with what they hold of each other: those links pass the same points.
    pub(crate) fn await_parts(&self) {
        let is_linked = |row: &serde_json::Value| row["own"] != true || row["open"] == true;
        until("the node's parts are not linked", || {
            let rows = self.node.json(["grants", "--node"]);
            let rows = rows.as_array().expect("grants are listed");
            rows.iter().any(|row| row["own"] == true) && rows.iter().all(is_linked)
        });
    }

    /// Stops the node in order and starts it again.
    pub(crate) fn restart(&self) {
        self.node.expect(["down"]);
        self.node.up();
    }
}

/// Stops a process where it is, or lets it go on; returns when it has.
pub(crate) fn pause(pid: i32, paused: bool) {
    let process = Pid::from_raw(pid).expect("a process");
    let signal = if paused { Signal::STOP } else { Signal::CONT };
    rustix::process::kill_process(process, signal).expect("it is ours to stop");
    let threads = PathBuf::from(format!("/proc/{pid}/task"));
    let is_paused = |thread: i32| {
        let text = std::fs::read_to_string(threads.join(format!("{thread}/stat"))).unwrap_or_default();
        text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    until("a process does not heed a signal", || {
        numbers(&threads).into_iter().all(|thread| is_paused(thread) == paused)
    });
}

/// A folder with the binaries under test, but for the powerbox, which is built with its fault points.
fn libexec(scratch: &Path) -> PathBuf {
    let folder = scratch.join("libexec");
    std::fs::create_dir(&folder).expect("room for a folder");
    let unchanged = ["kernel", "folder", "sandbox", "compile", "keys", "storage"];
    for name in unchanged.map(|image| format!("latch-{image}")) {
        symlink(tests::binaries().join(&name), folder.join(&name)).expect("room for a link");
    }
    symlink(tests::faults::build("powerbox", "latch-powerbox"), folder.join("latch-powerbox"))
        .expect("room for a link");
    folder
}
