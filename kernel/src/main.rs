//! `latch-kernel`: starts processes, makes and cuts links, delivers descriptors, supervises. It carries nothing, stores nothing and
//! decides nothing about grants: the powerbox does.
//!
//! One thread over epoll. The parent-death signal that ends every child with the kernel follows the thread that forked.
#![deny(unsafe_code)]

mod backoff;
mod begin;
mod channel;
mod control;
mod folders;
mod images;
mod introduce;
mod inventory;
mod kernel;
mod links;
mod poller;
mod shells;
mod spawn;
mod state;
mod stop;
mod supervise;
mod sys;
mod usage;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use capnp::message::Builder;
use schema::kernel_capnp::Outcome;
use schema::setup_capnp::powerbox_setup;
use vat::door::packet::pack;

use kernel::Kernel;
use state::Refusal;

const USAGE: &str = "latch-kernel --state DIR [--libexec DIR] [--reduced] [--ready-fd N]";

struct Arguments {
    state: PathBuf,
    libexec: PathBuf,
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
    let usage = |what: &str| Refusal::new(&format!("{what}\nusage: {USAGE}"));
    let (mut state, mut libexec, mut reduced, mut ready) = (None, None, false, None);
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| usage(&format!("{} needs a value", word.to_string_lossy())));
        match word.to_str() {
            Some("--state") => state = Some(PathBuf::from(value()?)),
            Some("--libexec") => libexec = Some(PathBuf::from(value()?)),
            Some("--reduced") => reduced = true,
            Some("--ready-fd") => {
                let number = value()?.to_str().and_then(|number| number.parse().ok());
                let number = number.ok_or_else(|| usage("--ready-fd needs a number"))?;
                ready = Some(sys::adopt(number).map_err(|error| usage(&format!("descriptor {number}: {error}")))?);
            }
            _ => return Err(usage(&format!("{} means nothing here", word.to_string_lossy()))),
        }
    }
    let beside = || Some(std::env::current_exe().ok()?.parent()?.to_path_buf());
    let state = state.or_else(|| std::env::var_os("LATCH_STATE").map(PathBuf::from));
    Ok(Arguments {
        state: state.ok_or_else(|| usage("no state folder given"))?,
        libexec: libexec.or_else(beside).ok_or_else(|| usage("no folder with the images given"))?,
        reduced,
        ready,
    })
}

fn run(arguments: Arguments) -> Result<(), Refusal> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| Refusal::new(&format!("{what}: {error}"))
    };
    state::raise_descriptor_limit();
    // Relative names on the command line mean what they meant where it was typed.
    let libexec = std::path::absolute(&arguments.libexec).map_err(failed("the folder with the images"))?;
    let state = state::open(&arguments.state)?;
    let machine = spawn::Machine::examine(state.log).map_err(failed("cannot start processes"))?;
    let images = images::Images::open(&libexec, machine.root).map_err(failed("cannot open the images"))?;
    let absent = images.missing();
    if absent.iter().any(|name| name == "latch-powerbox") {
        let folder = libexec.display();
        return Err(Refusal::new(&format!(
            "there is no latch-powerbox in {folder}: install it there, or say --libexec"
        )));
    }
    let missing: Vec<String> =
        machine.missing().into_iter().chain(absent.into_iter().map(|name| format!("the image {name}"))).collect();
    let powerbox_folder = state::powerbox_folder(machine.root)?;
    let operators = shells::open().map_err(failed("cannot open the operator socket"))?;
    let setup = setup(state.uid, arguments.reduced, &missing).map_err(|error| Refusal::new(&error.to_string()))?;

    let mut kernel = Kernel::new(machine, images, operators, state.uid, arguments.reduced, arguments.ready)
        .map_err(failed("cannot wait for events"))?;
    let answer = kernel.begin_powerbox(setup, powerbox_folder);
    if answer.outcome != Outcome::Ok {
        return Err(Refusal::new(&answer.detail));
    }
    let ended = kernel.run().map_err(failed("cannot wait for events"));
    // Nobody should find a socket that no one listens to; the lock goes with this process.
    let _ = rustix::fs::unlink(shells::SOCKET);
    drop(state.lock);
    kernel.refused.map_or(ended, |why| Err(Refusal::new(&why)))
}

/// What the powerbox is told first.
fn setup(state_uid: u32, reduced: bool, missing: &[String]) -> Result<Vec<u8>, vat::door::DoorError> {
    let mut message = Builder::new_default();
    let mut setup = message.init_root::<powerbox_setup::Builder<'_>>();
    setup.set_state_uid(state_uid);
    setup.set_reduced(reduced);
    let mut list = setup.init_kernel_missing(u32::try_from(missing.len()).unwrap_or(0));
    for (index, what) in (0..list.len()).zip(missing) {
        list.set(index, what);
    }
    pack::<powerbox_setup::Owned>(&message)
}
