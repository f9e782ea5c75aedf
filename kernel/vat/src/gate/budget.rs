//! One budget of a link: the slices that it was given, and what is left of them.

use crate::door::Lease;

/// What a budget says to something that would use of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Enough,
    /// Not now: there is more where this came from.
    Short,
    UsedUp,
}

/// A budget that is given in slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// All slices so far.
    amount: u64,
    left: u64,
    /// Used before it was given: the next slice pays for it.
    owed: u64,
    /// More is to be asked for when less than this is left; 0 where no more can be had.
    low: u64,
    more: bool,
}

impl Budget {
    /// None where there is no limit.
    pub(super) fn of(lease: Lease) -> Option<Budget> {
        let mut budget = Budget { amount: 0, left: 0, owed: 0, low: 0, more: false };
        lease.limited.then(|| {
            budget.renew(lease);
            budget
        })
    }

    /// A slice comes, or the word that there is none. Half of it is left to use while the next is asked for.
    pub(super) fn renew(&mut self, lease: Lease) {
        let slice = lease.amount.saturating_sub(self.amount);
        self.amount += slice;
        let paid = slice.min(self.owed);
        self.owed -= paid;
        self.left += slice - paid;
        self.more = lease.more && slice > 0;
        self.low = if self.more { slice.div_ceil(2) } else { 0 };
        if self.owed > 0 && self.more {
            self.low = u64::MAX;
        }
    }

    /// Whether so much may be used now. Where it may not yet, more is asked for.
    pub(super) fn has(&mut self, amount: u64) -> Share {
        if amount <= self.left {
            Share::Enough
        } else if self.more {
            self.low = u64::MAX;
            Share::Short
        } else {
            Share::UsedUp
        }
    }

    /// Uses what [`Budget::has`] says there is enough of.
    pub(super) fn take(&mut self, amount: u64) {
        self.left -= amount;
    }

    /// Uses more than there is: the next slice pays for it, and nothing else is used before it has.
    pub(super) fn owe(&mut self, amount: u64) {
        self.owed += amount - std::mem::take(&mut self.left);
    }

    /// What was taken was not used after all.
    pub(super) fn give_back(&mut self, amount: u64) {
        self.left += amount;
    }

    /// What is left of them.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Whether the slice is nearly used up and another can be had.
    pub(super) fn is_low(&self) -> bool {
        self.left < self.low
    }

    /// How much it was given so far, if it is to be asked for more.
    pub(super) fn wants(&self) -> Lease {
        Lease { limited: self.is_low(), amount: self.amount, more: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(amount: u64) -> Lease {
        Lease { more: true, ..Lease::of(amount) }
    }

    #[test]
    fn more_is_asked_for_when_half_of_a_slice_is_used_and_waited_for_when_all_is() {
        let mut budget = Budget::of(slice(4)).unwrap();
        for low in [false, false, true, true] {
            assert_eq!(budget.has(1), Share::Enough);
            budget.take(1);
            assert_eq!(budget.is_low(), low);
        }
        assert_eq!(budget.has(1), Share::Short);
        assert_eq!(budget.wants(), Lease::of(4));
        // An answer that comes twice gives nothing twice.
        budget.renew(slice(6));
        budget.renew(Lease { more: false, ..slice(6) });
        assert_eq!((budget.has(2), budget.has(3)), (Share::Enough, Share::UsedUp));
        assert!(!budget.is_low(), "there is nothing to ask for");
    }

    #[test]
    fn the_next_slice_pays_for_what_is_owed() {
        let mut budget = Budget::of(slice(100)).unwrap();
        budget.owe(130);
        assert_eq!((budget.has(1), budget.is_low()), (Share::Short, true));
        budget.renew(slice(120));
        assert_eq!((budget.left(), budget.is_low()), (0, true), "it is still owed");
        budget.renew(slice(140));
        assert_eq!((budget.left(), budget.amount), (10, 140));
    }
}
