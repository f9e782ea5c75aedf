//! Processes: started, confined, ended, started again, stopped in order.

use crate::prelude::*;
use crate::spawn::{NOT_BEGUN, reap};
use std::io::{Error, Result, Write};
use std::os::unix::net::UnixDatagram;
use vat::door::{Begin, Confinement};

/// The powerbox's exit code for a state that it cannot use; its last word says why. One that could not even begin, the first
/// time, is the same.
const UNUSABLE_STATE: i32 = 78;
/// A process has so long to confine itself.
const CONFINE_GRACE: Duration = Duration::from_secs(30);
/// How long a process that was told to stop may take.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);
/// The first pause after a failure, each further one being twice as long; and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who ran for so long has not failed at starting: the count begins anew.
const STEADY: Duration = Duration::from_secs(10);
/// The keys are told to stop once the store has ended, whose last commit they sign, and the powerbox once all others have,
/// so that it can still record how.
const LAST_TO_STOP: [Image; 2] = [Image::Keys, Image::Powerbox];

impl Kernel {
    /// Gives a process its next life: its door, in which it finds how it begins, and nothing else.
    pub(crate) fn start(&mut self, process: u64) -> Result<()> {
        let Some(plan) = self.processes.get(&process).and_then(|known| known.plan.clone()) else { return Ok(()) };
        let (mut door, theirs) = Channel::pair(&mut self.poller, Source::Door(process))?;
        sys::pass_rights(door.socket.as_fd(), false);
        let mut given = vec![theirs];
        if process == POWERBOX {
            let (channel, theirs) = Channel::pair(&mut self.poller, Source::Control)?;
            self.control.channel = Some(channel);
            given.push(theirs);
        }
        let (setup, count) = (plan.setup.clone(), plan.resources.len() + plan.folder.iter().len());
        let begin = (ToVat::Begin(Begin { process, setup, resources: count as u16, reduced: self.reduced }), vec![]);
        let resources = plan.resources.iter().map(|(it, rides)| (ToVat::Resource(it.clone()), vec![Rc::clone(rides)]));
        for (message, rides) in std::iter::once(begin).chain(resources) {
            door.send(message.encode().map_err(Error::other)?, rides, &self.poller);
        }
        door.held = true;
        let started = self.machine.start(process, &plan, &given, &door.socket);
        let (pid, pidfd) = started.inspect_err(|_| self.poller.forget(&door.socket, door.token))?;
        let exit = self.poller.watch(&pidfd, Source::Exit(process), EventFlags::IN)?;
        if let Some(known) = self.processes.get_mut(&process) {
            let since = Instant::now();
            (known.last, known.killed, known.words) = (String::new(), String::new(), 0);
            known.due = Some(since + CONFINE_GRACE);
            known.life = Some(Life { pid, exit: Some((pidfd, exit)), door, confined: None, since });
        }
        Ok(())
    }

    /// A process is behind its walls: what waited for that is delivered.
    pub(crate) fn confined(&mut self, process: u64, confinement: Confinement) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        let Some(life) = known.life.as_mut().filter(|life| life.confined.is_none()) else {
            return self.kill(process, "said twice that it is confined");
        };
        (life.confined, life.door.held) = (Some(confinement), false);
        // As whom a folder's service runs was decided there.
        known.identity.0 = crate::usage::user(life.pid).unwrap_or(known.identity.0);
        life.door.flush(&self.poller);
        known.due = known.due.filter(|_| known.stopping);
        self.tell_confined(process);
        if let Some(mut ready) = self.ready.take_if(|_| process == POWERBOX) {
            // Who does not listen any more does not need to know.
            let _ = ready.write_all(b"READY\n");
            notify_supervisor("READY=1");
            self.machine.say("ready");
        }
    }

    /// Tells how a process is confined, if it is.
    pub(crate) fn tell_confined(&mut self, process: u64) {
        let Some(known) = self.processes.get(&process).filter(|known| known.plan.is_some()) else { return };
        let (uid, life) = (known.identity.0, known.life.as_ref());
        let Some((pid, confinement)) = life.and_then(|life| Some((life.pid, life.confined.clone()?))) else { return };
        self.emit(|event| {
            let mut said = event.init_confined();
            confinement.write_to(said.reborrow().init_confinement());
            fill!(said, set_process(process), set_pid(pid), set_uid(uid));
        });
    }

    /// A process ended. Its last messages are read before anything is concluded from that.
    pub(crate) fn died(&mut self, process: u64) {
        let life = self.processes.get(&process).and_then(|known| known.life.as_ref());
        let Some(Life { exit: Some((pidfd, _)), .. }) = life else { return };
        let code = reap(pidfd).unwrap_or(-1);
        while let Ok(Some(packet)) = self.next_said(process) {
            self.said(process, packet);
        }
        self.gone(process, code);
    }

    /// Ends all links of a process or shell that is gone, tells, and has it started again if it should be.
    pub(crate) fn gone(&mut self, process: u64, code: i32) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        let ended = known.life.take();
        if let Some(Life { door, exit, .. }) = &ended {
            self.poller.forget(&door.socket, door.token);
            exit.iter().for_each(|(pidfd, token)| self.poller.forget(pidfd, *token));
        }
        let too_large = self.machine.cgroups.as_ref().is_ok_and(|cgroups| cgroups.end(process));
        if too_large && code == -libc::SIGKILL {
            known.last = "it went over its limit of memory".to_owned();
        }
        // What could not begin would not the next time either, except for a powerbox that could before.
        let not_begun = code == NOT_BEGUN && (process != POWERBOX || known.restarts == 0);
        let unusable = not_begun || process == POWERBOX && code == UNUSABLE_STATE;
        let restarts = known.plan.as_ref().is_some_and(|plan| plan.restart);
        let again = restarts && !unusable && !known.stopping && !self.stopping;
        known.failures = failures(known.failures, ended.as_ref().map_or(Duration::ZERO, |life| life.since.elapsed()));
        let wait = if again { pause(known.failures, process == POWERBOX) } else { Duration::ZERO };
        known.due = again.then(|| Instant::now() + wait);
        let reason = match (again, known.stopping) {
            (true, _) => EndReason::Restarted,
            (false, true) => EndReason::Stopped,
            (false, false) => EndReason::PeerLost,
        };
        let words = [&*known.killed, &*known.last].into_iter().filter(|words| !words.is_empty());
        let last = words.collect::<Vec<_>>().join("; it said: ");
        let (shell, name) = (known.plan.is_none(), known.name.clone());
        let (uid, restarts) = (known.identity.0, known.restarts);
        if !again {
            self.processes.remove(&process);
        }
        self.end_links_of(process, reason, &name);
        if process == POWERBOX {
            self.close_control();
            self.operators.claims.clear();
        }
        if shell {
            return self.tell_shell(process, ended.map_or(0, |life| life.pid), uid, true);
        }
        self.machine.say(&format!("{name} ({process}) ended with {code} {last}"));
        self.emit(|event| {
            let mut exited = event.init_exited();
            fill!(exited, set_process(process), set_code(code), set_last(last.as_str()), set_will_restart(again));
            fill!(exited, set_restarts(restarts));
        });
        if unusable && process == POWERBOX {
            // No new start makes it better.
            self.refused = Some(last);
            self.stop_node();
        }
        self.check_stop();
    }

    pub(crate) fn restart(&mut self, process: u64) {
        if let Some(known) = self.processes.get_mut(&process) {
            known.restarts += 1;
        }
        if let Err(error) = self.start(process) {
            self.machine.say(&format!("process {process} could not be started again: {error}"));
            self.gone(process, -1);
        }
    }

    /// Stops one process for good.
    pub(crate) fn stop_process(&mut self, process: u64, kill: bool) -> Answer {
        let Some(known) = self.processes.get_mut(&process) else { return no(Outcome::Unknown, "there is no such one") };
        known.stopping = true;
        known.due = Some(Instant::now() + STOP_GRACE);
        match (&known.life, kill) {
            (None, _) => self.gone(process, 0),
            (Some(_), true) => self.kill(process, "stopped by command"),
            // A full door changes nothing: its time runs.
            (Some(_), false) => drop(self.deliver(process, &ToVat::Stop, vec![], NOTICES_LIMIT)),
        }
        ok()
    }

    /// Begins to stop the node. Again is nothing new.
    pub(crate) fn stop_node(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            self.machine.say("stopping");
            notify_supervisor("STOPPING=1");
            self.emit(|mut event| event.set_stopping(()));
            self.check_stop();
        }
    }

    /// Tells those to stop whose turn it is: on whom nobody depends who still runs.
    fn check_stop(&mut self) {
        let running = self.processes.values().filter(|known| known.plan.is_some() && self.stopping);
        let turn = running.map(stop_turn).min();
        let next = |(_, known): &(&u64, &Process)| !known.stopping && Some(stop_turn(known)) <= turn;
        let next: Vec<u64> = self.processes.iter().filter(next).map(|(process, _)| *process).collect();
        next.into_iter().for_each(|process| _ = self.stop_process(process, false));
    }
}

/// Where somebody stands in `LAST_TO_STOP`; all others are told before.
fn stop_turn(known: &Process) -> Option<usize> {
    known.plan.as_ref().and_then(|plan| LAST_TO_STOP.iter().position(|image| *image == plan.image))
}

/// How many failures in a row this one makes.
fn failures(before: u32, ran_for: Duration) -> u32 {
    if ran_for >= STEADY { 1 } else { before.saturating_add(1) }
}

/// The pause before the next start. The powerbox comes back at once after its first failure: while it is away nobody
/// can be granted or refused anything.
fn pause(failures: u32, powerbox: bool) -> Duration {
    let Some(doublings) = failures.max(1).checked_sub(1 + u32::from(powerbox)) else { return Duration::ZERO };
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

/// Tells systemd, where it asked to be told (`sd_notify`, by a socket with a path). One that is gone needs no word.
fn notify_supervisor(state: &str) {
    if let (Some(path), Ok(socket)) = (std::env::var_os("NOTIFY_SOCKET"), UnixDatagram::unbound()) {
        let _ = socket.send_to(state.as_bytes(), path);
    }
}

#[cfg(test)]
mod tests;
