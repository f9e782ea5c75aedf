//! What people should know and act on: from whichever thread sees it to the RPC thread, which can tell.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::limits::{TOLD, TROUBLES};

/// Takes trouble, on any thread. What was said before is not said again, however often an app comes upon it.
#[derive(Clone, Debug)]
pub struct Troubles {
    sender: Sender<String>,
    told: Arc<Mutex<BTreeSet<String>>>,
}

/// Where trouble goes in, and where it comes out.
#[must_use]
pub fn troubles() -> (Troubles, Receiver<String>) {
    let (sender, receiver) = channel(TROUBLES);
    (Troubles { sender, told: Arc::default() }, receiver)
}

impl Troubles {
    /// What, where, what next.
    pub fn tell(&self, text: &str) {
        let text = vat::words::clip(text, vat::native::TROUBLE_LIMIT_BYTES);
        // It is whole whoever panicked.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.contains(text) {
            return;
        }
        // Where people were told of so much, they may be reminded of it.
        if told.len() == TOLD {
            told.clear();
        }
        // Where nobody takes it, or not so fast, it is said the next time.
        if self.sender.try_send(text.to_owned()).is_ok() {
            told.insert(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again() {
        let (troubles, mut receiver) = troubles();
        troubles.tell("segment 3 is damaged");
        troubles.tell("segment 3 is damaged");
        troubles.tell("segment 4 is damaged");
        assert_eq!(receiver.try_recv().ok().as_deref(), Some("segment 3 is damaged"));
        assert_eq!(receiver.try_recv().ok().as_deref(), Some("segment 4 is damaged"));
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn what_nobody_took_is_told_the_next_time() {
        let (troubles, mut receiver) = troubles();
        for number in 0..=TROUBLES {
            troubles.tell(&format!("{number}"));
        }
        assert_eq!(receiver.try_recv().ok().as_deref(), Some("0"));
        troubles.tell(&format!("{TROUBLES}"));
        let last = std::iter::from_fn(|| receiver.try_recv().ok()).last();
        assert_eq!(last, Some(format!("{TROUBLES}")));
    }
}
