//! The minimal parent behind `latch up`: it starts the kernel, and starts it again when it dies.
//!
//! One thread, no node state, nothing to talk to. An orderly end (exit code 0) ends it too, and so does a kernel that
//! refuses to start (1: something is wrong, 3: another kernel has the state): starting again would not mend that.
//! It goes by the name `latch supervise` and holds a lock in the state by which `latch down` finds it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::fd::{AsRawFd as _, OwnedFd};

use crate::failure::{Doing as _, Failure, Outcome};
use crate::state::State;

/// A kernel that lived shorter than this died quickly.
const QUICK_DEATH: Duration = Duration::from_secs(30);
/// After this many quick deaths in a row something is broken that a person must look at.
const QUICK_DEATHS_MAX: u32 = 5;
/// The first pause before a new start; it doubles with every quick death: 0.4 + 0.8 + 1.6 + 3.2 = 6 s before giving up.
const BACK_OFF: Duration = Duration::from_millis(200);

/// The kernel's exit codes after which it is not started again.
const FINAL_CODES: [i32; 3] = [0, 1, 3];

/// What the parent is told on its command line.
#[derive(Debug, Args)]
pub(crate) struct Supervise {
    /// The kernel's binary.
    #[arg(long)]
    pub(crate) kernel: PathBuf,
    /// Passed on to the kernel.
    #[arg(long)]
    pub(crate) libexec: Option<PathBuf>,
    /// Passed on to the kernel.
    #[arg(long)]
    pub(crate) tpm: Option<PathBuf>,
    /// Passed on to the kernel.
    #[arg(long)]
    pub(crate) reduced: bool,
    /// The pipe on which `latch up` waits for the first kernel to be ready
    #[arg(long)]
    pub(crate) ready_fd: Option<i32>,
}

impl Supervise {
    /// Writes what is passed on to a command line.
    pub(crate) fn write_to(&self, command: &mut Command) {
        for (option, value) in [("--libexec", &self.libexec), ("--tpm", &self.tpm)] {
            if let Some(value) = value {
                command.arg(option).arg(value);
            }
        }
        if self.reduced {
            command.arg("--reduced");
        }
    }
}

/// How to start a kernel on a state.
pub(crate) fn kernel_command(state: &State, options: &Supervise) -> Command {
    let mut command = Command::new(&options.kernel);
    command.arg("--state").arg(state.path());
    options.write_to(&mut command);
    command
}

/// Runs until the kernel has ended for good. Standard output and error are the kernel's log.
pub(crate) fn run(state: &State, options: &Supervise) -> Outcome {
    let Some(_lock) = state.lock_supervisor()? else {
        return Err(Failure::new("another `latch up` looks after this state already"));
    };
    // A session of its own: what ends the terminal does not end the node.
    let _ = rustix::process::setsid();
    let mut ready = options.ready_fd.map(ready_pipe).transpose()?;

    let mut deaths = Deaths::default();
    loop {
        let mut command = kernel_command(state, options);
        if let Some(ready) = &ready {
            command.arg("--ready-fd").arg(ready.as_raw_fd().to_string());
        }
        command.stdin(Stdio::null());
        let started = Instant::now();
        let child = command.spawn();
        ready = None;
        let end = child.and_then(|mut child| child.wait());
        let end = end.doing(|| format!("cannot start {}", options.kernel.display()))?;
        match end.code() {
            Some(code) if FINAL_CODES.contains(&code) => std::process::exit(code),
            _ => eprintln!("latch: the kernel died ({end})"),
        }
        let Some(pause) = deaths.after(started.elapsed()) else {
            return Err(Failure::new(format!(
                "the kernel died {QUICK_DEATHS_MAX} times, each within {} s of its start",
                QUICK_DEATH.as_secs()
            ))
            .next("read kernel.log in the node's folder; `latch up` tries again"));
        };
        std::thread::sleep(pause);
    }
}

/// The pipe that `latch up` passed on, to be inherited once more.
fn ready_pipe(number: i32) -> Outcome<OwnedFd> {
    let inherited = vat::native::take_inherited(number).doing(|| "cannot keep the ready pipe".to_owned())?;
    rustix::io::dup(inherited).doing(|| "cannot keep the ready pipe".to_owned())
}

/// Decides whether a dead kernel is started again.
#[derive(Debug, Default)]
struct Deaths {
    quick: u32,
}

impl Deaths {
    /// How long to wait before the next start; None: give up.
    fn after(&mut self, lived: Duration) -> Option<Duration> {
        self.quick = if lived < QUICK_DEATH { self.quick + 1 } else { 0 };
        (self.quick < QUICK_DEATHS_MAX).then(|| BACK_OFF * 2u32.pow(self.quick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_after_quick_deaths_only() {
        let mut deaths = Deaths::default();
        let quick: Vec<_> = (0..5).map(|_| deaths.after(Duration::from_secs(1))).collect();
        assert_eq!(quick[0], Some(BACK_OFF * 2));
        assert_eq!(quick[3], Some(BACK_OFF * 16));
        assert_eq!(quick[4], None);
    }

    #[test]
    fn a_long_life_forgives() {
        let mut deaths = Deaths::default();
        for _ in 0..100 {
            assert!(deaths.after(Duration::from_secs(1)).is_some());
            assert!(deaths.after(QUICK_DEATH).is_some());
        }
    }
}
