//! The powerbox's clock: the machine's, but never earlier than the last time that the log holds. Who sets the machine's
//! clock back does not make an expired grant live again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, not before `last_ms`.
#[must_use]
pub fn now_ms(last_ms: u64) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(last_ms)
}
