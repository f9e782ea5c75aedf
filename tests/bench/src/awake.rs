//! Keeping the cores from sleeping while single calls are timed on two of them. A core that sleeps between two messages
//! takes longer to wake than the call takes, and how long is the machine's (in a virtual machine its host's) affair: it
//! hides what is measured, and changes with whatever else runs.

use std::io::Read;
use std::process::{Child, Command, Stdio};

/// The word on the command line that makes a process of this program that only keeps its core awake.
pub(crate) const WORD: &str = "awake";

/// While it lives, each of some cores has something to do that gives way to everything else.
pub(crate) struct Awake {
    spinners: Vec<Child>,
}

impl Awake {
    /// Nothing where the machine has no `setsid` or `chrt`: then cores may sleep.
    pub(crate) fn start(cores: &[usize]) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("cannot find the own program: {error}"))?;
        let mut awake = Self { spinners: Vec::new() };
        for &core in cores {
            // a session of its own: where each session gets a fair share, it must not sit in that of the measured
            let mut command = Command::new("setsid");
            command.args(["chrt", "--idle", "0"]).arg(&own).arg(WORD).stdin(Stdio::piped()).stdout(Stdio::null());
            let Ok(spinner) = command.spawn() else { break };
            crate::place::pin(rustix::process::Pid::from_child(&spinner), core)?;
            awake.spinners.push(spinner);
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for spinner in &mut self.spinners {
            // It may be gone already: then there is nothing to end.
            let _ = spinner.kill();
            let _ = spinner.wait();
        }
    }
}

/// The share of a session, as a nice value: the smallest.
const SESSION_NICE: &str = "19";

/// Spins until whoever started it is gone.
pub(crate) fn run() {
    // absent where sessions get no shares: then its own idle priority is enough
    let _ = std::fs::write("/proc/self/autogroup", SESSION_NICE);
    std::thread::spawn(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    // the end of the input is the end of this process, and of its thread
    let _ = std::io::stdin().read(&mut [0]);
}
