//! The node's keys as commands use them: over links to the keys' own process.

use capnp::capability::RemotePromise;
use capnp::traits::{Owned, Pipelined};
use schema::keys_capnp::{Protection, Purpose, key, keyring, signer};
use schema::keys_word::Word;
use serde::Serialize;
use vat::Rights;
use zeroize::Zeroizing;

use crate::ask::{Choice, Object};
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::text;
use crate::state::State;
use crate::terminal::passphrase::Passphrase;
use crate::text::words::hex;

/// Where the keys are, below the state.
pub(crate) const KEYRING_FILE: &str = "keys/keyring";
/// What a person is asked for.
pub(crate) const CUE: &str = "passphrase of this node's keys";
/// What the links are labelled at the shell's door.
const KEYRING_LABEL: &str = "keys";
const AUTHOR_LABEL: &str = "author";

/// What to do next about what the keys refused, where that is not said with it.
fn next_after(word: Word) -> Option<&'static str> {
    Some(match word {
        Word::Locked => "latch keys unlock",
        Word::None => "latch keys create",
        Word::Exists => "latch keys shows what there is",
        Word::WrongPassphrase => "try again; a backup of the keys has a passphrase of its own",
        Word::ProtectionGone | Word::Damaged => "latch keys restore BACKUP puts these aside",
        Word::Io => "latch status, and look at the disk with the state",
        Word::BadInput | Word::NotSupported => return None,
    })
}

/// What to do where something was signed with keys that this node does not have now.
pub(crate) fn restore_newer(state: &State) -> String {
    format!(
        "restore the latest backup of the keys: latch down, move {} away, latch up, latch keys restore BACKUP",
        state.path().join(KEYRING_FILE).display()
    )
}

/// All keys, for their operator.
pub(crate) async fn keyring(node: &Node) -> Outcome<keyring::Client> {
    open(node, "keys:keyring", KEYRING_LABEL).await
}

/// What signs packages.
pub(crate) async fn author(node: &Node) -> Outcome<signer::Client> {
    open(node, "keys:author", AUTHOR_LABEL).await
}

async fn open<T: capnp::capability::FromClientHook>(node: &Node, name: &str, label: &str) -> Outcome<T> {
    node.open(&Choice::plain(Object::Offer(name.to_owned()), Rights::ALL), label).await?;
    Ok(node.object::<T>(label).await?.object)
}

/// Waits for an answer; what the keys refuse is told with what to do next.
pub(crate) async fn ask<R: Owned + Pipelined + 'static>(
    sent: RemotePromise<R>,
) -> Outcome<capnp::capability::Response<R>> {
    sent.promise.await.map_err(|error| explain(Failure::from(error)))
}

fn explain(failure: Failure) -> Failure {
    let (word, failure) = failure.split_word(Word::from_text);
    match word.and_then(next_after) {
        Some(next) => failure.next(next),
        None => failure,
    }
}

/// Opens the keys.
pub(crate) async fn unlock(ring: &keyring::Client, passphrase: &[u8]) -> Outcome {
    let mut request = ring.unlock_request();
    request.get().set_passphrase(passphrase);
    ask(request.send()).await.map(drop)
}

/// Bytes that are overwritten when they are no longer needed.
pub(crate) fn passphrase_of(bytes: &[u8]) -> Passphrase {
    Zeroizing::new(bytes.to_vec())
}

/// What of the keys can be known.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub(crate) protection: &'static str,
    pub(crate) unlocked: bool,
    pub(crate) trouble: String,
    pub(crate) tpm: String,
    pub(crate) keys: Vec<Key>,
}

/// One key's public side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Key {
    pub(crate) purpose: &'static str,
    pub(crate) generation: u32,
    pub(crate) made_at_ms: u64,
    pub(crate) public: String,
}

impl Key {
    pub(crate) fn read(reader: key::Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            purpose: purpose_word(reader.get_purpose()?),
            generation: reader.get_generation(),
            made_at_ms: reader.get_made_at_ms(),
            public: hex(reader.get_public()?),
        })
    }
}

/// Asks for it.
pub(crate) async fn status(ring: &keyring::Client) -> Outcome<Status> {
    let answer = ask(ring.status_request().send()).await?;
    let status = answer.get()?.get_status()?;
    Ok(Status {
        protection: protection_word(status.get_protection()?),
        unlocked: status.get_unlocked(),
        trouble: text(status.get_trouble())?,
        tpm: text(status.get_tpm())?,
        keys: status.get_keys()?.iter().map(Key::read).collect::<Outcome<_>>()?,
    })
}

/// The schema's word.
pub(crate) const fn protection_word(protection: Protection) -> &'static str {
    match protection {
        Protection::None => "none",
        Protection::Passphrase => "passphrase",
        Protection::Tpm => "tpm",
    }
}

const fn purpose_word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Device => "device",
        Purpose::Log => "log",
        Purpose::Author => "author",
        Purpose::Commits => "commits",
        Purpose::Store => "store",
    }
}
