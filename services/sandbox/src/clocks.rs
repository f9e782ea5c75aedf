//! The clocks that a guest sees: coarse, so that they are of little use for measuring what other processes do.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// What browsers give a page that shares its process with nobody: each guest has a process of its own.
const RESOLUTION_NS: u64 = 5_000;

/// Time since the guest was started.
pub(crate) struct CoarseMonotonic(Instant);

impl CoarseMonotonic {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for CoarseMonotonic {
    fn resolution(&self) -> u64 {
        RESOLUTION_NS
    }

    fn now(&self) -> u64 {
        coarse(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The time of day.
pub(crate) struct CoarseWall;

impl HostWallClock for CoarseWall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(RESOLUTION_NS)
    }

    fn now(&self) -> Duration {
        // A clock before 1970 is wrong anyway.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::new(since.as_secs(), u32::try_from(coarse(u64::from(since.subsec_nanos()))).unwrap_or(0))
    }
}

fn coarse(time_ns: u64) -> u64 {
    time_ns - time_ns % RESOLUTION_NS
}
