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
mod introduce;
mod inventory;
mod kernel;
mod links;
mod poller;
mod shells;
mod spawn;
mod state;
mod supervise;
mod sys;
mod usage;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use capnp::message::Builder;
use schema::kernel_capnp::{Image, Outcome};
use schema::setup_capnp::powerbox_setup;

use crate::kernel::Kernel;
use crate::shells::{Operators, SOCKET};
use crate::state::Refusal;

const USAGE: &str = "usage: latch-kernel --state DIR [--libexec DIR] [--reduced] [--ready-fd N]";

#[derive(Default)]
struct Arguments {
    state: Option<PathBuf>,
    libexec: Option<PathBuf>,
    reduced: bool,
    ready: Option<OwnedFd>,
}

fn main() -> ExitCode {
    match arguments().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("latch-kernel: {}", refusal.text);
            ExitCode::from(refusal.code)
        }
    }
}

fn arguments() -> Result<Arguments, Refusal> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let wrong =
            || Refusal::new(format!("{} means nothing here, or lacks its value\n{USAGE}", word.to_string_lossy()));
        match word.to_str() {
            Some("--state") => arguments.state = Some(words.next().ok_or_else(wrong)?.into()),
            Some("--libexec") => arguments.libexec = Some(words.next().ok_or_else(wrong)?.into()),
            Some("--reduced") => arguments.reduced = true,
            Some("--ready-fd") => {
                let number = words.next().and_then(|number| number.to_str()?.parse().ok()).ok_or_else(wrong)?;
                arguments.ready = Some(sys::adopt(number).map_err(|_| wrong())?);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(arguments)
}

fn run(arguments: Arguments) -> Result<(), Refusal> {
    fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> Refusal {
        move |error| Refusal::new(format!("{what}: {error}"))
    }
    let folder = arguments.state.or_else(|| std::env::var_os("LATCH_STATE").map(PathBuf::from));
    let folder = folder.ok_or_else(|| Refusal::new(format!("no state folder given\n{USAGE}")))?;
    let beside = || Some(std::env::current_exe().ok()?.parent()?.to_path_buf());
    let libexec = arguments.libexec.or_else(beside).unwrap_or_default();
    // Relative names on the command line mean what they meant where it was typed.
    let libexec = std::path::absolute(libexec).map_err(failed("the folder with the images"))?;
    let state = state::open(&folder)?;
    let machine = spawn::Machine::examine(state.log, &libexec).map_err(failed("cannot start processes"))?;
    if !machine.has(Image::Powerbox) {
        let place = libexec.display();
        return Err(Refusal::new(format!("there is no latch-powerbox in {place}: install it there, or say --libexec")));
    }
    let powerbox_folder = state::powerbox_folder(machine.root)?;
    let operators = Operators::open(state.uid).map_err(failed("cannot open the operator socket"))?;

    let mut message = Builder::new_default();
    let mut setup = message.init_root::<powerbox_setup::Builder<'_>>();
    setup.set_state_uid(state.uid);
    setup.set_reduced(arguments.reduced);
    setup.set_kernel_missing(machine.missing.as_slice()).map_err(failed("setup"))?;
    let setup = vat::door::packet::pack::<powerbox_setup::Owned>(&message).map_err(failed("setup"))?;

    let mut kernel = Kernel::new(machine, operators, arguments.reduced).map_err(failed("cannot wait for events"))?;
    kernel.ready = arguments.ready;
    let (outcome, detail, _) = kernel.begin_powerbox(setup, powerbox_folder);
    if outcome != Outcome::Ok {
        return Err(Refusal::new(format!("the powerbox: {detail}")));
    }
    let ended = kernel.run().map_err(failed("cannot wait for events"));
    // Nobody should find a socket that no one listens to; the lock goes with this process.
    let _ = rustix::fs::unlink(SOCKET);
    drop(state.lock);
    ended
}
