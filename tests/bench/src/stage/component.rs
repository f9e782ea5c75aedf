//! From a component to what a sandbox loads, by the real compiler process, as the powerbox does it.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use schema::setup_capnp::{compile_setup, sandbox_setup};
use std::os::fd::OwnedFd;

/// The memory that the compiler writes and the sandbox maps.
pub(super) fn memory() -> Result<OwnedFd, String> {
    memfd_create("compiled", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(|error| format!("no memory for compiled code: {error}"))
}

/// Nobody changes it any more.
pub(super) fn seal(memory: &OwnedFd) -> Result<(), String> {
    fcntl_add_seals(memory, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)
        .map_err(|error| format!("cannot seal compiled code: {error}"))
}

pub(super) fn compiler_setup() -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    message.init_root::<compile_setup::Builder<'_>>().set_check(false);
    capnp::serialize::write_message_to_words(&message)
}

pub(super) fn sandbox_setup() -> Vec<u8> {
    let mut message = capnp::message::Builder::new_default();
    let mut setup: sandbox_setup::Builder<'_> = message.init_root();
    setup.set_name("bench");
    setup.reborrow().init_arguments(1).set(0, "calls");
    setup.set_output(sandbox_setup::Output::Links);
    capnp::serialize::write_message_to_words(&message)
}
