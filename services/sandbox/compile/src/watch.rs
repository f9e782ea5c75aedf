//! Stops a compilation that takes too much: a component may be made so that it does.

use crate::unsafe_usage::usage;
use std::sync::Arc;
use std::time::Duration;
use vat::native::Born;

/// Processor time for one component. Below what the powerbox has the kernel enforce (60 s), so that this process can
/// still say why. Tens of megabytes take a third of it.
const CPU_LIMIT_S: u64 = 50;
/// Memory for one component, at its most; likewise below the powerbox's 1 GiB. Cranelift keeps a few hundred bytes for
/// each byte that it compiles at once.
const MEMORY_LIMIT_MIB: i64 = 896;
/// How often it is looked at: less than the memory limit can be overrun by in between.
const INTERVAL: Duration = Duration::from_millis(50);
/// The process's exit code, see `schema/internal/setup.capnp`.
pub(crate) const TOO_MUCH: u8 = 4;

/// Watches this process from a thread of its own until it ends.
///
/// # Errors
/// Where the thread cannot be started.
pub(crate) fn begin(born: &Arc<Born>) -> std::io::Result<()> {
    let born = born.clone();
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        loop {
            std::thread::sleep(INTERVAL);
            if let Some(what) = exceeded() {
                born.last(&what);
                std::process::exit(i32::from(TOO_MUCH));
            }
        }
    })?;
    Ok(())
}

fn exceeded() -> Option<String> {
    let usage = usage();
    if usage.cpu_s >= CPU_LIMIT_S {
        return Some(format!("too large or too intricate: compiling it took more than {CPU_LIMIT_S} s"));
    }
    (usage.memory_kib >> 10 >= MEMORY_LIMIT_MIB)
        .then(|| format!("too large or too intricate: compiling it took more than {MEMORY_LIMIT_MIB} MiB of memory"))
}
