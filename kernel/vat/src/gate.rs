//! The arithmetic of caveats: whether a call may start. Pure: no clock, no IO, nothing asynchronous.

mod budget;

use crate::door::{Badge, Lease};
use crate::words::Method;
use budget::{Budget, Share};
use std::fmt;
use std::task::Poll;

/// Why a call may not start, in terms of the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The grant's time is over.
    Expired {
        /// The grant.
        grant: u64,
    },
    /// The grant does not allow this method.
    Denied {
        /// The grant.
        grant: u64,
        /// What was called.
        method: Method,
    },
    /// The grant's calls are used up.
    CallsExhausted {
        /// The grant.
        grant: u64,
    },
    /// The grant's bytes are used up.
    BytesExhausted {
        /// The grant.
        grant: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Expired { grant } => write!(formatter, "expired: the time of grant {grant} is over"),
            Refusal::Denied { grant, method } => {
                write!(formatter, "denied: grant {grant} does not allow {method}")
            }
            // A link knows what it was given of a budget, not how much that was in all.
            Refusal::CallsExhausted { grant } => {
                write!(formatter, "exhausted: the calls of grant {grant} are used up")
            }
            Refusal::BytesExhausted { grant } => {
                write!(formatter, "exhausted: the bytes of grant {grant} are used up, or too few are left")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// The caveats of one link, and what is left of its leases.
#[derive(Clone, Debug)]
pub struct Gate {
    grant: u64,
    /// 0: never.
    expires_at_ms: u64,
    calls: Option<Budget>,
    bytes: Option<Budget>,
    /// Sorted; empty: all.
    methods: Vec<Method>,
}

impl Gate {
    /// The gate that a badge describes.
    #[must_use]
    pub fn new(badge: &Badge) -> Gate {
        let mut methods = badge.methods.clone();
        methods.sort_unstable_by_key(|method| (method.interface, method.ordinal));
        Gate {
            grant: badge.grant,
            expires_at_ms: badge.expires_at_ms,
            calls: Budget::of(badge.calls),
            bytes: Budget::of(badge.bytes),
            methods,
        }
    }

    /// A gate without caveats: for objects that this end passes to a peer which serves it.
    #[must_use]
    pub const fn open() -> Gate {
        Gate { grant: 0, expires_at_ms: 0, calls: None, bytes: None, methods: Vec::new() }
    }

    /// The grant; 0 for none.
    #[must_use]
    pub const fn grant(&self) -> u64 {
        self.grant
    }

    /// Whether the time matters.
    #[must_use]
    pub const fn expires(&self) -> bool {
        self.expires_at_ms != 0
    }

    /// Whether a call of so many bytes may start, and takes both from the budgets if so. Pending: it may when the next
    /// slice has come.
    ///
    /// # Errors
    /// The first caveat that forbids it, in the order of [`Refusal`]'s variants. It costs nothing then.
    pub fn admit(&mut self, now_ms: u64, method: Method, bytes: u64) -> Poll<Result<(), Refusal>> {
        let grant = self.grant;
        if self.expires() && now_ms >= self.expires_at_ms {
            return Poll::Ready(Err(Refusal::Expired { grant }));
        }
        let key = (method.interface, method.ordinal);
        if !self.methods.is_empty()
            && self.methods.binary_search_by_key(&key, |known| (known.interface, known.ordinal)).is_err()
        {
            return Poll::Ready(Err(Refusal::Denied { grant, method }));
        }
        match self.calls.as_mut().map_or(Share::Enough, |calls| calls.has(1)) {
            Share::Enough => {}
            Share::Short => return Poll::Pending,
            Share::UsedUp => return Poll::Ready(Err(self.calls_exhausted())),
        }
        let carried = self.carry(bytes);
        if let (Poll::Ready(Ok(())), Some(calls)) = (&carried, &mut self.calls) {
            calls.take(1);
        }
        carried
    }

    /// A call that was admitted did not start after all.
    pub fn take_back(&mut self, bytes: u64) {
        if let Some(calls) = &mut self.calls {
            calls.give_back(1);
        }
        if let Some(budget) = &mut self.bytes {
            budget.give_back(bytes);
        }
    }

    /// Takes the bytes of one message, either way, from the budget. Pending: it may pass when the next slice has come.
    ///
    /// # Errors
    /// Fewer than these are left: then none are taken, and the message must not pass.
    pub fn carry(&mut self, bytes: u64) -> Poll<Result<(), Refusal>> {
        let Some(budget) = &mut self.bytes else { return Poll::Ready(Ok(())) };
        match budget.has(bytes) {
            Share::Enough => {
                budget.take(bytes);
                Poll::Ready(Ok(()))
            }
            Share::Short => Poll::Pending,
            Share::UsedUp => Poll::Ready(Err(self.bytes_exhausted())),
        }
    }

    /// The same for a message that is here already and cannot wait: the next slice pays for what is lacking, and
    /// nothing else passes before it has.
    ///
    /// # Errors
    /// There is no next slice.
    pub fn carry_now(&mut self, bytes: u64) -> Result<(), Refusal> {
        match (self.carry(bytes), &mut self.bytes) {
            (Poll::Ready(carried), _) => carried,
            (Poll::Pending, Some(budget)) => {
                budget.owe(bytes);
                Ok(())
            }
            (Poll::Pending, None) => Ok(()),
        }
    }

    fn calls_exhausted(&self) -> Refusal {
        Refusal::CallsExhausted { grant: self.grant }
    }

    fn bytes_exhausted(&self) -> Refusal {
        Refusal::BytesExhausted { grant: self.grant }
    }

    /// Whether a slice is nearly used up and another can be had.
    #[must_use]
    pub fn is_low(&self) -> bool {
        let is_low = |budget: &Option<Budget>| budget.as_ref().is_some_and(Budget::is_low);
        is_low(&self.calls) || is_low(&self.bytes)
    }

    /// What to ask for: `limited` where more calls, more bytes are wanted, and how much there was so far.
    #[must_use]
    pub fn wants(&self) -> (Lease, Lease) {
        let wants = |budget: Option<Budget>| budget.map_or(Lease::UNLIMITED, |budget| budget.wants());
        (wants(self.calls), wants(self.bytes))
    }

    /// What was answered: calls and bytes, each where it was asked for.
    pub fn renew(&mut self, calls: Lease, bytes: Lease) {
        let renew = |budget: &mut Option<Budget>, lease: Lease| {
            budget.iter_mut().filter(|_| lease.limited).for_each(|budget| budget.renew(lease));
        };
        renew(&mut self.calls, calls);
        renew(&mut self.bytes, bytes);
    }

    /// What is left of the leases, to be given back: calls and bytes; 0 where there is no limit.
    #[must_use]
    pub fn unused(&self) -> (u64, u64) {
        (self.calls.map_or(0, |budget| budget.left()), self.bytes.map_or(0, |budget| budget.left()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Peer;
    use crate::words::Rights;

    const LIST: Method = Method { interface: 7, ordinal: 0 };
    const STAT: Method = Method { interface: 7, ordinal: 1 };
    const OTHER: Method = Method { interface: 9, ordinal: 0 };

    fn badge() -> Badge {
        Badge {
            grant: 12,
            interface: 7,
            rights: Rights::ALL,
            expires_at_ms: 0,
            calls: Lease::UNLIMITED,
            bytes: Lease::UNLIMITED,
            methods: Vec::new(),
            peer: Peer::App,
            holder: "search".into(),
            object: String::new(),
            accounts: Vec::new(),
        }
    }

    const OK: Poll<Result<(), Refusal>> = Poll::Ready(Ok(()));

    fn no(refusal: Refusal) -> Poll<Result<(), Refusal>> {
        Poll::Ready(Err(refusal))
    }

    fn slice(amount: u64) -> Lease {
        Lease { more: true, ..Lease::of(amount) }
    }

    #[test]
    fn a_gate_without_caveats_admits_everything_for_ever() {
        let mut gate = Gate::new(&badge());
        for now_ms in [0, 1, u64::MAX] {
            assert_eq!(gate.admit(now_ms, OTHER, u64::MAX), OK);
        }
        assert_eq!(gate.carry(u64::MAX), OK);
        assert_eq!(gate.carry(u64::MAX), OK);
        assert_eq!((gate.unused(), gate.is_low()), ((0, 0), false));
    }

    #[test]
    fn the_moment_of_expiry_is_already_too_late() {
        let mut gate = Gate::new(&Badge { expires_at_ms: 1_000, ..badge() });
        assert_eq!(gate.admit(999, LIST, 8), OK);
        assert_eq!(gate.admit(1_000, LIST, 8), no(Refusal::Expired { grant: 12 }));
    }

    #[test]
    fn only_the_methods_named_are_allowed_and_a_refused_call_costs_nothing() {
        let mut gate =
            Gate::new(&Badge { methods: vec![STAT, LIST], calls: Lease::of(3), bytes: Lease::of(20), ..badge() });
        assert_eq!(gate.admit(0, OTHER, 8), no(Refusal::Denied { grant: 12, method: OTHER }));
        assert_eq!(gate.admit(0, LIST, 8), OK);
        assert_eq!(gate.admit(0, STAT, 8), OK);
        assert_eq!(gate.admit(0, STAT, 8), no(Refusal::BytesExhausted { grant: 12 }));
        assert_eq!(gate.unused(), (1, 4));
        assert_eq!(gate.admit(0, STAT, 4), OK);
        assert_eq!(gate.admit(0, STAT, 0), no(Refusal::CallsExhausted { grant: 12 }));
    }

    #[test]
    fn what_is_left_of_a_lease_is_what_was_not_used() {
        let mut gate = Gate::new(&Badge { calls: Lease::of(3), bytes: Lease::of(100), ..badge() });
        assert_eq!(gate.admit(0, LIST, 60), OK);
        assert_eq!(gate.carry(41), no(Refusal::BytesExhausted { grant: 12 }));
        assert_eq!(gate.unused(), (2, 40), "what does not pass is not taken");
        assert_eq!(gate.carry(40), OK);
        assert_eq!(gate.unused(), (2, 0));
        gate.take_back(60);
        assert_eq!(gate.unused(), (3, 60));
    }

    #[test]
    fn an_empty_lease_allows_nothing() {
        let mut gate = Gate::new(&Badge { calls: Lease::of(0), bytes: Lease::of(0), ..badge() });
        assert_eq!(gate.admit(0, LIST, 0), no(Refusal::CallsExhausted { grant: 12 }));
        assert_eq!(gate.carry(0), OK);
        assert_eq!(gate.carry(1), no(Refusal::BytesExhausted { grant: 12 }));
    }

    #[test]
    fn what_waits_for_a_slice_goes_on_with_it() {
        let mut gate = Gate::new(&Badge { calls: slice(1), ..badge() });
        assert_eq!((gate.admit(0, LIST, 8), gate.is_low()), (OK, true));
        assert_eq!(gate.admit(0, LIST, 8), Poll::Pending);
        assert_eq!(gate.wants(), (Lease::of(1), Lease::UNLIMITED));
        gate.renew(Lease::of(2), Lease::UNLIMITED);
        assert_eq!(gate.admit(0, LIST, 8), OK);
        assert_eq!(gate.admit(0, LIST, 8), no(Refusal::CallsExhausted { grant: 12 }));
    }

    #[test]
    fn what_does_not_fit_into_a_slice_asks_for_more_until_it_does() {
        let mut gate = Gate::new(&Badge { bytes: slice(100), ..badge() });
        for given in [110, 120, 250] {
            gate.renew(Lease::UNLIMITED, slice(given));
            assert_eq!(gate.carry(300), Poll::Pending);
            assert!(gate.is_low());
        }
        gate.renew(Lease::UNLIMITED, slice(300));
        assert_eq!((gate.carry(300), gate.unused()), (OK, (0, 0)));
    }

    #[test]
    fn the_next_slice_pays_for_what_could_not_wait() {
        let mut gate = Gate::new(&Badge { bytes: slice(100), ..badge() });
        assert_eq!(gate.carry_now(130), Ok(()));
        assert_eq!(gate.carry(1), Poll::Pending);
        gate.renew(Lease::UNLIMITED, slice(140));
        assert_eq!(gate.unused(), (0, 10));
        gate.renew(Lease::UNLIMITED, Lease::of(140));
        assert_eq!(gate.carry_now(11), Err(Refusal::BytesExhausted { grant: 12 }));
    }

    #[test]
    fn words_say_which_grant_and_which_method() {
        let text = Refusal::Denied { grant: 12, method: STAT }.to_string();
        assert!(text.starts_with("denied: grant 12 does not allow "), "{text}");
    }
}
