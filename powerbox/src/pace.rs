//! How often an app may have the link of one grant made anew. Plain arithmetic, with the time given.

/// So many new links of a grant at once: more than any honest app makes while what it uses is restarted a few times.
const QUICK_REOPENINGS: u64 = 16;

/// After those, one in this time. Each leaves up to two records of 250 bytes in the log (a lease and its return), so that
/// no app can make it grow by more than that.
const PERIOD_MS: u64 = 2_000;

/// The pace of one grant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// When all that was allowed so far would have been used by one each period.
    even_ms: u64,
}

impl Pace {
    /// Another link is wanted now. How long it has to wait.
    pub(crate) fn pause_ms(&mut self, now_ms: u64) -> u64 {
        let saved = now_ms.saturating_sub(QUICK_REOPENINGS * PERIOD_MS);
        self.even_ms = self.even_ms.max(saved) + PERIOD_MS;
        self.even_ms.saturating_sub(now_ms)
    }

    /// Whether it is as if nothing had ever been asked for.
    #[must_use]
    pub(crate) fn is_fresh(&self, now_ms: u64) -> bool {
        self.even_ms <= now_ms.saturating_sub(QUICK_REOPENINGS * PERIOD_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    #[test]
    fn a_few_at_once_do_not_wait_and_the_rest_come_one_a_period() {
        let mut pace = Pace::default();
        for _ in 0..QUICK_REOPENINGS {
            assert_eq!(pace.pause_ms(NOW_MS), 0);
        }
        assert_eq!(pace.pause_ms(NOW_MS), PERIOD_MS);
        // Whoever has waited and asks at once waits again.
        for turn in 1..100 {
            assert_eq!(pace.pause_ms(NOW_MS + turn * PERIOD_MS), PERIOD_MS);
        }
        assert!(!pace.is_fresh(NOW_MS + 100 * PERIOD_MS));
    }

    #[test]
    fn whoever_asks_now_and_then_never_waits() {
        let mut pace = Pace::default();
        for turn in 0..1_000 {
            assert_eq!(pace.pause_ms(NOW_MS + turn * PERIOD_MS), 0);
        }
        assert!(pace.is_fresh(NOW_MS + (1_000 + QUICK_REOPENINGS) * PERIOD_MS));
    }
}
