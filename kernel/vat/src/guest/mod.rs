//! A guest's half of the vat library: doors and links of a WebAssembly app.
//!
//! The sandbox hands every link on as a numbered byte stream through the one import an app has, its door
//! (`wit/door.wit`); the guest itself is the vat. Here are the door ([`HostDoor`]), the one loop that suspends in it
//! ([`run`]), and links as byte streams for the engine ([`Stream`]). The crate `sdk` makes all of this invisible.
//!
//! One turn of the loop: everything that can run runs; what it wrote goes out with one `send` a link; what it read is
//! given back as credit; then the guest suspends until the door has something. It never polls.
//!
//! The loop takes any [`HostDoor`], so that apps can be tested natively, with the other ends of their links on the
//! same thread.

mod bound;
mod clock;
mod executor;
mod host;
mod link;
mod shared;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_arch = "wasm32"))]
mod unsafe_allocator;
mod unsafe_bindings;

pub use bound::{INPUT_WINDOW_BYTES, OUTPUT_LIMIT_BYTES};
pub use clock::{GuestClock, Sleep};
pub use executor::{Guest, Stalled, run};
pub use host::{Arrival, Delivery, Event, HostDoor, HostNotice, Opened};
pub use link::LinkWatch;
pub use stream::Stream;
pub use unsafe_bindings::WasiDoor;
