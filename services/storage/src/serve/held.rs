//! A directory or file of the store that is held open, and is let go of without making the RPC thread wait.
//!
//! The last who lets go of what was removed has the store give its room back, which may take as long as any change.

use files::disk::DiskOfLink;
use files::problem::Problem;

use super::accounts::Accounts;
use super::vault::Vault;
use crate::store::{Node, Store, StoreError};

/// What every file and directory of a link needs.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) vault: Vault,
    pub(super) accounts: Accounts,
    pub(super) disk: DiskOfLink,
}

impl Reach {
    /// What the store did, or what its error is for callers.
    pub(super) fn did<T>(&self, result: Result<T, StoreError>) -> Result<T, Problem> {
        result.map_err(|error| self.vault.failed(&error))
    }
}

/// A node of the store.
pub(super) struct Held {
    pub(super) store: Store,
    /// There until it is dropped.
    node: Option<Node>,
    disk: DiskOfLink,
}

impl Held {
    pub(super) fn new(store: Store, node: Node, disk: DiskOfLink) -> Held {
        Held { store, node: Some(node), disk }
    }

    #[expect(clippy::expect_used, reason = "only `drop` takes it, and nobody has the value after that")]
    pub(super) fn node(&self) -> &Node {
        self.node.as_ref().expect("is there")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A snapshot keeps what it shows, whoever looks at it.
        if let Some(node) = self.node.take()
            && !node.is_snapshot()
        {
            self.disk.later(move || drop(node));
        }
    }
}
