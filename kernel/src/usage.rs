//! What processes use, as the system counts it, and the watch over those with a limit of memory.

use std::time::Duration;

use crate::control::Answer;
use crate::kernel::{Kernel, POWERBOX};
use crate::poller::Alarm;

/// How often memory is looked at, while somebody has a limit.
const WATCH: Duration = Duration::from_secs(1);
/// What one tick of processor time is in the system's tables: fixed at 100 a second for all programs.
const TICK_US: u64 = 10_000;

#[derive(Clone, Copy, Default)]
struct Use {
    cpu_us: u64,
    resident_bytes: u64,
    descriptors: u32,
}

impl Kernel {
    /// Reports one process, or, for 0, the whole node with the kernel itself.
    pub(crate) fn report_usage(&mut self, process: u64) -> Answer {
        let whole = process == POWERBOX;
        let mut pids: Vec<u32> = self
            .processes
            .iter()
            .filter(|(id, known)| if whole { known.plan.is_some() } else { **id == process })
            .filter_map(|(_, known)| known.life.as_ref().map(|life| life.pid))
            .collect();
        if !whole && !self.processes.contains_key(&process) {
            return Answer::unknown("there is no such process");
        }
        if whole {
            pids.push(std::process::id());
        }
        let used = pids.into_iter().map(measure).fold(Use::default(), |sum, one| Use {
            cpu_us: sum.cpu_us + one.cpu_us,
            resident_bytes: sum.resident_bytes + one.resident_bytes,
            descriptors: sum.descriptors + one.descriptors,
        });
        let ends_here = |link: &crate::links::Link| whole || link.server == process || link.client == process;
        let links = self.links.iter().filter(|(_, link)| link.is_open() && ends_here(link)).count();
        self.emit(vec![], |event| {
            let mut usage = event.init_usage();
            usage.set_process(process);
            usage.set_cpu_us(used.cpu_us);
            usage.set_resident_bytes(used.resident_bytes);
            usage.set_links(u32::try_from(links).unwrap_or(u32::MAX));
            usage.set_descriptors(used.descriptors);
        });
        Answer::ok()
    }

    pub(crate) fn watch_memory(&mut self) {
        if !std::mem::replace(&mut self.watching_memory, true) {
            self.poller.alarm(WATCH, Alarm::Memory);
        }
    }

    /// Ends who holds more memory than it may, and looks again later while anybody has a limit.
    pub(crate) fn check_memory(&mut self) {
        self.watching_memory = false;
        let limited: Vec<(u64, u64, u32)> = self
            .processes
            .iter()
            .filter_map(|(id, known)| Some((*id, known.plan.as_ref()?.limits.memory_bytes, known.life.as_ref()?.pid)))
            .filter(|(_, limit, _)| *limit > 0)
            .collect();
        if !limited.is_empty() {
            self.watch_memory();
        }
        for (process, limit, pid) in limited {
            let resident = measure(pid).resident_bytes;
            if resident > limit {
                self.kill(process, &format!("held {resident} bytes of memory, {limit} are allowed"));
            }
        }
    }
}

/// Zeroes for what cannot be read: the process is gone, or its descriptors are not for us to count.
fn measure(pid: u32) -> Use {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Use {
        cpu_us: ticks(&read("stat")) * TICK_US,
        resident_bytes: resident_bytes(&read("status")),
        descriptors: u32::try_from(descriptors).unwrap_or(u32::MAX),
    }
}

/// User and system time of a line of `stat`: fields 14 and 15. The name, field 2, may hold anything but ends with the last ')'.
fn ticks(line: &str) -> u64 {
    let after_name = line.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// The line `VmRSS: 1234 kB` of `status`.
fn resident_bytes(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_tables_are_read_whatever_a_process_calls_itself() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 1 0 5 1 2";
        assert_eq!(ticks(line), 42);
        assert_eq!(ticks(""), 0);
        assert_eq!(resident_bytes("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t     20 kB\n"), 20_480);
    }

    #[test]
    fn this_process_uses_something() {
        let used = measure(std::process::id());
        assert!(used.resident_bytes > 0 && used.descriptors > 2);
    }
}
