//! The processes of a node, and their deaths.

#![expect(clippy::expect_used, reason = "a test that cannot find or end a process has failed")]

use crate::node::Node;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::path::Path;

impl Node {
    /// The processes of an image that run now, by `latch status`.
    ///
    /// # Panics
    /// Where the node does not say.
    #[must_use]
    pub fn processes(&self, image: &str) -> Vec<i32> {
        let status = self.json(["status"]);
        let rows = status["processes"].as_array().expect("processes are listed");
        let pids = rows.iter().filter(|row| row["image"] == image).filter_map(|row| row["pid"].as_i64());
        pids.filter_map(|pid| i32::try_from(pid).ok()).collect()
    }

    /// The kernel, which no list of the node's shows.
    #[must_use]
    pub fn kernel(&self) -> Option<i32> {
        let state = self.state().into_os_string().into_encoded_bytes();
        let is_it = |pid: &i32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0);
            words.next().is_some_and(|name| name.ends_with(b"latch-kernel")) && words.any(|word| word == state)
        };
        numbers(Path::new("/proc")).into_iter().find(is_it)
    }
}

/// Kills a process at once, and returns when it is gone. Whether it was there.
///
/// # Panics
/// Where its end cannot be waited for.
pub fn kill(pid: i32) -> bool {
    let Some(process) = Pid::from_raw(pid) else { return false };
    let Ok(handle) = pidfd_open(process, PidfdFlags::empty()) else { return false };
    if pidfd_send_signal(&handle, Signal::KILL).is_err() {
        return false;
    }
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], None).expect("a handle can be waited for");
    true
}

/// The names in a folder that are numbers.
#[must_use]
pub fn numbers(folder: &Path) -> Vec<i32> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
