//! The compiler process: one for each component. It turns a component into machine code for the sandbox, confined, for
//! the component is not trusted, and watched, for it may be made to take forever. Nothing of it is in the sandbox.
#![deny(unsafe_code)]

mod unsafe_usage;
mod watch;
mod world;

use schema::setup_capnp::compile_setup;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use vat::confine::{self, Allow, Profile};
use vat::native::Born;
use wasmtime::Engine;

/// The largest component that is compiled. A package holds no more.
const COMPONENT_LIMIT_BYTES: u64 = 64 << 20;
/// Not a component, or of a world that no sandbox offers; see `schema/internal/setup.capnp`.
const MISFIT: u8 = 3;
/// Something is wrong with the beginning itself, or with this machine.
const FAULT: u8 = 1;

fn main() -> ExitCode {
    match live() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("latch-compile: {error}");
            ExitCode::from(FAULT)
        }
    }
}

fn live() -> io::Result<u8> {
    let mut born = Born::take()?;
    let confinement = confine::enter(Profile::Compile, Allow { folder: None, reduced: born.is_reduced() })
        .inspect_err(|error| born.last(&error.to_string()))
        .map_err(io::Error::other)?;
    born.confined(&confinement)?;
    let check = only_check(born.setup()).map_err(io::Error::other)?;
    let mut compiled = take(&mut born, "compiled")?;
    let engine = Engine::new(&sandbox_engine::engine_config()).map_err(io::Error::other)?;
    if check {
        writeln!(compiled, "{:016x}", compatibility(&engine))?;
        return Ok(0);
    }
    let component = take(&mut born, "component")?;
    let born = Arc::new(born);
    watch::begin(&born)?;
    let refuse = |code: u8, why: &str| {
        born.last(why);
        Ok(code)
    };
    let mut bytes = Vec::new();
    component.take(COMPONENT_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > COMPONENT_LIMIT_BYTES {
        return refuse(watch::TOO_MUCH, &format!("too large: over {} MiB", COMPONENT_LIMIT_BYTES >> 20));
    }
    if let Err(misfit) = world::check(&bytes) {
        return refuse(MISFIT, &misfit.to_string());
    }
    match engine.precompile_component(&bytes) {
        Ok(code) => compiled.write_all(&code).map(|()| 0),
        Err(error) => refuse(MISFIT, &format!("not a component: {}", shown(&error))),
    }
}

fn only_check(setup: &[u8]) -> capnp::Result<bool> {
    let options = capnp::message::ReaderOptions::new();
    let message = capnp::serialize::read_message_from_flat_slice(&mut &*setup, options)?;
    Ok(message.get_root::<compile_setup::Reader<'_>>()?.get_check())
}

fn take(born: &mut Born, name: &str) -> io::Result<File> {
    let given = born.take_resource(name).ok_or_else(|| io::Error::other(format!("{name} was not given")))?;
    Ok(File::from(given.descriptor))
}

/// A number that differs wherever compiled code would not be accepted: other versions, settings or processors.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// The validator's words may quote names of the component.
fn shown(error: &wasmtime::Error) -> String {
    format!("{error:#}").escape_debug().to_string()
}
