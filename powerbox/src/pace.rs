//! How often somebody may have something done that costs others. Plain arithmetic, with the time given.

/// So much of it at once, and then one in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// What whoever has wanted nothing for a while may have at once.
    pub(crate) at_once: u64,
    /// After that, one in this time.
    pub(crate) period_us: u64,
}

impl Rate {
    /// In this time all that may be had at once comes back.
    const fn saving_us(self) -> u64 {
        self.at_once * self.period_us
    }
}

/// The pace of one of those whom a rate holds for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// From then on all may be had at once again.
    full_at_us: u64,
}

impl Pace {
    /// So much more is had now. How long it, or whatever comes next, has to wait.
    pub(crate) fn pause_us(&mut self, rate: Rate, amount: u64, now_us: u64) -> u64 {
        let cost_us = amount.saturating_mul(rate.period_us);
        self.full_at_us = self.full_at_us.max(now_us).saturating_add(cost_us);
        self.full_at_us.saturating_sub(now_us.saturating_add(rate.saving_us()))
    }

    /// Whether it is as if nothing had ever been wanted.
    #[must_use]
    pub(crate) fn is_fresh(&self, now_us: u64) -> bool {
        self.full_at_us <= now_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { at_once: 16, period_us: 2_000 };
    const NOW_US: u64 = 1_800_000_000_000_000;

    #[test]
    fn a_few_at_once_do_not_wait_and_the_rest_come_one_a_period() {
        for now_us in [0, NOW_US] {
            let mut pace = Pace::default();
            for _ in 0..RATE.at_once {
                assert_eq!(pace.pause_us(RATE, 1, now_us), 0);
            }
            assert_eq!(pace.pause_us(RATE, 1, now_us), RATE.period_us);
            // Whoever has waited and asks at once waits again.
            for turn in 1..100 {
                assert_eq!(pace.pause_us(RATE, 1, now_us + turn * RATE.period_us), RATE.period_us);
            }
            assert!(!pace.is_fresh(now_us + 100 * RATE.period_us));
        }
    }

    #[test]
    fn whoever_asks_now_and_then_never_waits() {
        let mut pace = Pace::default();
        for turn in 0..1_000 {
            assert_eq!(pace.pause_us(RATE, 1, NOW_US + turn * RATE.period_us), 0);
        }
        assert!(pace.is_fresh(NOW_US + 1_000 * RATE.period_us));
    }

    #[test]
    fn what_is_had_in_one_piece_is_waited_for_as_in_many() {
        let mut pace = Pace::default();
        assert_eq!(pace.pause_us(RATE, 100, NOW_US), 84 * RATE.period_us);
        let later_us = NOW_US + 84 * RATE.period_us;
        assert_eq!(pace.pause_us(RATE, 1, later_us), RATE.period_us);
        let much_later_us = later_us + 1_000 * RATE.period_us;
        assert_eq!(pace.pause_us(RATE, RATE.at_once, much_later_us), 0, "it saves up no more than may be had at once");
        assert_eq!(pace.pause_us(RATE, 1, much_later_us), RATE.period_us);
    }
}
