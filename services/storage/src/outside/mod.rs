//! What leaves the store: readcaps, writecaps, and nodes that somebody without a key can hold. The formats are those of the
//! crate `caps`; here are the nodes, keys and readers that they are made of.
//!
//! - A node has another key outside than inside ([`Node::outside_key`]), so that what is given away opens nothing that the
//!   store keeps. Exchanging the one exchanges the other.
//! - Its readers are in the note that the store keeps with the node, sealed: nobody who sees the segments learns who they are.
//! - The version of what is exported is the number of the export, which grows by one each time.

mod error;
mod export;
mod located;
mod note;
mod sign;

pub use error::OutsideError;
pub use export::{Export, Piece};
pub use note::{READER_LIMIT, Reader};

use caps::{NEVER_MS, PublicKey, Readable, ReaderPublic, Rights, SystemEntropy, readcap, writecap};

use crate::store::{Node, Store};
use located::Located;
use note::Note;
use sign::StoreSigner;

/// A store, as far as it is for others elsewhere. It blocks.
pub struct Outside {
    store: Store,
    root: Node,
}

impl Outside {
    /// Of this store, whose root this is.
    #[must_use]
    pub fn new(store: Store, root: Node) -> Outside {
        Outside { store, root }
    }

    /// A readcap for this reader, who is remembered. `expires_ms` may be [`NEVER_MS`]; `now_ms` is milliseconds since 1970.
    ///
    /// # Errors
    /// [`OutsideError::WholeStore`], [`OutsideError::Expired`], [`OutsideError::TooManyReaders`], and those of the store and
    /// of the keys.
    pub fn issue_readcap(
        &self,
        path: &[&[u8]],
        reader: ReaderPublic,
        expires_ms: u64,
        now_ms: u64,
    ) -> Result<Vec<u8>, OutsideError> {
        not_over(expires_ms, now_ms)?;
        let located = self.locate(path)?;
        if located.parent.is_none() {
            return Err(OutsideError::WholeStore);
        }
        let signer = StoreSigner::of(&self.store)?;
        let issue = |readable: &Readable| readcap::issue(readable, &reader, expires_ms, &signer, &mut SystemEntropy);
        // Made first: a key that is none makes no reader.
        let readable = located.readable(&signer)?;
        let readcap = issue(&readable)?;
        let entry = Reader { key: reader, expires_ms, since_ms: now_ms };
        self.change(&located.node, |note| note.add(entry, now_ms))?;
        self.store.sync()?;
        let now = located.readable(&signer)?;
        // A key that was exchanged meanwhile is of no use to anybody.
        if now.generation == readable.generation { Ok(readcap) } else { Ok(issue(&now)?) }
    }

    /// The readers of what is there, in the order in which they came.
    ///
    /// # Errors
    /// Those of the store.
    pub fn readers(&self, path: &[&[u8]]) -> Result<Vec<Reader>, OutsideError> {
        Ok(self.note(&self.locate(path)?.node)?.readers)
    }

    /// Forgets a reader and exchanges the keys of what is there and of all below it. The directories above, as numbers of
    /// names, through which they read on.
    ///
    /// # Errors
    /// [`OutsideError::NoReader`], and those of the store. Where the keys could not be exchanged they are still listed, as one
    /// whose time is over: do it again.
    pub fn remove_reader(&self, path: &[&[u8]], reader: ReaderPublic, now_ms: u64) -> Result<Vec<usize>, OutsideError> {
        let located = self.locate(path)?;
        let (parent, name) = located.parent.as_ref().ok_or(OutsideError::NoReader)?;
        // First no export gives them a key any more, then the key is another, and only then they are forgotten: wherever this
        // ends, they can be removed again.
        self.change(&located.node, |note| note.bar(&reader))?;
        self.store.rotate(parent, name)?;
        self.change(&located.node, |note| note.remove(&reader))?;
        self.store.sync()?;
        let is_reader = |depth: &usize| {
            let above = self.locate(&path[..*depth]).and_then(|above| self.note(&above.node));
            above.is_ok_and(|note| note.is_reader(&reader, now_ms))
        };
        Ok((1..path.len()).filter(is_reader).collect())
    }

    /// A chain of one link for this holder.
    ///
    /// # Errors
    /// [`OutsideError::Expired`], and those of the store and of the keys.
    pub fn issue_writecap(
        &self,
        path: &[&[u8]],
        holder: PublicKey,
        rights: Rights,
        expires_ms: u64,
        now_ms: u64,
    ) -> Result<Vec<u8>, OutsideError> {
        not_over(expires_ms, now_ms)?;
        let grant = writecap::Grant { holder, path: self.locate(path)?.path, rights, expires_ms };
        Ok(writecap::issue_first(grant, &StoreSigner::of(&self.store)?)?.encode())
    }

    /// Everything from there on downwards, as it is now.
    ///
    /// # Errors
    /// Those of the store and of the keys.
    pub fn export(&self, path: &[&[u8]], now_ms: u64) -> Result<Export, OutsideError> {
        let number = self.change(&self.root, Note::count_export)?;
        Export::begin(&self.store, self.locate(path)?, number, now_ms)
    }

    fn locate(&self, path: &[&[u8]]) -> Result<Located, OutsideError> {
        Located::find(&self.store, &self.root, path)
    }

    fn note(&self, node: &Node) -> Result<Note, OutsideError> {
        Note::decode(&self.store.note(node)?)
    }

    fn change<T>(
        &self,
        node: &Node,
        mut change: impl FnMut(&mut Note) -> Result<T, OutsideError>,
    ) -> Result<T, OutsideError> {
        self.store.change_note(node, |bytes| {
            let mut note = Note::decode(bytes)?;
            let result = change(&mut note)?;
            Ok((note.encode(), result))
        })
    }
}

fn not_over(expires_ms: u64, now_ms: u64) -> Result<(), OutsideError> {
    if expires_ms == NEVER_MS || expires_ms > now_ms { Ok(()) } else { Err(OutsideError::Expired) }
}
