//! The arithmetic of caveats: whether a call may start. Pure: no clock, no IO, nothing asynchronous.

use crate::door::{Badge, Lease};
use crate::words::Method;
use std::fmt;

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
        /// How many there were.
        amount: u64,
    },
    /// The grant's bytes are used up.
    BytesExhausted {
        /// The grant.
        grant: u64,
        /// How many there were.
        amount: u64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Expired { grant } => write!(formatter, "expired: the time of grant {grant} is over"),
            Refusal::Denied { grant, method } => {
                write!(formatter, "denied: grant {grant} does not allow {method}")
            }
            Refusal::CallsExhausted { grant, amount } => {
                write!(formatter, "exhausted: the {amount} calls of grant {grant} are used up")
            }
            Refusal::BytesExhausted { grant, amount } => {
                write!(formatter, "exhausted: the {amount} bytes of grant {grant} are used up")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// A lease and what is left of it.
#[derive(Clone, Copy, Debug)]
struct Budget {
    amount: u64,
    left: u64,
}

impl Budget {
    fn of(lease: Lease) -> Option<Budget> {
        lease.limit().map(|amount| Budget { amount, left: amount })
    }
}

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

    /// Whether a call may start, and takes it from the budget if so. Its bytes were taken when they came: a call that
    /// used the last of them still starts.
    ///
    /// # Errors
    /// The first caveat that forbids it, in the order of [`Refusal`]'s variants.
    pub fn admit(&mut self, now_ms: u64, method: Method) -> Result<(), Refusal> {
        let grant = self.grant;
        if self.expires() && now_ms >= self.expires_at_ms {
            return Err(Refusal::Expired { grant });
        }
        let key = (method.interface, method.ordinal);
        if !self.methods.is_empty()
            && self.methods.binary_search_by_key(&key, |known| (known.interface, known.ordinal)).is_err()
        {
            return Err(Refusal::Denied { grant, method });
        }
        if let Some(calls) = &mut self.calls {
            let Some(left) = calls.left.checked_sub(1) else {
                return Err(Refusal::CallsExhausted { grant, amount: calls.amount });
            };
            calls.left = left;
        }
        Ok(())
    }

    /// Takes the bytes of one message, either way, from the budget.
    ///
    /// # Errors
    /// Fewer than these are left: then none are taken, and the message must not pass.
    pub fn carry(&mut self, bytes: u64) -> Result<(), Refusal> {
        if let Some(budget) = &mut self.bytes {
            let Some(left) = budget.left.checked_sub(bytes) else {
                return Err(Refusal::BytesExhausted { grant: self.grant, amount: budget.amount });
            };
            budget.left = left;
        }
        Ok(())
    }

    /// What is left of the leases, to be given back: calls and bytes; 0 where there is no limit.
    #[must_use]
    pub fn unused(&self) -> (u64, u64) {
        (self.calls.map_or(0, |budget| budget.left), self.bytes.map_or(0, |budget| budget.left))
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
            object: String::new(),
            interface: 7,
            rights: Rights::ALL,
            expires_at_ms: 0,
            calls: Lease::UNLIMITED,
            bytes: Lease::UNLIMITED,
            methods: Vec::new(),
            peer: Peer::App,
            holder: "search".into(),
        }
    }

    #[test]
    fn a_gate_without_caveats_admits_everything_for_ever() {
        let mut gate = Gate::new(&badge());
        for now_ms in [0, 1, u64::MAX] {
            assert_eq!(gate.admit(now_ms, OTHER), Ok(()));
        }
        assert_eq!(gate.carry(u64::MAX), Ok(()));
        assert_eq!(gate.carry(u64::MAX), Ok(()));
        assert_eq!(gate.unused(), (0, 0));
    }

    #[test]
    fn the_moment_of_expiry_is_already_too_late() {
        let mut gate = Gate::new(&Badge { expires_at_ms: 1_000, ..badge() });
        assert_eq!(gate.admit(999, LIST), Ok(()));
        assert_eq!(gate.admit(1_000, LIST), Err(Refusal::Expired { grant: 12 }));
    }

    #[test]
    fn only_the_methods_named_are_allowed_and_a_refused_call_costs_nothing() {
        let mut gate = Gate::new(&Badge { methods: vec![STAT, LIST], calls: Lease::of(2), ..badge() });
        assert_eq!(gate.admit(0, OTHER), Err(Refusal::Denied { grant: 12, method: OTHER }));
        assert_eq!(gate.admit(0, LIST), Ok(()));
        assert_eq!(gate.admit(0, STAT), Ok(()));
        assert_eq!(gate.admit(0, STAT), Err(Refusal::CallsExhausted { grant: 12, amount: 2 }));
    }

    #[test]
    fn what_is_left_of_a_lease_is_what_was_not_used() {
        let mut gate = Gate::new(&Badge { calls: Lease::of(3), bytes: Lease::of(100), ..badge() });
        gate.admit(0, LIST).unwrap();
        gate.carry(60).unwrap();
        assert_eq!(gate.carry(41), Err(Refusal::BytesExhausted { grant: 12, amount: 100 }));
        assert_eq!(gate.unused(), (2, 40), "what does not pass is not taken");
        gate.carry(40).unwrap();
        assert_eq!(gate.unused(), (2, 0));
    }

    #[test]
    fn an_empty_lease_allows_nothing() {
        let mut gate = Gate::new(&Badge { calls: Lease::of(0), bytes: Lease::of(0), ..badge() });
        assert_eq!(gate.admit(0, LIST), Err(Refusal::CallsExhausted { grant: 12, amount: 0 }));
        assert_eq!(gate.carry(0), Ok(()));
        assert!(gate.carry(1).is_err());
    }

    #[test]
    fn words_say_which_grant_and_which_method() {
        let text = Refusal::Denied { grant: 12, method: STAT }.to_string();
        assert!(text.starts_with("denied: grant 12 does not allow "), "{text}");
    }
}
