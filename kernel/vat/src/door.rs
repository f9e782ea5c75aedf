//! The messages of a door (`schema/internal/door.capnp`) as plain owned values, and the packets they travel in.
//! Whatever comes out of `decode` is within bounds and valid UTF-8; it may still be a lie.

mod codec;
pub mod packet;

use crate::words::{EndReason, Method, Rights};

pub use codec::ACCOUNTS_LIMIT;
pub use packet::PACKET_LIMIT_BYTES;
pub use schema::door_capnp::resource::Kind as ResourceKind;
pub use schema::door_capnp::{Carries, Peer, Role};

/// How much of a process's last word is kept.
pub const LAST_LIMIT_BYTES: usize = 1_000;

/// The exit code of a process that was told to stop at its door and did: as for one that SIGTERM ended.
pub const EXIT_STOPPED: u8 = 143;
/// How much of a notice's detail is kept.
pub const DETAIL_LIMIT_BYTES: usize = 300;
/// The longest label: what a session accepts as one, see `session.capnp`; raw links have short ones of the system's,
/// after an instance's name.
pub const LABEL_LIMIT_BYTES: usize = 160;
/// A path as Linux takes it.
pub const PATH_LIMIT_BYTES: usize = 4_096;
/// The longest name of an object of a service: a path in the store, as an offer names it, and no whole path of a system's.
pub const OBJECT_LIMIT_BYTES: usize = 1_024;
/// The longest handle of a file with its type, 4 bytes: `MAX_HANDLE_SZ` of Linux.
pub const HANDLE_LIMIT_BYTES: usize = 4 + 128;

/// Why bytes were not taken as a door's message, or a message could not be packed.
#[derive(Debug)]
pub enum DoorError {
    /// Over the packet's limit: so many bytes.
    TooLarge(usize),
    /// Not one message of one segment that fills the packet.
    Frame,
    /// A text is longer than its field allows.
    TooLong(&'static str),
    /// Not a message of this schema (a pointer that leads nowhere, a newer variant, text that is not UTF-8).
    Malformed(String),
}

impl std::fmt::Display for DoorError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DoorError::TooLarge(bytes) => write!(formatter, "a message of {bytes} bytes is over {PACKET_LIMIT_BYTES}"),
            DoorError::Frame => formatter.write_str("not one message of one segment"),
            DoorError::TooLong(field) => write!(formatter, "{field} is too long"),
            DoorError::Malformed(how) => write!(formatter, "malformed: {how}"),
        }
    }
}

impl std::error::Error for DoorError {}

impl From<capnp::Error> for DoorError {
    fn from(error: capnp::Error) -> Self {
        DoorError::Malformed(error.to_string())
    }
}

impl From<capnp::NotInSchema> for DoorError {
    fn from(error: capnp::NotInSchema) -> Self {
        DoorError::Malformed(error.to_string())
    }
}

/// From the kernel to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToVat {
    /// Always first.
    Begin(Begin),
    /// With one descriptor: this end of the link.
    Link(Link),
    /// With one descriptor.
    Resource(Resource),
    /// Why a link ended, or that what serves it is away.
    Notice(Notice),
    /// Finish what runs and exit.
    Stop,
}

/// What a process is told first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Its number.
    pub process: u64,
    /// For the image, see `setup.capnp`; opaque to the kernel.
    pub setup: Vec<u8>,
    /// How many resources follow at once, before it confines itself.
    pub resources: u16,
    /// Start although this machine lacks a part of the confinement.
    pub reduced: bool,
}

/// The delivery of one end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Node-wide.
    pub id: u64,
    /// Which end it is.
    pub role: Role,
    /// What goes over it.
    pub carries: Carries,
    /// What the client asked for it under, or which standard stream it is.
    pub label: String,
    /// An encoded [`Badge`]; opaque to the kernel, empty on raw links.
    pub badge: Vec<u8>,
}

/// What an end is told about a link: the powerbox's word, and the only thing a service goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// 0 for session and raw links.
    pub grant: u64,
    /// The interface it serves.
    pub interface: u64,
    /// What the holder may do with it.
    pub rights: Rights,
    /// Milliseconds since 1970; 0: never.
    pub expires_at_ms: u64,
    /// Calls that this link may use.
    pub calls: Lease,
    /// Bytes that this link may use.
    pub bytes: Lease,
    /// Allowed methods; empty: all.
    pub methods: Vec<Method>,
    /// What kind of process the other end is.
    pub peer: Peer,
    /// Its name, for people: `search#1`.
    pub holder: String,
    /// Which of its objects the service is to serve, in its own words; empty where it has one.
    pub object: String,
    /// Whose room what is stored over this link takes, from the grant outwards; empty: no quota.
    pub accounts: Vec<Account>,
}

/// A grant with a quota, and what it may store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The grant.
    pub grant: u64,
    /// What it may have stored at once, with what hangs below it.
    pub quota_bytes: u64,
}

/// A share of a budget, already recorded as spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Whether there is a limit at all.
    pub limited: bool,
    /// What may be used, where there is one: all that was given so far.
    pub amount: u64,
    /// More can be asked for when this runs low.
    pub more: bool,
}

impl Lease {
    /// No limit.
    pub const UNLIMITED: Lease = Lease { limited: false, amount: 0, more: false };

    /// So much and no more.
    #[must_use]
    pub const fn of(amount: u64) -> Lease {
        Lease { limited: true, amount, more: false }
    }

    /// The limit, if there is one.
    #[must_use]
    pub const fn limit(self) -> Option<u64> {
        if self.limited { Some(self.amount) } else { None }
    }
}

/// What a folder is known by, whatever its path leads to later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `f_fsid` of `statvfs`.
    pub file_system: u64,
    /// The handle's type, little endian, then the handle; at most [`HANDLE_LIMIT_BYTES`]. Empty where the file system has
    /// none.
    pub handle: Vec<u8>,
    /// Decides where there is no handle.
    pub inode: u64,
}

/// What is said about a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What kind of thing it is.
    pub kind: ResourceKind,
    /// For the receiver: `component`, `state`, `folder`.
    pub name: String,
    /// A shell's own number for it.
    pub token: u64,
    /// Where the shell found it, absolute.
    pub path: String,
    /// Of a folder, as the shell says.
    pub identity: Identity,
}

impl Resource {
    /// One that no shell brought.
    #[must_use]
    pub fn new(kind: ResourceKind, name: &str) -> Resource {
        Resource { kind, name: name.to_owned(), token: 0, path: String::new(), identity: Identity::default() }
    }
}

/// Why a link ended, or that what serves it is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// 0 where it concerns a label that has no link now.
    pub link: u64,
    /// The client's label.
    pub label: String,
    /// Why.
    pub reason: EndReason,
    /// For people; at most [`DETAIL_LIMIT_BYTES`], the rest is cut off.
    pub detail: String,
}

/// From a process to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromVat {
    /// Before the first link.
    Confined(Confinement),
    /// Server end of that cut link: no call starts any more.
    Ended {
        /// The link.
        link: u64,
    },
    /// With one descriptor; from shells only.
    Resource(Resource),
    /// Why this process is about to exit; at most [`LAST_LIMIT_BYTES`], the rest is cut off.
    Last(String),
}

/// How a process confined itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// The profile's name.
    pub profile: String,
    /// The layers in force: `seccomp`, `landlock 7`, `empty root`.
    pub applied: Vec<String>,
    /// What this machine could not do.
    pub missing: Vec<String>,
}

#[cfg(test)]
mod tests;
