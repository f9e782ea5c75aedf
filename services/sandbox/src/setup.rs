//! What this process is told when it begins, see `schema/internal/setup.capnp`.

use crate::limits::Limits;
use capnp::serialize;
use schema::setup_capnp::sandbox_setup;

/// On the guest's stack, above what the guest itself may use: for what it calls of ours.
const HOST_STACK_BYTES: u64 = 512 << 10;

/// Where the guest's standard streams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Links,
    Files,
}

/// The whole of it.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The guest's, its own name first.
    pub(crate) arguments: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) streams: StreamKind,
}

impl Setup {
    /// # Errors
    /// Those of the message: it is the powerbox's, so this is a fault of ours.
    pub(crate) fn read(bytes: &[u8]) -> capnp::Result<Self> {
        let message = serialize::read_message_from_flat_slice(&mut &*bytes, capnp::message::ReaderOptions::new())?;
        let setup: sandbox_setup::Reader<'_> = message.get_root()?;
        let mut arguments = vec![setup.get_name()?.to_string()?];
        for argument in setup.get_arguments()? {
            arguments.push(argument?.to_string()?);
        }
        Ok(Self {
            arguments,
            limits: Limits::read_from(setup.get_limits()?),
            streams: match setup.get_output()? {
                sandbox_setup::Output::Links => StreamKind::Links,
                sandbox_setup::Output::Files => StreamKind::Files,
            },
        })
    }
}

/// The engine for a guest with these limits. What differs from one guest to another has no part in compiling.
pub(crate) fn configure(limits: &Limits) -> wasmtime::Config {
    let mut config = sandbox_engine::engine_config();
    let stack_bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    config
        .max_wasm_stack(stack_bytes(limits.stack_bytes))
        .async_stack_size(stack_bytes(limits.stack_bytes + HOST_STACK_BYTES));
    config
}
