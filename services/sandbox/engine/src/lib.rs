//! How guests are compiled and run. The sandbox and its compiler process both take it from here, for a compiled
//! component is accepted only where both agree.
#![forbid(unsafe_code)]

use wasmtime::Config;

/// The largest linear memory that can be addressed without a check before each access: all that wasm32 can have.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
/// Offsets in instructions up to this much need no check either.
const MEMORY_GUARD_BYTES: u64 = 32 << 20;

/// What both sides must have alike.
#[must_use]
pub fn engine_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .memory_may_move(false)
        // An image of the first memory would be a second memfd and save nothing: each process has one instance.
        .memory_init_cow(false)
        // More than one size of page or of address buys apps nothing yet.
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        // Traces are of no use without names, which packages are stripped of, and the map to them is large.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None);
    config
}
