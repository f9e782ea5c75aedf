//! The folder service: one host folder as `Directory` and `File` of `filesystem.capnp`, to any number of links. One
//! process serves one folder; it is given that folder as a descriptor and reaches nothing else. What is the same for every
//! tree of files is in the crate `files`; here is what a host folder is as such a tree ([`tree`]).
//!
//! # What is guaranteed
//! - **Never outside.** Every path is checked as bytes ([`files::path`]) and resolved by the kernel beneath the directory that
//!   it is given to ([`resolve`]): no `..`, no absolute path, no symbolic link, no link of /proc leads out, however
//!   fast names are swapped meanwhile. A directory that somebody moves out of the folder while it is open serves
//!   nothing from then on, and serves again when it is back ([`place`]). A *file* that was open stays the file that
//!   it was, wherever its name goes, as the schema says.
//! - **Mount points inside are crossed**, as the person who offers the folder crosses them; `..` of a mount inside
//!   leads up into the folder. What may be mounted there is the machine's administrator's to say, not an app's.
//! - **Devices, FIFOs and sockets are never opened**: they are listed and can be removed. A name that is swapped for
//!   one between the look and the opening is opened without waiting, recognised and closed unused; it takes somebody
//!   outside, who can make such a file in the folder, for that.
//! - **Rights hold for all that is derived** ([`files::rights`]): read-only and append-only references give nothing but such.
//!   An append-only file is open with O_APPEND, so that the kernel holds it too. `sync` needs no right.
//! - **Calls on one object take effect in their order**: a caller may send many without waiting. Calls on different
//!   objects have no order.
//! - **`sync` means on disk** (fsync); anything else is with the operating system when it returns.
//! - **What is made is as visible as its directory**: to group and others it may be readable as far as the directory
//!   around it is, and never writable.
//! - **No caller holds up another** ([`files::disk`]): whatever may wait for a file system leaves the RPC thread, within bounds for
//!   each grant. So a mount inside the folder that does not answer ([`local`]) holds up nobody but those who use it. What one
//!   grant can hold open is bounded ([`files::open_count`]); beyond that a call fails as overloaded.
//! - **After a cut** no work begins any more. A single read or write that was with the operating system at that moment
//!   ends there, and the end of the link is confirmed after it.
//! - **Streams** hold a bounded number of bytes (the engine's window and one chunk) for a reader that is slow.
//!
//! # What is not
//! - Names are looked at in turn, so a directory that changes while it is listed is seen at different moments.
//! - A write that fails in the middle (a full disk) leaves what was written.
//! - What comes between a program and its local files on the whole machine, as a scanner that lets nothing be opened before it
//!   has looked, comes between this service and them: all wait for it.
//! - Whoever else may use the folder sees and changes the same files at the same time. Nothing is locked.
#![forbid(unsafe_code)]

pub mod change;
pub mod content;
pub mod held;
pub mod limits;
pub mod list;
pub mod local;
pub mod metadata;
pub mod place;
pub mod resolve;
pub mod serve;
pub mod tree;
