//! The keys of the store, in the hands of another process.
//!
//! The store signs and unseals on threads that may wait; the links to the keys are on the RPC thread, which may not. So a
//! thread hands its question over and waits for the answer. The RPC thread never waits for a thread of the store, so that
//! the answer always comes, or the word that there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use capnp::capability::{Client, FromClientHook};
use schema::keys_capnp::{signer, unsealer};
use schema::keys_word::Word;
use tokio::sync::{mpsc, oneshot};
use vat::native::Held;
use zeroize::Zeroizing;

use crate::store::{Keys, KeysError};

/// What the service holds the `Unsealer` under that opens the key of its root.
pub const STORE_LABEL: &str = "store";

/// What it holds the `Signer` of its commits under.
pub const COMMITS_LABEL: &str = "commits";

/// How long to wait for a link to the keys: several times what a process that was killed takes to be started again and
/// linked, and less than a person who waits takes for a failure.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for an answer at the end: of the 5 s that the kernel gives a process to stop, the links may take 2, and
/// the index is written after it.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Asks over links, from any thread but the RPC thread.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    /// As many wait in it as there are threads that ask.
    questions: mpsc::UnboundedSender<Question>,
    rpc_thread: ThreadId,
    stopping: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Question {
    Unseal { sealed: Vec<u8>, context: Vec<u8>, answer: Answer<(Zeroizing<Vec<u8>>, bool)> },
    Seal { secret: Zeroizing<Vec<u8>>, context: Vec<u8>, answer: Answer<Vec<u8>> },
    Sign { message: Vec<u8>, answer: Answer<[u8; 64]> },
    PublicKey { answer: Answer<[u8; 32]> },
    PublicKeys { answer: Answer<Vec<[u8; 32]>> },
}

type Answer<T> = oneshot::Sender<Result<T, KeysError>>;

impl RemoteKeys {
    /// Answers from what this service holds, for as long as anything asks. Within a `LocalSet`.
    #[must_use]
    pub fn over(held: &Held, patience: Duration) -> RemoteKeys {
        let (questions, mut asked) = mpsc::unbounded_channel();
        let stopping = Arc::<AtomicBool>::default();
        let links = Links { held: held.clone(), patience, stopping: stopping.clone() };
        tokio::task::spawn_local(async move {
            while let Some(question) = asked.recv().await {
                let links = links.clone();
                tokio::task::spawn_local(async move { links.answer(question).await });
            }
        });
        RemoteKeys { questions, rpc_thread: std::thread::current().id(), stopping }
    }

    /// From now on only keys that are here are asked: those that are not need not come back any more.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn ask<T>(&self, question: impl FnOnce(Answer<T>) -> Question) -> Result<T, KeysError> {
        let stopping = || KeysError::Unreachable("this service is stopping".to_owned());
        // Only at its very end would the RPC thread ask, which then could not answer.
        if std::thread::current().id() == self.rpc_thread {
            return Err(stopping());
        }
        let (answer, answered) = oneshot::channel();
        self.questions.send(question(answer)).map_err(|_| stopping())?;
        answered.blocking_recv().map_err(|_| stopping())?
    }
}

impl Keys for RemoteKeys {
    fn unseal_root(&self, sealed: &[u8], context: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError> {
        self.ask(|answer| Question::Unseal { sealed: sealed.to_vec(), context: context.to_vec(), answer })
    }

    fn seal_root(&self, secret: &[u8], context: &[u8]) -> Result<Vec<u8>, KeysError> {
        let secret = Zeroizing::new(secret.to_vec());
        self.ask(|answer| Question::Seal { secret, context: context.to_vec(), answer })
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysError> {
        self.ask(|answer| Question::Sign { message: message.to_vec(), answer })
    }

    fn public_key(&self) -> Result<[u8; 32], KeysError> {
        self.ask(|answer| Question::PublicKey { answer })
    }

    fn public_keys(&self) -> Result<Vec<[u8; 32]>, KeysError> {
        self.ask(|answer| Question::PublicKeys { answer })
    }
}

/// The objects that answer.
#[derive(Clone)]
struct Links {
    held: Held,
    patience: Duration,
    stopping: Arc<AtomicBool>,
}

impl Links {
    async fn answer(&self, question: Question) {
        // Where nobody waits for the answer any more, nobody misses it.
        match question {
            Question::Unseal { sealed, context, answer } => {
                _ = answer.send(self.using(STORE_LABEL, async |keys| unseal(&keys, &sealed, &context).await).await);
            }
            Question::Seal { secret, context, answer } => {
                _ = answer.send(self.using(STORE_LABEL, async |keys| seal(&keys, &secret, &context).await).await);
            }
            Question::Sign { message, answer } => {
                _ = answer.send(self.using(COMMITS_LABEL, async |keys| sign(&keys, &message).await).await);
            }
            Question::PublicKey { answer } => {
                _ = answer.send(self.using(COMMITS_LABEL, async |keys| public_key(&keys).await).await);
            }
            Question::PublicKeys { answer } => {
                _ = answer.send(self.using(COMMITS_LABEL, async |keys| public_keys(&keys).await).await);
            }
        }
    }

    /// Asks the object under that label, and again on its next link where this one is lost: nothing that is asked
    /// changes anything.
    async fn using<C, T, F>(&self, label: &str, ask: F) -> Result<T, KeysError>
    where
        C: FromClientHook,
        F: AsyncFn(C) -> capnp::Result<T>,
    {
        let root = self.held.root(label);
        let asking = async {
            loop {
                if self.stopping.load(Ordering::Relaxed) && root.now().is_none() {
                    return Err(KeysError::Unreachable("this service is stopping".to_owned()));
                }
                let object: Client = root.here().await.map_err(|ending| {
                    let why = ending.map_or_else(|| "it was given back".to_owned(), |ending| ending.to_string());
                    KeysError::Unreachable(why)
                })?;
                match ask(C::new(object.hook.add_ref())).await {
                    Err(error) if error.kind == capnp::ErrorKind::Disconnected => tokio::task::yield_now().await,
                    result => return result.map_err(|error| refused(&error)),
                }
            }
        };
        let late = |_| KeysError::Unreachable("they did not answer in time".to_owned());
        let last = self.stopping.load(Ordering::Relaxed);
        let patience = if last { LAST_PATIENCE.min(self.patience) } else { self.patience };
        tokio::time::timeout(patience, asking).await.map_err(late)?
    }
}

async fn unseal(keys: &unsealer::Client, sealed: &[u8], context: &[u8]) -> capnp::Result<(Zeroizing<Vec<u8>>, bool)> {
    let mut request = keys.unseal_request();
    request.get().set_sealed(sealed);
    request.get().set_context(context);
    let response = request.send().promise.await?;
    let response = response.get()?;
    Ok((Zeroizing::new(response.get_secret()?.to_vec()), response.get_current()))
}

async fn seal(keys: &unsealer::Client, secret: &[u8], context: &[u8]) -> capnp::Result<Vec<u8>> {
    let mut request = keys.seal_request();
    request.get().set_secret(secret);
    request.get().set_context(context);
    Ok(request.send().promise.await?.get()?.get_sealed()?.to_vec())
}

async fn sign(keys: &signer::Client, message: &[u8]) -> capnp::Result<[u8; 64]> {
    let mut request = keys.sign_request();
    request.get().set_message(message);
    sized(request.send().promise.await?.get()?.get_signature()?)
}

async fn public_key(keys: &signer::Client) -> capnp::Result<[u8; 32]> {
    sized(keys.public_key_request().send().promise.await?.get()?.get_key()?)
}

async fn public_keys(keys: &signer::Client) -> capnp::Result<Vec<[u8; 32]>> {
    let response = keys.history_request().send().promise.await?;
    response.get()?.get_keys()?.iter().map(|key| sized(key?)).collect()
}

fn sized<const BYTES: usize>(bytes: &[u8]) -> capnp::Result<[u8; BYTES]> {
    bytes.try_into().map_err(|_| capnp::Error::failed(format!("{} bytes where {BYTES} belong", bytes.len())))
}

/// What the keys say in the words of `keys.capnp`.
fn refused(error: &capnp::Error) -> KeysError {
    match Word::of_exception(&error.extra) {
        Some(Word::Locked | Word::ProtectionGone) => KeysError::Locked,
        Some(Word::None) => KeysError::None,
        Some(Word::Damaged) => KeysError::Damaged,
        _ => KeysError::Unreachable(error.extra.rsplit("remote exception: ").next().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_come_are_not_waited_for_without_end() {
        let asked = vat::native::run(async {
            let keys = RemoteKeys::over(&Held::default(), Duration::from_millis(1));
            tokio::task::spawn_blocking(move || keys.sign(b"message")).await
        });
        assert!(matches!(asked, Ok(Ok(Err(KeysError::Unreachable(_))))));
    }

    #[test]
    fn whoever_still_asks_when_the_service_stops_is_told() {
        let keys = vat::native::run(async { RemoteKeys::over(&Held::default(), PATIENCE) });
        let asked = keys.map(|keys| std::thread::spawn(move || keys.public_key()).join());
        assert!(matches!(asked, Ok(Ok(Err(KeysError::Unreachable(_))))));
    }

    #[test]
    fn nothing_is_waited_for_at_the_end() {
        let asked = vat::native::run(async {
            let keys = RemoteKeys::over(&Held::default(), Duration::MAX);
            assert!(matches!(keys.sign(b"on the RPC thread"), Err(KeysError::Unreachable(_))));
            keys.stopping();
            tokio::task::spawn_blocking(move || keys.sign(b"message")).await
        });
        assert!(matches!(asked, Ok(Ok(Err(KeysError::Unreachable(_))))));
    }

    #[test]
    fn the_words_of_the_keys_are_understood() {
        let said = |text: &str| refused(&capnp::Error::failed(format!("remote exception: {text}")));
        assert_eq!(said("locked: unlock the keys first"), KeysError::Locked);
        assert_eq!(said("protectionGone: the TPM was cleared"), KeysError::Locked);
        assert_eq!(said("none: this node has no keys yet"), KeysError::None);
        assert_eq!(said("damaged: another key"), KeysError::Damaged);
        assert_eq!(said("io: no"), KeysError::Unreachable("io: no".to_owned()));
        assert_eq!(said("lockedUp"), KeysError::Unreachable("lockedUp".to_owned()));
    }
}
