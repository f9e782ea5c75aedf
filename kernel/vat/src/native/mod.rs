//! The library for native processes: the door on descriptor 3, links over sockets, and the main loop of a service.

mod born;
mod clock;
mod door;
mod held;
mod operator;
mod service;
mod stream;
mod unsafe_descriptors;

pub use crate::socket::{DESCRIPTORS_LIMIT, Packet, receive, send};
pub use born::{Born, Given};
pub use clock::SystemClock;
pub use door::{Arrived, Delivery, Door};
pub use held::{Held, TROUBLE_LIMIT_BYTES};
pub use operator::connect_operator;
pub use service::{LinkUsage, Service, report};
pub use stream::Stream;
pub use unsafe_descriptors::{CONTROL_DESCRIPTOR, DOOR_DESCRIPTOR, take_inherited, watch, watch_for};

use std::future::Future;
use std::io;

/// Runs a future, and what it spawns locally, on this thread.
///
/// # Errors
/// The machine gives no event queue.
pub fn run<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let output = tokio::task::LocalSet::new().block_on(&runtime, future);
    // A thread that still reads or writes for something that was given up keeps nobody waiting.
    runtime.shutdown_background();
    Ok(output)
}
