//! What is bounded, is bounded for each grant. A grant has one link at a time, but what a link leaves behind when it ends
//! goes on counting for the next of its grant: else whoever has begun what does not come to its end could begin it anew
//! over link after link.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// One value for each grant, for as long as anything of that grant uses it.
#[derive(Debug)]
pub(crate) struct PerGrant<T>(Arc<Mutex<BTreeMap<u64, Weak<T>>>>);

impl<T> PerGrant<T> {
    /// The grant's value, which is made where there is none.
    pub(crate) fn of(&self, grant: u64, make: impl FnOnce() -> T) -> Arc<T> {
        // It is whole whoever panicked.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = values.get(&grant).and_then(Weak::upgrade) {
            return value;
        }
        values.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make());
        values.insert(grant, Arc::downgrade(&value));
        value
    }
}

impl<T> Clone for PerGrant<T> {
    fn clone(&self) -> PerGrant<T> {
        PerGrant(self.0.clone())
    }
}

impl<T> Default for PerGrant<T> {
    fn default() -> PerGrant<T> {
        PerGrant(Arc::default())
    }
}
