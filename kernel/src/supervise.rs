//! Processes: started, confined, dead, started again.

use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use vat::door::{Begin, Confinement, ToVat};
use vat::words::EndReason;

use crate::backoff;
use crate::channel::{Channel, Incoming, Packet};
use crate::kernel::{CONFINE_GRACE, Kernel, Life, POWERBOX, Process};
use crate::poller::{Alarm, Source};
use crate::spawn::{Birth, reap};
use crate::stop::Stage;
use crate::sys;

/// The powerbox's exit code for a state that it cannot use; its last word says why.
const UNUSABLE_STATE: i32 = 78;

impl Kernel {
    /// Gives a process its next life.
    pub(crate) fn start(&mut self, process: u64) -> std::io::Result<()> {
        let Some(plan) = self.processes.get(&process).and_then(|known| known.plan.as_ref()) else { return Ok(()) };
        let absent = || std::io::Error::other("its image is not installed");
        let file = self.images.get(plan.image).ok_or_else(absent)?;
        let token = self.poller.token(Source::Door(process));
        let (mut door, theirs) = Channel::pair(&mut self.poller, token)?;
        sys::pass_rights(door.socket(), false);
        let control = if process == POWERBOX { Some(self.control.open(&mut self.poller)?) } else { None };
        let (pid, pidfd) = self.machine.start(&Birth {
            image: plan.image,
            file,
            door: &theirs,
            control: control.as_ref(),
            identity: plan.identity,
            limits: plan.limits,
            output: plan.output,
        })?;
        let exit = self.poller.token(Source::Exit(process));
        self.poller.watch(&pidfd, exit, EventFlags::IN)?;

        let mut first = vec![Packet {
            bytes: ToVat::Begin(Begin {
                process,
                setup: plan.setup.clone(),
                resources: u16::try_from(plan.resources.len()).unwrap_or(u16::MAX),
                reduced: self.reduced,
            })
            .encode()
            .map_err(std::io::Error::other)?,
            descriptors: vec![],
        }];
        for (resource, descriptor) in &plan.resources {
            let bytes = ToVat::Resource(resource.clone()).encode().map_err(std::io::Error::other)?;
            first.push(Packet { bytes, descriptors: vec![Rc::clone(descriptor)] });
        }
        for packet in first {
            // Refused where it is dead already: then its exit is seen.
            let _ = door.send(packet, &self.poller);
        }
        door.hold();
        self.poller.alarm(CONFINE_GRACE, Alarm::Confined(process, token));
        let memory = plan.limits.memory_bytes;
        if let Some(known) = self.processes.get_mut(&process) {
            known.last.clear();
            known.life = Some(Life { pid, pidfd: Some((pidfd, exit)), door, confined: false, since: Instant::now() });
        }
        if memory > 0 {
            self.watch_memory();
        }
        Ok(())
    }

    /// A process is behind its walls: what waited for that is delivered.
    pub(crate) fn confined(&mut self, process: u64, confinement: &Confinement) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        let (uid, Some(life)) = (known.uid, known.life.as_mut()) else { return };
        if life.confined {
            return self.kill(process, "said twice that it is confined");
        }
        life.confined = true;
        let pid = life.pid;
        let released = life.door.release(&self.poller);
        let token = life.door.token;
        if life.door.blocked_since().is_some() {
            self.poller.alarm(crate::kernel::DOOR_GRACE, Alarm::Blocked(process, token));
        }
        self.emit(vec![], |event| {
            let mut said = event.init_confined();
            said.set_process(process);
            said.set_pid(pid);
            said.set_uid(uid);
            confinement.write_to(said.init_confinement());
        });
        if process == POWERBOX {
            self.announce_ready();
        }
        if released.is_err() {
            self.kill(process, "closed its door");
        }
    }

    /// A process ended: its last messages are read, its links end, and it is started again if it should be.
    pub(crate) fn died(&mut self, process: u64) {
        let Some(life) = self.processes.get_mut(&process).and_then(|known| known.life.as_ref()) else { return };
        let Some((pidfd, _)) = &life.pidfd else { return };
        let code = reap(pidfd).unwrap_or(-1);
        self.read_rest(process);
        let Some(known) = self.processes.get_mut(&process) else { return };
        let Some(life) = known.life.take() else { return };
        let ran_for = life.since.elapsed();
        self.poller.forget(life.door.socket(), life.door.token);
        if let Some((pidfd, token)) = &life.pidfd {
            self.poller.forget(pidfd.as_fd(), *token);
        }
        drop(life);
        if process == POWERBOX && code == UNUSABLE_STATE {
            // No restart makes it better: a person has to.
            self.refused = Some(known.last.clone());
            self.stage = Stage::Over;
        }
        let again = known.plan.as_ref().is_some_and(|plan| plan.restart) && !known.stopping && self.stage.is_running();
        let (stopping, name) = (known.stopping, known.name.clone());
        known.failures = backoff::failures(known.failures, ran_for);
        let pause = if again { backoff::pause(known.failures, process == POWERBOX) } else { std::time::Duration::ZERO };
        let (last, restarts) = (known.last.clone(), known.restarts);
        self.machine
            .say(&format!("{name} ({process}) ended with {code}{}{last}", if last.is_empty() { "" } else { ": " }));

        let reason = match (again, stopping) {
            (true, _) => EndReason::Restarted,
            (false, true) => EndReason::Stopped,
            (false, false) => EndReason::PeerLost,
        };
        self.end_links_of(process, reason, &name);
        if process == POWERBOX {
            self.control.close(&mut self.poller);
            self.operators.resources.clear();
        }
        self.emit(vec![], |event| {
            let mut exited = event.init_exited();
            exited.set_process(process);
            exited.set_code(code);
            exited.set_last(last.as_str());
            exited.set_will_restart(again);
            exited.set_backoff_ms(u32::try_from(pause.as_millis()).unwrap_or(u32::MAX));
            exited.set_restarts(restarts);
        });
        if again && pause.is_zero() {
            self.restart(process);
        } else if again {
            self.poller.alarm(pause, Alarm::Restart(process));
        } else {
            self.processes.remove(&process);
        }
        self.check_stop();
    }

    /// What a dead process had still written into its door.
    fn read_rest(&mut self, process: u64) {
        use vat::door::FromVat;
        loop {
            let Some(life) = self.processes.get(&process).and_then(|known| known.life.as_ref()) else { return };
            let Incoming::Packet(received) = life.door.receive(&mut self.buffer) else { return };
            match FromVat::decode(&received.bytes) {
                Ok(FromVat::Ended { link }) => self.link_confirmed(process, link),
                Ok(FromVat::Last(last)) => {
                    if let Some(known) = self.processes.get_mut(&process) {
                        known.last = last;
                    }
                }
                _ => {}
            }
        }
    }

    pub(crate) fn restart(&mut self, process: u64) {
        let running = self.stage.is_running();
        let waits = |known: &Process| running && known.life.is_none() && !known.stopping;
        let Some(known) = self.processes.get_mut(&process).filter(|known| waits(known)) else { return };
        known.restarts += 1;
        if let Err(error) = self.start(process) {
            self.machine.say(&format!("process {process} could not be started again: {error}"));
            if let Some(known) = self.processes.get_mut(&process) {
                known.failures = known.failures.saturating_add(1);
                let pause = backoff::pause(known.failures.max(2), process == POWERBOX);
                self.poller.alarm(pause, Alarm::Restart(process));
            }
        }
    }
}
