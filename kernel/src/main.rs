//! `latch-kernel`: starts processes, makes and cuts links, delivers descriptors, supervises. It carries nothing, stores
//! nothing and decides nothing about grants: the powerbox does.
//!
//! One thread over epoll: the parent-death signal that ends every child with the kernel follows the thread that forked.
#![deny(unsafe_code)]

mod begin;
mod cgroup;
mod channel;
mod control;
mod folders;
mod kernel;
mod links;
mod poller;
mod shells;
mod spawn;
mod state;
mod supervise;
mod sys;
mod usage;

/// What nearly every file uses.
mod prelude {
    pub(crate) use crate::channel::{Channel, Closed};
    pub(crate) use crate::control::{Answer, fill, no, ok, text};
    pub(crate) use crate::kernel::{DOOR_LIMIT, Kernel, Life, NOTICES_LIMIT, POWERBOX, Plan, Process};
    pub(crate) use crate::links::near_limit;
    pub(crate) use crate::poller::{Poller, Source};
    pub(crate) use crate::sys;
    pub(crate) use rustix::event::epoll::EventFlags;
    pub(crate) use schema::kernel_capnp::{Image, Outcome};
    pub(crate) use std::collections::BTreeMap;
    pub(crate) use std::fs::File;
    pub(crate) use std::os::fd::{AsFd, AsRawFd, OwnedFd};
    pub(crate) use std::rc::Rc;
    pub(crate) use std::time::{Duration, Instant};
    pub(crate) use vat::door::{DoorError, Identity, Notice, Resource, ResourceKind, ToVat};
    pub(crate) use vat::socket::Packet;
    pub(crate) use vat::words::{EndReason, clip};
}

use crate::prelude::*;
use crate::state::{REFUSED, Refusal, failed};
use std::path::Path;

const USAGE: &str = "usage: latch-kernel --state DIR [--libexec DIR] [--tpm PATH] [--reduced] [--ready-fd N]";

fn main() -> std::process::ExitCode {
    let Err((code, text)) = run() else { return std::process::ExitCode::SUCCESS };
    eprintln!("latch-kernel: {text}");
    code.into()
}

fn run() -> Result<(), Refusal> {
    let (mut folder, mut reduced) = (std::env::var_os("LATCH_STATE"), false);
    let (mut libexec, mut tpm, mut ready) = (None, None, None);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let word = word.to_string_lossy().into_owned();
        let wrong = || (REFUSED, format!("{word} means nothing here, or lacks its value\n{USAGE}"));
        match word.as_str() {
            "--reduced" => reduced = true,
            "--state" => folder = Some(words.next().ok_or_else(wrong)?),
            "--tpm" => tpm = Some(words.next().ok_or_else(wrong)?),
            "--libexec" => libexec = Some(words.next().ok_or_else(wrong)?.into()),
            "--ready-fd" => {
                let path = format!("/proc/self/fd/{}", words.next().unwrap_or_default().to_string_lossy());
                ready = Some(File::options().write(true).open(path).map_err(|_| wrong())?);
            }
            _ => return Err(wrong()),
        }
    }
    let folder = folder.ok_or_else(|| (REFUSED, format!("no state folder given\n{USAGE}")))?;
    let beside = || Some(std::env::current_exe().ok()?.parent()?.to_path_buf());
    // Relative names on the command line mean what they meant where it was typed.
    let libexec = std::path::absolute(libexec.or_else(beside).unwrap_or_default()).map_err(failed("the images"))?;
    let (state_uid, log, _lock) = state::open(Path::new(&folder))?;
    let machine = spawn::Machine::examine(log, &libexec, tpm).map_err(failed("cannot start processes"))?;
    if !machine.has(Image::Powerbox) {
        return Err((REFUSED, format!("no latch-powerbox in {libexec:?}: install it there, or say --libexec")));
    }
    let mut kernel = Kernel::new(machine, state_uid, reduced, ready).map_err(failed("cannot take operators"))?;
    kernel.begin_powerbox(state::own_folder(Image::Powerbox, kernel.machine.root)?).map_err(failed("the powerbox"))?;
    let ended = kernel.run().map_err(failed("cannot wait for events"));
    // Nobody should find a socket that no one listens to. The lock goes with this process.
    let _ = rustix::fs::unlink(shells::SOCKET);
    kernel.refused.map_or(ended, |why| Err((REFUSED, why)))
}
