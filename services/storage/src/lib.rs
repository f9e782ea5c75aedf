//! The storage service: directories and files that are encrypted, signed and crash-safe, as `StoredDirectory` and `File` to any
//! number of links. One process serves the one store of a node, which is in its state folder.
//!
//! - [`store`] keeps them. It blocks, and knows no RPC.
//! - [`outside`] makes of it what others may read and write elsewhere.
//! - [`serve`] serves them, through the crate `files` like any other tree, and the store itself to operators.
//! - [`remote_keys`] reaches the keys, which another process has.
//!
//! # What is guaranteed
//! - **A grant is one directory**, which its badge names ([`serve::Storage::root`]), and everything below it. There are no links in the
//!   store, and no path leads up: nothing else of it is reached. The directory is made when it is first used.
//! - **Rights hold for all that is derived**, and a snapshot gives nothing but reading.
//! - **Calls on one object take effect in their order**, a snapshot among them.
//! - **`sync` means on disk** and signed, of everything that was written before in the whole store; all who wait for it share one.
//!   What was written and not synced survives the end of this process, and not that of the machine.
//! - **A write happens wholly or not at all**; so does every other change.
//! - **No caller holds up another**: all of the store's calls are made on the disk threads of their grant, also where they wait for a
//!   signature. The RPC thread waits for none of them.
//! - **The keys may come later, be locked, go and come back**: what needs them says `locked` meanwhile, and works once they are
//!   there. Keys that are locked while the store is in use stop nothing but what has to be signed: its root was opened before.
//! - **What is damaged is never served**, and people are told of it once.
//! - **A disk that could not keep what it was given is not believed**: after a sync that failed the process tells people and
//!   ends, and the next one looks at what is really there.
//!
//! # What is not
//! - A directory that is removed while it is granted stays removed for links that have used it; the next link makes it anew.
#![forbid(unsafe_code)]

pub mod outside;
pub mod remote_keys;
pub mod serve;
pub mod store;
