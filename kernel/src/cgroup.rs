//! Limits by cgroup v2, where one is delegated to the node: a cgroup for each process, which counts all of its memory,
//! also what it cannot write to any more, and which the process itself can neither leave nor change.

use crate::links::LINK_BUFFER_BYTES;
use crate::prelude::*;
use std::fs::{create_dir_all, read_to_string, remove_dir, write};
use std::io::Result;
use std::path::PathBuf;

/// Where machines mount cgroups of version 2: alone, or beside those of version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// What every folder is called that the kernel makes: this and a name.
const OURS: &str = "latch-";
/// The most that a cgroup counts, beside the memory that it can write to, of a process that keeps to its limits, so that
/// none which does is ended: in place of each of 1,024 descriptors a link that it filled, of which the system doubles the
/// size; its first stack; what the system keeps for each of 256 threads, half of it a stack; tables of pages, 8 bytes for
/// each 4 KiB of at most 8 GiB. Pages of files that can be read again go when there is no room.
const BESIDE_BYTES: u64 = 1_024 * 2 * LINK_BUFFER_BYTES as u64 + (8 << 20) + 256 * (32 << 10) + ((8 << 30) / 4_096 * 8);

/// The cgroup that a node divides up: the one in which the kernel was started. When it ends nothing is left in it.
pub(crate) struct Cgroups(PathBuf);

impl Cgroups {
    /// Divides up the cgroup in which the kernel is. Else says, for people, why not.
    pub(crate) fn take() -> std::result::Result<Cgroups, String> {
        let list = read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = list.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        // Only version 2 has files of these names, and the machine's root, which is nobody's own, has no type.
        let offers = |at: &PathBuf| {
            let controllers = read_to_string(at.join("cgroup.controllers"));
            controllers.is_ok_and(|list| list.contains("memory")) && at.join("cgroup.type").exists()
        };
        let found = MOUNTS.iter().map(|mount| PathBuf::from(format!("{mount}{own}"))).find(offers);
        let home = found.ok_or("no cgroup v2 memory controller is delegated here")?;
        let shown = home.display().to_string();
        Cgroups::divide(home).map_err(|error| format!("{shown} is not for the node alone: {error}"))
    }

    /// What has cgroups with limits below it may have no process of its own. Others are not ours to move.
    fn divide(home: PathBuf) -> Result<Cgroups> {
        let cgroups = Cgroups(home);
        let own = cgroups.0.join(format!("{OURS}kernel"));
        create_dir_all(&own)?;
        write(own.join("cgroup.procs"), "0")?;
        let limits = cgroups.0.join("cgroup.subtree_control");
        write(&limits, "+memory")?;
        // Not there where only memory is delegated.
        let _ = write(&limits, "+pids");
        Ok(cgroups)
    }

    fn folder(&self, process: u64) -> PathBuf {
        self.0.join(format!("{OURS}{process}"))
    }

    /// Makes the cgroup of a process that is about to start.
    pub(crate) fn make(&self, process: u64, plan: &Plan, threads: u64) -> Result<File> {
        let folder = self.folder(process);
        create_dir_all(&folder)?;
        if plan.memory_bytes > 0 {
            // Its resources are all that it may fill, and those in memory are counted as its own.
            let filled = plan.file_bytes.saturating_mul(plan.resources.len() as u64);
            let bytes = (plan.memory_bytes + BESIDE_BYTES).saturating_add(filled);
            write(folder.join("memory.max"), bytes.to_string())?;
            // Not there where the system has no swap.
            let _ = write(folder.join("memory.swap.max"), "0");
        }
        // Not there where only memory is delegated.
        let _ = write(folder.join("pids.max"), threads.to_string());
        File::open(folder)
    }

    /// Removes the cgroup of a process that is gone. Returns whether its own limit of memory was in its way; how many
    /// were killed for memory would not tell, for that includes whom the whole machine had no memory for.
    pub(crate) fn end(&self, process: u64) -> bool {
        let folder = self.folder(process);
        let events = read_to_string(folder.join("memory.events")).unwrap_or_default();
        // If the system is not done with it yet, it goes with the node.
        let _ = remove_dir(folder);
        events.lines().any(|line| line.strip_prefix("oom ").is_some_and(|count| count != "0"))
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // Each step takes the one before. What fails was not done in the first place.
        let _ = write(self.0.join("cgroup.subtree_control"), "-memory -pids");
        let _ = write(self.0.join("cgroup.procs"), "0");
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(OURS));
        ours.for_each(|entry| drop(remove_dir(entry.path())));
    }
}
