//! `latch-kernel`: starts processes, makes and cuts links, delivers descriptors, supervises. It carries nothing, stores
//! nothing and decides nothing about grants: the powerbox does.
//!
//! One thread over epoll: the parent-death signal that ends every child with the kernel follows the thread that forked.
#![deny(unsafe_code)]

mod backoff;
mod begin;
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

use crate::kernel::Kernel;
use crate::shells::{Operators, SOCKET};
use crate::state::{REFUSED, Refusal, failed};
use capnp::message::Builder;
use schema::kernel_capnp::{Image, Outcome};
use schema::setup_capnp::powerbox_setup;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: latch-kernel --state DIR [--libexec DIR] [--reduced] [--ready-fd N]";

fn main() -> ExitCode {
    let Err((code, text)) = run() else { return ExitCode::SUCCESS };
    eprintln!("latch-kernel: {text}");
    ExitCode::from(code)
}

fn run() -> Result<(), Refusal> {
    let (mut folder, mut libexec, mut reduced, mut ready) = (std::env::var_os("LATCH_STATE"), None, false, None);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let word = word.to_string_lossy().into_owned();
        let wrong = || (REFUSED, format!("{word} means nothing here, or lacks its value\n{USAGE}"));
        match word.as_str() {
            "--reduced" => reduced = true,
            "--state" => folder = Some(words.next().ok_or_else(wrong)?),
            "--libexec" => libexec = Some(words.next().ok_or_else(wrong)?.into()),
            "--ready-fd" => {
                let number = words.next().and_then(|it| it.to_str()?.parse::<u32>().ok()).ok_or_else(wrong)?;
                ready = Some(File::options().write(true).open(format!("/proc/self/fd/{number}")).map_err(|_| wrong())?);
            }
            _ => return Err(wrong()),
        }
    }
    let folder = folder.ok_or_else(|| (REFUSED, format!("no state folder given\n{USAGE}")))?;
    let beside = || Some(std::env::current_exe().ok()?.parent()?.to_path_buf());
    // Relative names on the command line mean what they meant where it was typed.
    let libexec = std::path::absolute(libexec.or_else(beside).unwrap_or_default()).map_err(failed("the images"))?;
    let state = state::open(Path::new(&folder))?;
    let machine = spawn::Machine::examine(state.log, &libexec).map_err(failed("cannot start processes"))?;
    if !machine.has(Image::Powerbox) {
        let place = libexec.display();
        return Err((REFUSED, format!("there is no latch-powerbox in {place}: install it there, or say --libexec")));
    }
    let powerbox_folder = state::powerbox_folder(machine.root)?;
    let operators = Operators::open(state.uid).map_err(failed("cannot open the operator socket"))?;

    let mut message = Builder::new_default();
    let mut setup = message.init_root::<powerbox_setup::Builder<'_>>();
    setup.set_state_uid(state.uid);
    setup.set_reduced(reduced);
    setup.set_kernel_missing(machine.missing.as_slice()).map_err(failed("setup"))?;
    let setup = vat::door::packet::pack::<powerbox_setup::Owned>(&message).map_err(failed("setup"))?;

    let mut kernel = Kernel::new(machine, operators, reduced).map_err(failed("cannot wait for events"))?;
    kernel.ready = ready;
    let (outcome, detail, _) = kernel.begin_powerbox(setup, powerbox_folder);
    if outcome != Outcome::Ok {
        return Err((REFUSED, format!("the powerbox: {detail}")));
    }
    let ended = kernel.run().map_err(failed("cannot wait for events"));
    // Nobody should find a socket that no one listens to; the lock goes with this process.
    let _ = rustix::fs::unlink(SOCKET);
    drop(state.lock);
    kernel.refused.map_or(ended, |why| Err((REFUSED, why)))
}
