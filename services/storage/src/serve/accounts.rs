//! Whose room what is written over a link takes.

use std::sync::Arc;

use vat::Badge;

use crate::store::Account;

/// The accounts of a grant, from itself outwards.
#[derive(Clone, Debug)]
pub(super) struct Accounts {
    all: Arc<[Account]>,
    /// Where those with a quota begin.
    metered: usize,
}

impl Accounts {
    /// Of a badge. A grant without a quota has an account all the same: what it sets aside is for it alone.
    pub(super) fn of(badge: &Badge) -> Accounts {
        let has_own = badge.accounts.first().is_some_and(|account| account.grant == badge.grant);
        let own = (!has_own).then_some(Account { grant: badge.grant, quota_bytes: u64::MAX });
        let metered = usize::from(!has_own);
        let given = badge.accounts.iter();
        let given = given.map(|account| Account { grant: account.grant, quota_bytes: account.quota_bytes });
        Accounts { all: own.into_iter().chain(given).collect(), metered }
    }

    /// Nobody's: what an operator writes counts against no grant.
    pub(super) fn none() -> Accounts {
        Accounts { all: Arc::default(), metered: 0 }
    }

    /// As the store takes them.
    pub(super) fn all(&self) -> &[Account] {
        &self.all
    }

    /// Those with a quota.
    pub(super) fn metered(&self) -> &[Account] {
        &self.all[self.metered..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vat::door::Lease;
    use vat::{Peer, Rights};

    fn accounts(given: &[(u64, u64)]) -> (Vec<u64>, Vec<u64>) {
        let badge = Badge {
            grant: 7,
            interface: 0,
            rights: Rights::ALL,
            expires_at_ms: 0,
            calls: Lease::UNLIMITED,
            bytes: Lease::UNLIMITED,
            methods: Vec::new(),
            peer: Peer::App,
            holder: String::new(),
            object: String::new(),
            accounts: given.iter().map(|&(grant, quota_bytes)| vat::door::Account { grant, quota_bytes }).collect(),
        };
        let accounts = Accounts::of(&badge);
        let grants = |accounts: &[Account]| accounts.iter().map(|account| account.grant).collect();
        (grants(accounts.all()), grants(accounts.metered()))
    }

    #[test]
    fn a_grant_always_has_an_account_of_its_own() {
        assert_eq!(accounts(&[]), (vec![7], vec![]));
        assert_eq!(accounts(&[(7, 100), (3, 200)]), (vec![7, 3], vec![7, 3]));
        assert_eq!(accounts(&[(3, 200)]), (vec![7, 3], vec![3]));
    }
}
