//! How those who wait learn that it is time to look again. A bell carries nothing: whoever hears it looks at the state.

use tokio::sync::watch;

/// Rings for everyone who waits; a ring that nobody waited for is heard by the next who does.
#[derive(Debug)]
pub struct Bell(watch::Sender<u64>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// How often it has rung.
    #[must_use]
    pub fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until `look` finds something. It looks at once, and again after each ring.
    pub async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let mut rings = self.0.subscribe();
        loop {
            rings.borrow_and_update();
            if let Some(found) = look() {
                return found;
            }
            if rings.changed().await.is_err() {
                // The sender is this bell, which outlives everyone who waits at it.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Every bell.
#[derive(Debug, Default)]
pub struct Bells {
    /// A request came or was decided; a grant was made or ended.
    pub requests: Bell,
    /// The log grew on the disk.
    pub records: Bell,
    /// A process began, was confined or ended.
    pub processes: Bell,
    /// A link is quiet, or ended.
    pub links: Bell,
    /// A shell brought something.
    pub resources: Bell,
    /// A lease came back.
    pub leases: Bell,
    /// So much of the log is not signed that it should be.
    pub unsigned: Bell,
    /// The log was signed, or could not be.
    pub signed: Bell,
}
