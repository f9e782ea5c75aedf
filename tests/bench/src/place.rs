//! Where processes run: on one core, or on two.

use crate::awake::Awake;
use crate::outcome::Part;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What a reader of single calls' times must know.
pub(crate) const SLEEP_NOTE: &str =
    "cores are kept awake: one that sleeps between messages adds its own waking, which differs from run to run";

/// How a client and a server share the machine's cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Both on the same core.
    OneCore,
    /// Each on its own.
    TwoCores,
    /// The same, where single calls are timed and the cores may sleep between them. Shown aside.
    SleepyCores,
}

impl Placement {
    /// For loads that leave no core idle.
    pub(crate) fn busy() -> Result<Vec<Self>, String> {
        let one_core_only = vec![Self::OneCore];
        Ok(if cores()?.len() > 1 { vec![Self::OneCore, Self::TwoCores] } else { one_core_only })
    }

    /// For single calls, between which cores are idle.
    pub(crate) fn idle() -> Result<Vec<Self>, String> {
        let mut placements = Self::busy()?;
        if placements.contains(&Self::TwoCores) {
            placements.push(Self::SleepyCores);
        }
        Ok(placements)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneCore => "one core",
            Self::TwoCores => "two cores",
            Self::SleepyCores => "two cores that may sleep",
        }
    }

    /// Keeps the cores awake where this placement is about calls, not about waking up; as long as the handle lives.
    pub(crate) fn wake(self) -> Result<Option<Awake>, String> {
        self.wake_among(&cores()?)
    }

    /// The same, of these cores: those that this process could use before it was placed itself.
    pub(crate) fn wake_among(self, cores: &[usize]) -> Result<Option<Awake>, String> {
        if self == Self::TwoCores { Awake::start(cores).map(Some) } else { Ok(None) }
    }

    /// A part that this placement's measurement is, aside or not.
    pub(crate) fn show(self, part: Part) -> Part {
        if self == Self::SleepyCores { part.aside() } else { part }
    }

    /// The cores of a server and of its client.
    pub(crate) fn cores(self) -> Result<(usize, usize), String> {
        self.among(&cores()?)
    }

    /// The same, of these cores: those that this process could use before it was placed itself.
    pub(crate) fn among(self, cores: &[usize]) -> Result<(usize, usize), String> {
        let of_server = cores.first().copied().ok_or("no core to run on")?;
        let other = cores.get(1).copied().unwrap_or(of_server);
        Ok((of_server, if self == Self::OneCore { of_server } else { other }))
    }

    /// Puts a client and its server where this placement says.
    pub(crate) fn pin(self, client: Pid, server: Pid) -> Result<(), String> {
        let (of_server, of_client) = self.cores()?;
        pin(server, of_server)?;
        pin(client, of_client)
    }
}

/// The cores that this process may use, in order.
pub(crate) fn cores() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(None).map_err(|error| format!("cannot read the own cores: {error}"))?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Keeps all threads that a process has, and those that they make, on these cores.
pub(crate) fn pin_whole(process: Pid, cores: &[usize]) -> Result<(), String> {
    let path = format!("/proc/{}/task", process.as_raw_nonzero());
    let tasks = std::fs::read_dir(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let threads = tasks.flatten().filter_map(|task| Pid::from_raw(task.file_name().to_str()?.parse().ok()?));
    for thread in threads {
        match pin_to_all(thread, cores) {
            // It has ended since.
            Err(_) if !std::path::Path::new(&path).join(thread.as_raw_nonzero().to_string()).exists() => {}
            pinned => pinned?,
        }
    }
    Ok(())
}

/// Keeps a process's main thread on one core.
pub(crate) fn pin(process: Pid, core: usize) -> Result<(), String> {
    pin_to_all(process, &[core])
}

/// Lets a process's main thread run on any of these cores.
pub(crate) fn pin_to_all(process: Pid, cores: &[usize]) -> Result<(), String> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    sched_setaffinity(Some(process), &set).map_err(|error| format!("cannot place process {process:?}: {error}"))
}
