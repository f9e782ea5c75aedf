//! A cgroup as a service manager delegates it, where this machine lets one be made.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// A cgroup of version 2 with limits of memory and nobody in it. It is removed with this.
pub struct Delegated(PathBuf);

impl Delegated {
    /// Makes one. Where that cannot be, says by name that the test is not run.
    pub fn find() -> Option<Delegated> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let list = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = list.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let own = PathBuf::from(format!("{mount}{own}"));
            // Only cgroups of version 2 have this file; elsewhere nothing is written.
            let offered = std::fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let made = own.join(format!("test-{}-{number}", std::process::id()));
            // Only a root of cgroups may have both its processes and limits below it.
            let enabled = || std::fs::write(own.join("cgroup.subtree_control"), "+memory +pids").is_ok();
            if offered.contains("memory") && enabled() && std::fs::create_dir(&made).is_ok() {
                return Some(Delegated(made));
            }
        }
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        eprintln!("{test}: not run: no cgroup v2 memory controller is delegated here");
        None
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Has a command run in it.
    pub fn enter(&self, command: &mut Command) {
        let mut entering = Command::new("sh");
        entering.args(["-c", "echo 0 > \"$0\"/cgroup.procs && exec \"$@\""]).arg(&self.0);
        entering.arg(command.get_program()).args(command.get_args()).stdin(std::process::Stdio::null());
        *command = entering;
    }

    /// Another process that sits in it.
    pub fn fellow(&self) -> Fellow {
        let fellow = Command::new("sleep").arg("1000").spawn().unwrap();
        std::fs::write(self.0.join("cgroup.procs"), fellow.id().to_string()).unwrap();
        Fellow(fellow)
    }

    /// The cgroups in it.
    pub fn names(&self) -> Vec<String> {
        names(&self.0)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        clear(&self.0);
    }
}

/// Removes a cgroup and those in it. A process that is killed leaves its own a little later.
fn clear(cgroup: &Path) {
    for _ in 0..100 {
        for name in names(cgroup) {
            let _ = std::fs::remove_dir(cgroup.join(name));
        }
        if !cgroup.exists() || std::fs::remove_dir(cgroup).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The cgroups in one.
fn names(cgroup: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cgroup).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub struct Fellow(Child);

impl Drop for Fellow {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
