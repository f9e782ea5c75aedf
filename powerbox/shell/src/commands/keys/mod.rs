//! `latch keys`: the keys of this node. What they are is never seen here either: the passphrase goes over a link to the
//! keys' own process, and neither kernel nor powerbox carries it.

mod backup;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use schema::keys_capnp::{Protection, Purpose, keyring};

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::keys::{self, passphrase_of};
use crate::node::Node;
use crate::state::State;
use crate::terminal::passphrase;

/// Shows and keeps the keys of this node
///
/// They sign the node's log, your packages and what the store has written, and seal the store. Their own process keeps
/// them; nobody else ever has one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch keys                                  what there is, and whether it can be used
  latch keys create                           makes them; asks for a passphrase
  latch keys create --tpm                     this machine's TPM opens them by itself
  latch keys unlock --passphrase-file FILE    without a terminal
  latch keys backup keys.backup               all of them, under a passphrase of its own")]
pub(crate) struct Keys {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Lists the keys: what each is for, its public half, since when
    Show,
    /// Makes every key
    Create(Protect),
    /// Opens the keys until the node stops
    Unlock {
        #[command(flatten)]
        from: PassphraseFile,
    },
    /// Forgets every secret until they are opened again: nothing is signed meanwhile, so the store makes nothing durable
    Lock,
    /// Protects the same keys in another way from now on: with another passphrase, or by the TPM
    Protect(Protect),
    /// Makes a new key in the place of one
    Rotate {
        /// What the key is for
        #[arg(value_enum)]
        purpose: Which,
    },
    /// Writes all keys to a file, sealed under a passphrase of its own
    Backup(backup::Backup),
    /// Takes the keys of a backup, where this node has none
    Restore(backup::Restore),
}

/// How keys are to be protected.
#[derive(Debug, Args)]
pub(crate) struct Protect {
    /// By this machine's TPM, without a passphrase
    #[arg(long, conflicts_with = "passphrase_file")]
    tpm: bool,
    #[command(flatten)]
    from: PassphraseFile,
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseFile {
    /// Takes the first line of a file instead of asking
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Device,
    Log,
    Author,
    Commits,
    Store,
}

impl Which {
    const fn purpose(self) -> Purpose {
        match self {
            Which::Device => Purpose::Device,
            Which::Log => Purpose::Log,
            Which::Author => Purpose::Author,
            Which::Commits => Purpose::Commits,
            Which::Store => Purpose::Store,
        }
    }
}

pub(crate) async fn run(context: &Context, node: &Node, command: Keys) -> Outcome {
    let ring = keys::keyring(node).await?;
    match command.act.unwrap_or(Act::Show) {
        Act::Show => show::run(context, &ring).await,
        Act::Create(how) => create(context, &ring, how).await,
        Act::Unlock { from } => {
            // A TPM opens them for whoever may ask: there is no passphrase then.
            let passphrase = match keys::status(&ring).await?.protection {
                "tpm" if from.passphrase_file.is_none() => passphrase_of(&[]),
                _ => passphrase::known(from.passphrase_file.as_deref(), keys::CUE, OPTION).await?,
            };
            keys::unlock(&ring, &passphrase).await?;
            context.done("the keys are open until the node stops", &serde_json::json!({ "unlocked": true }))
        }
        Act::Lock => {
            keys::ask(ring.lock_request().send()).await?;
            context
                .done("the keys are locked: `latch keys unlock` opens them", &serde_json::json!({ "unlocked": false }))
        }
        Act::Protect(how) => {
            let (protection, passphrase) = how.protection("new passphrase for this node's keys").await?;
            let mut request = ring.protect_request();
            request.get().set_protection(protection);
            request.get().set_passphrase(&passphrase);
            keys::ask(request.send()).await?;
            context.done(
                "the keys are protected anew",
                &serde_json::json!({ "protection": keys::protection_word(protection) }),
            )
        }
        Act::Rotate { purpose } => rotate(context, &ring, purpose.purpose()).await,
        Act::Backup(command) => backup::backup(context, &ring, command).await,
        Act::Restore(command) => backup::restore(context, &ring, command).await,
    }
}

/// Whether something is in the node's store, which was sealed with keys that it had.
pub(crate) fn has_store(state: &State) -> bool {
    std::fs::read_dir(state.path().join("storage/segments")).is_ok_and(|mut found| found.next().is_some())
}

/// The option that names a file with a passphrase.
pub(crate) const OPTION: &str = "--passphrase-file";

impl Protect {
    /// As the keys take it.
    async fn protection(&self, cue: &str) -> Outcome<(Protection, passphrase::Passphrase)> {
        if self.tpm {
            return Ok((Protection::Tpm, passphrase_of(&[])));
        }
        Ok((Protection::Passphrase, passphrase::new(self.from.passphrase_file.as_deref(), cue, OPTION).await?))
    }
}

async fn create(context: &Context, ring: &keyring::Client, how: Protect) -> Outcome {
    // Before anybody is asked for a passphrase for nothing.
    if keys::status(ring).await?.protection != "none" {
        return Err(Failure::new("this node has keys already")
            .next("latch keys shows them; latch keys rotate PURPOSE makes one anew"));
    }
    // What is in the store was sealed with keys that this node had: new ones open none of it.
    if has_store(&context.state) {
        return Err(Failure::new("this node's store was sealed with other keys, which new ones would not open").next(
            format!(
                "latch keys restore BACKUP; or, to begin with an empty store: latch down, move {} away, latch up",
                context.state.path().join("storage").display()
            ),
        ));
    }
    let (protection, passphrase) = how.protection("passphrase for this node's keys").await?;
    let mut request = ring.create_request();
    request.get().set_protection(protection);
    request.get().set_passphrase(&passphrase);
    keys::ask(request.send()).await?;
    let words = "this node has keys now, and they are open\n  next: latch keys backup FILE, and keep that file elsewhere: what is stored cannot be read without them";
    context.done(words, &serde_json::json!({ "protection": keys::protection_word(protection), "unlocked": true }))
}

async fn rotate(context: &Context, ring: &keyring::Client, purpose: Purpose) -> Outcome {
    let mut request = ring.rotate_request();
    request.get().set_purpose(purpose);
    let answer = keys::ask(request.send()).await?;
    let key = keys::Key::read(answer.get()?.get_key()?)?;
    let words = match purpose {
        Purpose::Author => "\n  your packages are signed by a new author now: others need to trust that one",
        Purpose::Store => {
            "\n  the store takes the new key into use by itself; the one before stays until the next rotation"
        }
        Purpose::Commits => {
            "\n  the store is known by another root principal now (latch store): what was given by latch cap is given anew, and exported anew"
        }
        _ => "",
    };
    let next = "\n  next: latch keys backup FILE: a backup of before lacks this key";
    context.done(&format!("the {} key is number {} now{words}{next}", key.purpose, key.generation), &key)
}
