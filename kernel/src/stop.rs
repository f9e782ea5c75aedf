//! Stopping in order: one process, or the node. Also the word to the outside that the node is ready.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use vat::door::ToVat;

use crate::control::Answer;
use crate::kernel::{Kernel, NOTICES_LIMIT, POWERBOX};
use crate::poller::Alarm;

/// How long a process that was told to stop may take.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);

/// How far the node is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Running,
    /// Everybody was told; services and apps finish.
    Services,
    /// Only the powerbox is left, and was told.
    Powerbox,
    Over,
}

impl Stage {
    pub(crate) fn is_running(self) -> bool {
        self == Stage::Running
    }
}

impl Kernel {
    /// Stops one process for good.
    pub(crate) fn stop_process(&mut self, process: u64, kill: bool) -> Answer {
        let Some(known) = self.processes.get_mut(&process) else { return Answer::unknown("there is no such process") };
        known.stopping = true;
        match known.life.as_ref().map(|life| life.door.token) {
            // Between two lives: it has none further.
            None => {
                let (last, restarts) = (known.last.clone(), known.restarts);
                self.processes.remove(&process);
                self.emit(vec![], |event| {
                    let mut exited = event.init_exited();
                    exited.set_process(process);
                    exited.set_last(last.as_str());
                    exited.set_restarts(restarts);
                });
            }
            Some(_) if kill => self.kill(process, "stopped by command"),
            Some(door) => self.ask_to_stop(process, door),
        }
        Answer::ok()
    }

    fn ask_to_stop(&mut self, process: u64, door: u64) {
        // A full door changes nothing: its time runs.
        let _ = self.deliver(process, &ToVat::Stop, vec![], NOTICES_LIMIT);
        self.poller.alarm(STOP_GRACE, Alarm::Kill(process, door));
    }

    /// Begins to stop the node. Again is nothing new.
    pub(crate) fn stop_node(&mut self) {
        if !self.stage.is_running() {
            return;
        }
        self.stage = Stage::Services;
        self.machine.say("stopping");
        notify_supervisor("STOPPING=1");
        self.emit(vec![], |mut event| event.set_stopping(()));
        let others: Vec<u64> = self.processes.keys().copied().filter(|process| *process != POWERBOX).collect();
        for process in others {
            self.stop_process(process, false);
        }
        self.poller.alarm(STOP_GRACE, Alarm::ServicesStopped);
        self.check_stop();
    }

    /// Looks how far stopping is: the powerbox is told last, so that it can still record how the others ended.
    pub(crate) fn check_stop(&mut self) {
        let services = self.processes.iter().any(|(id, known)| *id != POWERBOX && known.plan.is_some());
        let powerbox = self.processes.get(&POWERBOX).and_then(|known| known.life.as_ref()).map(|life| life.door.token);
        match (self.stage, services, powerbox) {
            (Stage::Services, false, Some(door)) => {
                self.stage = Stage::Powerbox;
                if let Some(known) = self.processes.get_mut(&POWERBOX) {
                    known.stopping = true;
                }
                self.ask_to_stop(POWERBOX, door);
            }
            (Stage::Services | Stage::Powerbox, false, None) => self.stage = Stage::Over,
            _ => {}
        }
    }

    pub(crate) fn kill_what_is_left(&mut self) {
        let left: Vec<u64> =
            self.processes.iter().filter(|(id, _)| **id != POWERBOX).map(|(process, _)| *process).collect();
        for process in left {
            self.kill(process, "did not stop in time");
        }
    }

    /// Says once that the node takes operators and its powerbox is confined.
    pub(crate) fn announce_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            // Who does not listen any more does not need to know.
            let _ = rustix::io::write(&ready, b"READY\n");
            notify_supervisor("READY=1");
            self.machine.say("ready");
        }
    }
}

/// Tells systemd, where it asked to be told (`sd_notify`).
fn notify_supervisor(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let Some(path) = path.to_str() else { return };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    };
    if let (Ok(socket), Ok(address)) = (UnixDatagram::unbound(), address) {
        // A supervisor that is gone needs no word.
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}
