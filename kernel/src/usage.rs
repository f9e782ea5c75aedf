//! What processes use, as the system counts it.

use crate::prelude::*;

/// What one tick of processor time is in the system's tables: fixed at 100 a second for all programs.
const TICK_US: u64 = 10_000;

impl Kernel {
    /// Reports one process, or, for 0, the whole node with the kernel itself.
    pub(crate) fn report_usage(&mut self, process: u64) -> Answer {
        let whole = process == POWERBOX;
        if !self.processes.contains_key(&process) {
            return no(Outcome::Unknown, "there is no such process");
        }
        let counted = self.processes.iter().filter(|(id, it)| if whole { it.plan.is_some() } else { **id == process });
        let pids = counted.filter_map(|(_, known)| known.life.as_ref().map(|life| life.pid));
        let used: Vec<[u64; 2]> = pids.chain(whole.then(std::process::id)).map(measure).collect();
        let [cpu_us, resident] = [0, 1].map(|at: usize| used.iter().map(|one| one[at]).sum());
        self.emit(|event| {
            let mut usage = event.init_usage();
            fill!(usage, set_process(process), set_cpu_us(cpu_us), set_resident_bytes(resident));
        });
        ok()
    }
}

/// Processor time in µs, resident bytes. Zero where it cannot be read: the process is gone.
fn measure(pid: u32) -> [u64; 2] {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    [ticks(&read("stat")) * TICK_US, number(&read("status"), "VmRSS:").unwrap_or(0) * 1_024]
}

/// As whom a process runs.
pub(crate) fn user(pid: u32) -> Option<u32> {
    number(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "Uid:")?.try_into().ok()
}

/// User and system time of a line of `stat`: fields 14 and 15. The name, field 2, may hold anything but ends with the last ')'.
fn ticks(line: &str) -> u64 {
    let fields = line.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// The first number of that line of `status`: `VmRSS: 1234 kB`, `Uid: 1000 1000 1000 1000`.
fn number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests;
