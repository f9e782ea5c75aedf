//! Runs of instances: waited for, stopped, ended, started once more.

use std::rc::Rc;
use std::time::Duration;

use crate::core::{Core, THE_NODE, spawn};
use crate::problem::Problem;
use crate::record::{Exited, Ran, Record, exit_code};
use crate::warnings::Cause;
use crate::words::{PHRASE_LIMIT, plain};

/// The code of a run whose end nobody saw.
pub(crate) const UNKNOWN_CODE: i32 = -1;
/// A detached app that fails is started again after this, the next time after twice this, and so on.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// So many failures in a row, and it is given up: after 7 s of pauses. What failed each time would fail again, as one
/// that was denied what it needs: the same question gets the same answer until a person gives another.
const FAILURES_LIMIT: u32 = 4;
/// Who ran so long has not failed at once.
const RAN_WELL_MS: u64 = 60_000;

impl Core {
    /// Waits until a run has ended; how.
    pub(crate) async fn wait(self: &Rc<Self>, instance: &str, process: u64) -> Result<(i32, String), Problem> {
        self.bells
            .processes
            .until(|| {
                let state = self.state.borrow();
                match state.instances.get(instance) {
                    Some(row) if row.run.process == process && row.running => None,
                    Some(row) if row.run.process == process => Some(Ok((row.code, row.last.clone()))),
                    _ => Some(Err(Problem::refused(format!(
                        "there was no such run of {}. `latch ps` lists what runs",
                        plain(instance, PHRASE_LIMIT)
                    )))),
                }
            })
            .await
    }

    /// Stops an instance, and forgets that it should run.
    pub(crate) async fn stop(self: &Rc<Self>, by: &str, instance: &str, kill: bool) -> Result<(), Problem> {
        let known = self.state.borrow().instances.get(instance).map(|row| (row.wanted, row.running));
        let none = || {
            Problem::refused(format!("there is no instance {}. `latch ps` lists them", plain(instance, PHRASE_LIMIT)))
        };
        let (wanted, running) = known.ok_or_else(none)?;
        if wanted {
            self.commit(by, Record::Stopped(instance.to_owned())).await?;
        } else if !running {
            return Err(Problem::refused(format!("{instance} is not running. `latch run` starts it")));
        }
        // Once more, for one that does not listen: a second stop may be a kill.
        let process = self.live.borrow().process_of_instance(instance);
        if let Some(process) = process {
            self.stop_process(process, kill);
        }
        Ok(())
    }

    /// The kernel says that an app's process ended.
    pub(crate) fn app_exited(self: &Rc<Self>, instance: &str, process: u64, code: i32, last: &str) {
        self.record_exit(instance, process, code, last);
        let row = self.state.borrow().instances.get(instance).filter(|row| row.run.process == process).cloned();
        let Some(row) = row.filter(|row| row.wanted && !self.stopping.get()) else { return };
        if code == 0 {
            // It has done what it was for.
            self.record_stopped(instance);
            return;
        }
        let ran_ms = row.exited_at_ms.saturating_sub(row.started_at_ms);
        self.failed(instance, ran_ms, &exit_code(code));
    }

    /// A detached app failed: it is started again after a while, or given up.
    fn failed(self: &Rc<Self>, instance: &str, ran_ms: u64, how: &str) {
        let failures = {
            let mut live = self.live.borrow_mut();
            let failures = live.failures.entry(instance.to_owned()).or_default();
            *failures = failures_after(*failures, ran_ms);
            *failures
        };
        let Some(pause) = pause_after(failures) else {
            self.record_stopped(instance);
            let text = format!(
                "{instance} failed {failures} times in a row, last with {how}, and is not started again. \
                 See `latch logs {instance}` and `latch why {instance}`; `latch run --detach` starts it anew"
            );
            if let Err(problem) = self.record(THE_NODE, Record::Note(text.clone())) {
                self.warn(problem.to_string());
            }
            self.warn_while(instance, Cause::GivenUp, text);
            return;
        };
        let (core, instance) = (self.clone(), instance.to_owned());
        spawn(async move {
            tokio::time::sleep(pause).await;
            core.run_again(&instance).await;
        });
    }

    fn record_stopped(&self, instance: &str) {
        if let Err(problem) = self.record(THE_NODE, Record::Stopped(instance.to_owned())) {
            self.warn(problem.to_string());
        }
    }

    pub(crate) fn record_exit(&self, instance: &str, process: u64, code: i32, last: &str) {
        let last = vat::words::clip(last, vat::door::LAST_LIMIT_BYTES).to_owned();
        let exited = Exited { instance: instance.to_owned(), process, code, last };
        if let Err(problem) = self.record(THE_NODE, Record::Exited(exited)) {
            self.warn(problem.to_string());
        }
        self.bells.processes.ring();
        self.bells.requests.ring();
    }

    /// Starts a detached instance once more, as it was started before.
    pub(crate) async fn run_again(self: &Rc<Self>, instance: &str) {
        let row = self.state.borrow().instances.get(instance).cloned();
        let Some(row) = row.filter(|row| row.wanted && !row.running && !self.stopping.get()) else { return };
        // Who starts it by hand meanwhile has it running.
        let Some(_claim) = self.claim(instance) else { return };
        let started = async {
            let package = self.package(&row.run.app)?;
            let process = self.new_id()?;
            let run =
                Ran { process, version: package.manifest.version.clone(), digest: package.digest, ..row.run.clone() };
            self.start(THE_NODE, run, &package, Vec::new()).await
        };
        if let Err(problem) = started.await {
            self.warn_about(instance, format!("{instance} could not be started again: {problem}"));
            // One that got as far as having a process is counted when that ends.
            let running = self.state.borrow().instances.get(instance).is_some_and(|row| row.running);
            if !running {
                self.failed(instance, 0, "a start that was refused");
            }
        }
    }

    /// Foreground apps end with their shell.
    pub(crate) fn stop_apps_of_shell(self: &Rc<Self>, shell: u64) {
        let theirs: Vec<u64> = {
            let state = self.state.borrow();
            state
                .instances
                .values()
                .filter(|row| row.running && row.run.shell == shell)
                .map(|row| row.run.process)
                .collect()
        };
        for process in theirs {
            self.stop_process(process, false);
        }
    }
}

/// How many failures in a row this one makes.
fn failures_after(before: u32, ran_ms: u64) -> u32 {
    if ran_ms >= RAN_WELL_MS { 1 } else { before.saturating_add(1) }
}

/// How long to wait before the next start; nothing where there is none.
fn pause_after(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(1)?;
    (failures < FAILURES_LIMIT).then(|| FIRST_PAUSE * 2_u32.saturating_pow(doublings))
}

/// Whether an instance with so many failures in a row is given up.
pub(crate) fn is_given_up(failures: u32) -> bool {
    failures >= FAILURES_LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_then_there_are_no_more() {
        let pauses: Vec<_> = (1..=5).map(|failures| pause_after(failures).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), None, None]);
        assert!(!is_given_up(3) && is_given_up(4));
    }

    #[test]
    fn who_ran_well_begins_anew() {
        assert_eq!(failures_after(3, 0), 4);
        assert_eq!(failures_after(3, RAN_WELL_MS), 1);
    }
}
