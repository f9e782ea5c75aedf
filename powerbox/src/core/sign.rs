//! Signing the log: the node's keys do it, in their own process, while the log goes on.

use std::rc::Rc;
use std::time::Duration;

use schema::keys_capnp::signer;
use schema::keys_word::Word;
use vat::native::Held;

use super::{Core, THE_NODE, spawn};
use crate::log::{CHECKPOINT_REACH, checkpoint_message};
use crate::record::{Checkpoint, Record};

/// The label under which the powerbox holds what signs the log.
pub(crate) const SIGNER_LABEL: &str = "log";
/// How long a signature may take where somebody waits for it: a thousand times what it takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the powerbox knows of its signatures.
#[derive(Default)]
pub(crate) struct Signing {
    /// What it holds of the keys.
    pub(crate) held: Held,
    /// Somebody is at it.
    busy: std::cell::Cell<bool>,
    /// Why the last one was not made.
    trouble: std::cell::RefCell<Option<String>>,
}

fn words(error: capnp::Error) -> String {
    error.extra
}

impl Core {
    /// Has the log signed as it is now, if there is anything new in it, while nobody waits for that.
    pub(crate) fn checkpoint(self: &Rc<Self>) {
        if self.with_log(crate::log::Log::unsigned) == 0 || self.signing.busy.replace(true) {
            return;
        }
        let core = self.clone();
        spawn(async move {
            let signed = tokio::time::timeout(PATIENCE, core.sign()).await;
            core.signing.busy.set(false);
            *core.signing.trouble.borrow_mut() = match signed {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(_) => Some("the keys do not answer".into()),
            };
            core.bells.signed.ring();
        });
    }

    /// Has the log signed, and waits until that was done or failed.
    pub(crate) async fn signed(self: &Rc<Self>) {
        let before = self.bells.signed.count();
        self.checkpoint();
        if self.signing.busy.get() {
            self.bells.signed.until(|| (self.bells.signed.count() > before).then_some(())).await;
        }
    }

    async fn sign(&self) -> Result<(), String> {
        let (position, head) = self.with_log(|log| (log.position(), log.head()));
        let signer = self.signer().await?;
        let key = signer.public_key_request().send().promise.await.map_err(words)?;
        let key = key.get().and_then(|key| key.get_key()).map_err(words)?.try_into();
        let mut request = signer.sign_request();
        request.get().set_message(&checkpoint_message(position, &head));
        let answer = request.send().promise.await.map_err(words)?;
        let signature = answer.get().and_then(|answer| answer.get_signature()).map_err(words)?.try_into();
        let (Ok(key), Ok(signature)) = (key, signature) else {
            return Err("what the keys gave is no signature".into());
        };
        if self.with_log(crate::log::Log::position) - position >= CHECKPOINT_REACH {
            return Err("so much was written meanwhile that the signature is too old".into());
        }
        let record = Record::Checkpoint(Checkpoint { position, head, key, signature });
        self.record(THE_NODE, record).map(drop).map_err(|problem| problem.to_string())
    }

    /// Whether the keys are here and wait for a person to open them.
    pub(crate) async fn keys_are_locked(&self) -> bool {
        let Ok(signer) = self.signer().await else { return false };
        let asked = signer.public_key_request().send().promise;
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        matches!(answer, Ok(Err(error)) if Word::of_exception(&error.extra) == Some(Word::Locked))
    }

    /// What signs, which may be on its way.
    async fn signer(&self) -> Result<signer::Client, String> {
        match tokio::time::timeout(PATIENCE, self.signing.held.root(SIGNER_LABEL).here()).await {
            Ok(Ok(object)) => Ok(signer::Client { client: object }),
            _ => Err("the keys do not run".into()),
        }
    }

    /// Every public key that the log may be signed with.
    pub(crate) async fn log_keys(&self) -> Result<Vec<[u8; 32]>, String> {
        let asked = self.signer().await?.history_request().send().promise;
        let answer = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if Word::of_exception(&error.extra) == Some(Word::None) => return Ok(Vec::new()),
            Ok(Err(error)) => return Err(words(error)),
            Err(_) => return Err("the keys do not answer".into()),
        };
        let keys = answer.get().and_then(|answer| answer.get_keys()).map_err(words)?;
        let public = keys.iter().filter_map(|key| key.ok()?.try_into().ok());
        Ok(public.collect())
    }

    /// Why the log is not signed, where there is anything to sign with.
    pub(crate) fn signing_trouble(&self) -> Option<String> {
        let trouble = self.signing.trouble.borrow().clone()?;
        // Nothing to sign with is no fault.
        if Word::of_exception(&trouble) == Some(Word::None) {
            return None;
        }
        let why = crate::words::plain(&trouble, crate::words::REASON_LIMIT);
        Some(format!("the log is not signed now ({why}): `latch keys` shows the keys"))
    }
}
