//! When a process that died is started again: a pure function, so that it can be tested alone.

use std::time::Duration;

/// The first pause after a failure; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a node that mends itself is noticed within it.
const LONGEST: Duration = Duration::from_secs(30);
/// Who ran for so long has not failed at starting: the count begins anew.
const STEADY: Duration = Duration::from_secs(10);

/// How many failures in a row this one makes.
pub(crate) fn failures(before: u32, ran_for: Duration) -> u32 {
    if ran_for >= STEADY { 1 } else { before.saturating_add(1) }
}

/// The pause before the next start. The powerbox comes back at once after its first failure: while it is away nobody
/// can be granted or refused anything.
pub(crate) fn pause(failures: u32, powerbox: bool) -> Duration {
    let doublings = match (powerbox, failures) {
        (true, 0 | 1) => return Duration::ZERO,
        (true, more) => more - 2,
        (false, some) => some.saturating_sub(1),
    };
    FIRST.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests;
