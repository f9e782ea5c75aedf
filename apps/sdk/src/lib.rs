//! Write apps for Latchkey.
//!
//! An app starts with nothing: no files, no network, no environment. It *asks*, a person picks what it gets, and what it
//! gets is an object that it can use until it is taken back. That is all there is to it, and this crate makes it look
//! like any other asynchronous Rust:
//!
//! ```no_run
//! use sdk::{Folder, ask};
//!
//! fn main() -> std::process::ExitCode {
//!     sdk::run(hello())
//! }
//!
//! async fn hello() -> sdk::Result<()> {
//!     let folder: Folder = ask("folder", "to show you what is in it").read().await?;
//!     let mut entries = folder.entries();
//!     while let Some(entry) = entries.next().await? {
//!         println!("{}", entry.name());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What an app may ask for
//! The app's manifest, `latch.toml`, announces it; what is not there is refused without a question. `label` is the app's
//! own word for what it asks, the one in [`ask`].
//!
//! ```toml
//! name = "hello"
//! version = "0.1.0"
//! description = "Lists a folder."
//!
//! [[request]]
//! label = "folder"
//! interface = "Directory"
//! rights = ["read"]
//! reason = "to show you what is in it"
//! ```
//!
//! # Working with a folder
//! ```no_run
//! # async fn example(folder: sdk::Folder) -> sdk::Result<()> {
//! let text = folder.read_to_string("notes/today.txt").await?;        // whole, at most 16 MiB
//! folder.append("notes/today.txt", "one more line\n").await?;
//! let mut pieces = folder.stream("video.bin");                       // of any size, piece by piece
//! while let Some(bytes) = pieces.next().await? { /* … */ }
//! let mut walk = folder.walk().only(|found| !found.entry().name_bytes().starts_with(b"."));
//! while let Some(found) = walk.next().await? { println!("{}", found.path()); }
//! let read_only = folder.narrow(sdk::Rights::READ).await?;           // rights only narrow
//! # let _ = (text, read_only); Ok(()) }
//! ```
//!
//! # What the store keeps
//! A directory of the store is asked for as a [`StoredDirectory`] (`interface = "StoredDirectory"` in the manifest). It
//! is a [`Folder`] that is encrypted on the disk, and that has snapshots:
//!
//! ```no_run
//! # async fn example() -> sdk::Result<()> {
//! use sdk::{StoredDirectory, ask};
//! let notes: StoredDirectory = ask("notes", "to keep your notes in").await?;
//! notes.write("today.txt", "buy milk").await?;
//! let snapshot = notes.snapshot("before the holidays").await?;        // on disk from here on
//! notes.write("today.txt", "nothing").await?;
//! let then = notes.open_snapshot(snapshot.id()).await?;
//! assert_eq!(then.read_to_string("today.txt").await?, "buy milk");
//! # Ok(()) }
//! ```
//!
//! # When something is taken back
//! At any moment, in the middle of any call. The call then fails with an error that says so, and so does every later
//! one: decide by its [`kind`](Error::kind), or let `?` end the app. [`run`] turns it into a message and an exit code.
//!
//! ```no_run
//! # async fn example(folder: sdk::Folder) -> sdk::Result<()> {
//! use sdk::ErrorKind;
//! match folder.read("settings").await {
//!     Ok(bytes) => println!("{} bytes", bytes.len()),
//!     Err(error) if error.kind() == ErrorKind::NotFound => println!("no settings yet"),
//!     Err(error) if error.is_cut() => println!("the folder is gone: {error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(()) }
//! ```
//!
//! A restart of what serves the folder is not that: the call under way fails with
//! [`Disconnected`](ErrorKind::Disconnected), since whether it was carried out is not known, and the next one on the
//! same [`Folder`] works again.
//!
//! What is not needed any more can be given back with [`release`]: the grant is then ended for good.
//!
//! # What else there is
//! `println!`, panics, [`arguments`], the clock and randomness work as always. There are no threads: many things at
//! once are many futures, joined or [`spawn`]ed. Every object's calls are sent at once and in order, so that several
//! can be under way before the first is answered.
//!
//! With the feature `testing`, an app runs natively against a folder in memory: see the module of that name.
#![forbid(unsafe_code)]

mod ask;
mod context;
mod entries;
mod error;
mod file;
mod folder;
mod held;
mod metadata;
mod object;
mod origin;
mod path;
mod run;
mod session;
mod signal;
mod snapshot;
mod stored;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use ask::{Ask, ask, release};
pub use entries::{Entries, Entry};
pub use error::{Error, ErrorKind, Result};
pub use file::{File, PIECE_LIMIT_BYTES};
pub use folder::{Folder, READ_LIMIT_BYTES};
pub use metadata::{Kind, Metadata};
pub use object::Object;
pub use run::{EXIT_CUT, EXIT_STALLED, EXIT_STOPPED, Outcome, Report, arguments, run, sleep, spawn, stopping};
pub use snapshot::{Snapshot, Snapshots};
pub use stored::{Reservation, Room, StoredDirectory};
pub use stream::FileStream;
pub use vat::Rights;
pub use walk::{Found, Walk};
pub use writer::FileWriter;
