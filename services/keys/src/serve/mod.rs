//! The objects of `keys.capnp`, as they are served on one link.

mod keyring;
mod signer;
mod unsealer;

use std::sync::Arc;

use capnp::capability::{Client, FromClientHook};
use capnp::traits::HasTypeId;
use schema::keys_capnp::{keyring as keyring_schema, signer as signer_schema, unsealer as unsealer_schema};
use tokio::sync::{Semaphore, watch};
use vat::link::Work;
use vat::{Badge, Exports, Peer};

use crate::keeper::Keeper;
use crate::limits::GENERATIONS_LIMIT;
use crate::problem::{Problem, Word};
use crate::purpose::{Purpose, Signing};
use crate::secret::leaving_nothing;

/// The object that has every operator's methods.
const KEYRING: &str = "keyring";

/// The keys of this node, on any number of links.
#[derive(Clone)]
pub struct Keys {
    keeper: Arc<Keeper>,
    slow: Slow,
    started: Started,
}

impl Keys {
    /// Serves them, see [`Keys::start`].
    #[must_use]
    pub fn new(keeper: Arc<Keeper>) -> Keys {
        Keys { keeper, slow: Slow::new(), started: Started::default() }
    }

    /// Unlocks what needs nobody for it, on another thread. Whoever uses or changes a key waits until that has been tried, so that a
    /// node whose TPM opens its keys is not locked for a moment at each start. Within a runtime.
    ///
    /// The future is ready when that was tried: with why the keys cannot be used, if there is more to it than that
    /// somebody has to unlock them.
    pub fn start(&self) -> impl Future<Output = Option<Problem>> + 'static {
        let (keeper, started) = (self.keeper.clone(), self.started.clone());
        let starting = tokio::task::spawn_blocking(move || {
            let _told_at_the_end = Telling(started);
            leaving_nothing(|| keeper.start());
            keeper.status().trouble
        });
        async {
            starting
                .await
                .unwrap_or_else(|_| Some(Problem::new(Word::Io, "the start failed by a fault of this service")))
        }
    }

    /// The root object of a link: the one that its badge names.
    ///
    /// # Errors
    /// There is no such object, it has another interface, or it is not for whoever is at the other end (`badInput`).
    pub fn root(&self, badge: &Badge, exports: &Exports) -> Result<Client, Problem> {
        let served = if badge.object == KEYRING {
            interface::<keyring_schema::Client>(badge)?;
            if badge.peer != Peer::Shell {
                return Err(Problem::bad_input("the keyring is for the node's operators only"));
            }
            let slow = self.slow.of_link(exports.work());
            let keyring = keyring::Keyring::new(self.keeper.clone(), self.started.clone(), slow);
            exports.export::<keyring_schema::Client, _>(keyring).into_client_hook()
        } else if badge.object == Purpose::Store.name() {
            interface::<unsealer_schema::Client>(badge)?;
            let unsealer = unsealer::Unsealer::new(self.keeper.clone(), self.started.clone());
            exports.export::<unsealer_schema::Client, _>(unsealer).into_client_hook()
        } else if let Some(purpose) = Signing::from_name(&badge.object) {
            interface::<signer_schema::Client>(badge)?;
            let signer = signer::Signer::new(self.keeper.clone(), self.started.clone(), purpose);
            exports.export::<signer_schema::Client, _>(signer).into_client_hook()
        } else {
            return Err(Problem::bad_input("this service has device, log, author, commits, store and keyring"));
        };
        Ok(Client::new(served))
    }
}

fn interface<C: HasTypeId>(badge: &Badge) -> Result<(), Problem> {
    if badge.interface == C::TYPE_ID {
        return Ok(());
    }
    Err(Problem::bad_input(format!("the object {} has another interface than the badge says", badge.object)))
}

/// Whether the start has been tried.
#[derive(Clone)]
struct Started(Arc<watch::Sender<bool>>);

impl Default for Started {
    fn default() -> Started {
        Started(Arc::new(watch::Sender::new(false)))
    }
}

impl Started {
    async fn wait(&self) {
        // It has an end for as long as anybody waits.
        let _ = self.0.subscribe().wait_for(|started| *started).await;
    }
}

/// Tells that the start has been tried, also where that ended in a panic.
struct Telling(Started);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.0.send_replace(true);
    }
}

/// The thread for what is slow: one at a time in this process, first come, first served. What waits for it holds no thread.
#[derive(Clone)]
struct Slow(Arc<Semaphore>);

/// The same for one link.
#[derive(Clone)]
struct SlowOfLink {
    slow: Slow,
    work: Work,
}

impl Slow {
    fn new() -> Slow {
        Slow(Arc::new(Semaphore::new(1)))
    }

    fn of_link(&self, work: Work) -> SlowOfLink {
        SlowOfLink { slow: self.clone(), work }
    }
}

impl SlowOfLink {
    /// Does the work on another thread. Where the future is dropped (the call was cancelled, the link cut), work that has
    /// not begun does not begin; what has begun ends on its own, and the link is not quiet before.
    async fn run<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: FnOnce() -> Result<T, Problem> + Send + 'static,
    {
        let turn = self.slow.0.clone().acquire_owned().await;
        let turn = turn.map_err(|_| Problem::new(Word::Io, "this service is stopping"))?;
        let begun = self.work.begin();
        let worked = tokio::task::spawn_blocking(move || {
            let _held = (turn, begun);
            leaving_nothing(work)
        });
        worked.await.unwrap_or_else(|_| Err(Problem::new(Word::Io, "it failed by a fault of this service")))
    }
}

/// The bytes of a call, if they are no more than its contract says.
fn within<'a>(bytes: &'a [u8], limit: usize, what: &str) -> Result<&'a [u8], Problem> {
    if bytes.len() > limit {
        return Err(Problem::bad_input(format!("{what} has at most {limit} bytes")));
    }
    Ok(bytes)
}

/// A number of keys, as messages count.
fn count(keys: usize) -> u32 {
    const _: () = assert!(GENERATIONS_LIMIT <= u32::MAX as usize && Purpose::ALL.len() <= GENERATIONS_LIMIT);
    u32::try_from(keys).unwrap_or(u32::MAX)
}
