//! One terminal, several users: while a person is asked, neither the app's output nor its input touches the terminal.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shared by the pumps and the prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Waits until nobody is asked, then does it; the prompt waits until it is done.
    pub(crate) fn pass<T>(&self, action: impl FnOnce() -> T) -> T {
        let shut = self.shared.opened.wait_while(self.lock(), |shut| *shut).unwrap_or_else(PoisonError::into_inner);
        let result = action();
        drop(shut);
        result
    }

    /// Keeps everybody out until the returned value is dropped.
    pub(crate) fn shut(&self) -> Shut {
        *self.lock() = true;
        Shut { gate: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // The flag is whole whatever the holder did.
        self.shared.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gate is shut as long as this lives.
#[derive(Debug)]
pub(crate) struct Shut {
    gate: Gate,
}

impl Drop for Shut {
    fn drop(&mut self) {
        *self.gate.lock() = false;
        self.gate.shared.opened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn nothing_passes_while_it_is_shut() {
        let gate = Gate::default();
        let shut = gate.shut();
        let (sender, receiver) = mpsc::channel();
        let (at_gate, waits) = mpsc::channel();
        let other = gate.clone();
        let passing = std::thread::spawn(move || {
            at_gate.send(()).unwrap();
            other.pass(|| sender.send("passed").unwrap());
        });
        waits.recv().unwrap();
        assert!(receiver.try_recv().is_err());
        drop(shut);
        assert_eq!(receiver.recv(), Ok("passed"));
        passing.join().unwrap();
    }
}
