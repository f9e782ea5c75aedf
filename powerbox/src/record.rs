//! The records of the log as plain values. What each means stands in `schema/internal/log.capnp`.

mod codec;
mod source;
mod text;

pub use codec::RecordError;
pub(crate) use codec::{RECORD_LIMIT_BYTES, array, open, set_numbers, text};
pub use source::{Folder, Holder, Object, Service, Source};
pub use text::{Line, describe};
pub(crate) use text::{exit_code, hexadecimal};

use package::Manifest;
use vat::words::{EndReason, Rights};

/// A record with its place, time and author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1, 2, 3, …
    pub position: u64,
    /// Milliseconds since 1970, never less than in the record before.
    pub at_ms: u64,
    /// Who: "uid 1000", "the node", "app search".
    pub by: String,
    /// What.
    pub record: Record,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The powerbox was started.
    Opened {
        /// Its version.
        version: String,
        /// With the node; otherwise it alone was started again.
        node_start: bool,
    },
    /// An author is trusted.
    Trusted(Author),
    /// An author, by key, is no longer trusted.
    Distrusted([u8; 32]),
    /// A package was installed, perhaps in place of another of that name.
    Installed(Installed),
    /// The package of that name was removed.
    Uninstalled(String),
    /// An instance is about to be started.
    Ran(Ran),
    /// A run ended.
    Exited(Exited),
    /// This instance is not to run any more.
    Stopped(String),
    /// An app asked.
    Asked(Asked),
    /// It was refused.
    Denied(Denied),
    /// A grant.
    Granted(Box<Granted>),
    /// Grants ended, with all their descendants.
    Ended(Ended),
    /// A share of a budget went to a link and counts as used.
    Leased(Leased),
    /// What of that share was not used came back.
    Returned(Leased),
    /// The server of that link ended without a word.
    Lost(Leased),
    /// Ids up to this one may have been used.
    Reserved(u64),
    /// The log was signed.
    Checkpoint(Checkpoint),
    /// What a person should know.
    Note(String),
}

/// A trusted author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The public key.
    pub key: [u8; 32],
    /// The petname that a person gave.
    pub name: String,
    /// Since when.
    pub at_ms: u64,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What its author signed.
    pub manifest: Manifest,
    /// What the package is known by.
    pub digest: [u8; 32],
    /// Length of the file.
    pub bytes: u64,
    /// Since when.
    pub at_ms: u64,
}

/// One run of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// The instance.
    pub instance: String,
    /// The package's name.
    pub app: String,
    /// The package's version.
    pub version: String,
    /// The package's digest.
    pub digest: [u8; 32],
    /// The process.
    pub process: u64,
    /// Whether it runs on without a shell.
    pub detached: bool,
    /// After the program's name.
    pub arguments: Vec<String>,
    /// The shell that it ends with; 0: none.
    pub shell: u64,
    /// Of the person.
    pub uid: u32,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    /// The instance.
    pub instance: String,
    /// The process.
    pub process: u64,
    /// Exit code, or minus a signal's number.
    pub code: i32,
    /// The process's last word.
    pub last: String,
}

/// What an app asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The number that a person answers it by.
    pub request: u64,
    /// Who asks.
    pub instance: String,
    /// Under which label.
    pub label: String,
    /// Schema id.
    pub interface: u64,
    /// The asker's words.
    pub hint: String,
    /// What it wants to do.
    pub rights: Rights,
    /// The asker's words.
    pub reason: String,
    /// When.
    pub at_ms: u64,
}

pub use schema::log_capnp::denied::How;

/// How a request ended without a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Who asked.
    pub instance: String,
    /// Under which label.
    pub label: String,
    /// How.
    pub how: How,
}

/// A grant as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its number; 1, 2, 3, …
    pub grant: u64,
    /// The grant that it is a child of; 0: none.
    pub parent: u64,
    /// Who holds it.
    pub holder: Holder,
    /// Under which label.
    pub label: String,
    /// How a person writes it.
    pub offer: String,
    /// What serves it.
    pub source: Source,
    /// Schema id.
    pub interface: u64,
    /// What the holder may do, and how much of it.
    pub caveats: crate::caveats::Caveats,
    /// A shell's own use: it ends with the shell.
    pub transient: bool,
}

/// Grants that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// With all their descendants.
    pub grants: Vec<u64>,
    /// Why.
    pub reason: EndReason,
    /// In words.
    pub detail: String,
}

/// A share of a budget with one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// Whose budget.
    pub grant: u64,
    /// The link.
    pub link: u64,
    /// Calls; 0 also where they are not limited.
    pub calls: u64,
    /// Bytes; 0 also where they are not limited.
    pub bytes: u64,
}

/// A signature over the log up to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of the record that it is of, a little before this one.
    pub position: u64,
    /// That record's hash.
    pub head: [u8; 32],
    /// The public half of the key that signed.
    pub key: [u8; 32],
    /// By that key.
    pub signature: [u8; 64],
}

/// What of an interface id a person reads.
#[must_use]
pub fn interface_name(interface: u64) -> String {
    vat::names::interface(interface).map_or_else(|| format!("interface {interface:#x}"), |known| known.name.to_owned())
}

/// A method, read out where it is known: `Directory.list`.
#[must_use]
pub fn method_name(method: vat::words::Method) -> String {
    method.to_string()
}
