//! `latch down`

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rustix::process::Signal;

use crate::failure::{Doing as _, Failure, Outcome};
use crate::node::{Node, is_up, run_on_node};
use crate::state::{Holder, State};
use crate::text::escape;
use crate::{json, output};

/// How long a node that works takes to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Apps and services get a grace time of seconds to finish; then they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// A parent ends as soon as its kernel has.
const PARENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Stops the node in order, with everything that runs on it
///
/// Apps and services are told to finish, the record is closed, and every process of the node has ended when this
/// returns. A node that does not answer is ended all the same.
/// What was granted stays recorded: after `latch up` it is in force again.
#[derive(Debug, Args)]
pub(crate) struct Down {
    /// Ends it at once: apps and services get no time to finish. What was acknowledged is safe all the same
    #[arg(long)]
    kill: bool,
}

pub(crate) fn run(state: &State, json: bool, command: &Down) -> Outcome {
    let find = |lock: PathBuf| Holder::of(&lock).doing(|| "cannot find the node's processes".to_owned());
    let parent = find(state.supervisor_lock())?;
    let kernel = find(state.kernel_lock())?;
    if parent.is_none() && kernel.is_none() {
        if run_on_node(is_up(state))? {
            return Err(Failure::new("the node runs, and its processes cannot be seen from here")
                .because("another user started it, or it runs in another container")
                .next("latch down there, as the user who started it"));
        }
        return tell(state, json, "the node is not running", false);
    }
    let stopped = kernel.as_ref().is_none_or(|kernel| !command.kill && stop_in_order(state, kernel));
    if !stopped || kernel.is_none() {
        // First the parent, or it would start the kernel again.
        parent.iter().for_each(|parent| parent.signal(Signal::TERM));
    }
    if let Some(kernel) = kernel.filter(|_| !stopped) {
        output::error(&format!("latch: killing the kernel (process {})", kernel.pid));
        kernel.signal(Signal::KILL);
        if !kernel.wait(STOP_TIMEOUT) {
            return Err(Failure::new(format!("the kernel (process {}) cannot be ended", kernel.pid))
                .because("it hangs in the operating system"));
        }
    }
    if let Some(parent) = parent
        && !parent.wait(PARENT_TIMEOUT)
    {
        parent.signal(Signal::TERM);
        parent.wait(PARENT_TIMEOUT);
    }
    tell(state, json, "the node is down", true)
}

fn tell(state: &State, json: bool, words: &str, stopped: bool) -> Outcome {
    let value = serde_json::json!({ "state": state.path().to_string_lossy(), "stopped": stopped });
    json::done(json, &format!("{words} ({})", escape::path(state.path())), &value)
}

/// Asks the powerbox, then the kernel itself; whether the kernel has ended.
fn stop_in_order(state: &State, kernel: &Holder) -> bool {
    let asked = run_on_node(async {
        let ask = async { Node::connect(state).await?.shutdown().await };
        tokio::time::timeout(ANSWER_TIMEOUT, ask).await
    });
    if matches!(asked, Ok(Ok(Ok(())))) && kernel.wait(STOP_TIMEOUT) {
        return true;
    }
    output::error(&format!("latch: the node does not answer; telling its kernel (process {}) to stop", kernel.pid));
    kernel.signal(Signal::TERM);
    kernel.wait(STOP_TIMEOUT)
}
