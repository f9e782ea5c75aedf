//! Sealing a part of the tree, node by node and piece by piece, from a snapshot of it.

use std::borrow::Cow;
use std::collections::VecDeque;

use caps::directory::{self, ENTRY_LIMIT, WrappedKey};
use caps::sealed_node::{Attributes, ContentSealer, Draft, SECTOR_PLAIN_BYTES, SealedContent, finish};
use caps::{Path, Readable, ReaderPublic, Signer as _, SystemEntropy};
use zeroize::Zeroizing;

use super::OutsideError;
use super::located::{Located, id, readable};
use super::note::Note;
use super::sign::StoreSigner;
use crate::store::{Kind, Node, Store, StoreError};

/// What is sealed at once: well below the 1 MiB that a piece may have, and enough that asking for it costs little beside sealing it.
const PIECE_PLAIN_BYTES: usize = 32 * SECTOR_PLAIN_BYTES;
const TOO_DEEP: &str = "a path in an export has at most 64 nodes";
const _: () = assert!(caps::PATH_LIMIT_NODES == 64, "as people are told");
const TOO_MANY: &str = "a directory in an export has at most 1,048,576 entries";
const _: () = assert!(ENTRY_LIMIT == 1_048_576, "as people are told");
pub(super) const MOSTLY_HOLE: &str = "it is mostly a hole, which an export would write out as zeros: what is in it can be copied into a file without one";
const TOO_MANY_HOLES: &str =
    "it is mostly a hole, as are others before it, and an export writes out no more zeros for them";
const DAMAGED: &str = "it is damaged: a check of the store says more";
const ENTRY_DAMAGED: &str = "something in it is damaged, and its name with it: a check of the store says more";
/// What a snapshot is called that an export shows, should the process end before it is dropped.
const LABEL: &str = "an export under way";

/// A file may be so many times as long as what of it is stored: then who pays for what is there pays for the zeros, too. What is
/// beyond is its excess.
const TIMES_STORED: u64 = 8;
/// The excess of one file: to write out 64 MiB of zeros is felt by nobody.
const FILE_EXCESS_BYTES: u64 = 64 << 20;
/// What of a directory's files is read through before a call is answered: below a second.
const READ_AT_ONCE_BYTES: u64 = 64 << 20;

/// What one export may have.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Things that are left out, by name: as many as a person may want to look at. Their paths have at most 16 KiB each.
    named: usize,
    /// The excess of all files together: some seconds of zeros.
    excess_bytes: u64,
    /// Of one directory.
    entries: usize,
}

const LIMITS: Limits = Limits { named: 1_000, excess_bytes: 1 << 30, entries: ENTRY_LIMIT };

/// The next part of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Sealed bytes of the node that is on its way. None, where what is in a directory is still being read through.
    Content(Vec<u8>),
    /// Its metadata: it is whole.
    Metadata(Vec<u8>),
    /// Something that is in the directory which comes next, and not in what is exported of it.
    LeftOut {
        /// Its names, with `/` between them, from what is exported on. Where it has none, or where there is more than can be
        /// named, that of the directory, which is `.` at the top.
        path: Vec<u8>,
        /// For people.
        why: Cow<'static, str>,
    },
    /// There are no more nodes.
    End,
}

/// An export under way.
pub struct Export {
    store: Store,
    signer: StoreSigner,
    number: u64,
    now_ms: u64,
    _snapshot: Snapshot,
    /// What is still to come.
    waiting: Vec<Below>,
    current: Option<Current>,
    limits: Limits,
    /// Of what was left out.
    named: usize,
    excess_bytes: u64,
    failed: bool,
}

/// What a directory still has to be exported, and where.
struct Below {
    directory: Node,
    path: Path,
    /// Its names, with a `/` after each.
    shown: Vec<u8>,
    names: VecDeque<Vec<u8>>,
}

/// The node that comes next.
enum Current {
    Listing(Box<Listing>),
    Sealing(Box<Sealing>),
}

/// A directory, while it is seen what of it can be exported: who fills a folder is not to keep what is around it from being
/// exported.
struct Listing {
    draft: NodeDraft,
    directory: Node,
    path: Path,
    /// Its names, with a `/` after each.
    shown: Vec<u8>,
    entries: Vec<directory::Entry>,
    /// Names that were listed and not looked at yet.
    names: VecDeque<Vec<u8>>,
    /// Where the next page of it begins; nothing where there is none.
    cursor: Option<u64>,
    /// A file that is being read through, its name, and how far it is.
    reading: Option<(Node, Vec<u8>, u64)>,
    /// What is left out and was not named.
    unnamed: u64,
}

impl Listing {
    /// Of the directory itself.
    fn shown(&self) -> Vec<u8> {
        self.shown.strip_suffix(b"/").map_or_else(|| b".".to_vec(), <[u8]>::to_vec)
    }
}

/// The node that is on its way.
struct Sealing {
    node: NodeDraft,
    source: Source,
    offset: u64,
    state: State,
}

enum Source {
    File(Node),
    /// A directory's content is made whole.
    Bytes(Zeroizing<Vec<u8>>),
}

enum State {
    Content(Box<ContentSealer>),
    Whole(SealedContent),
}

/// What drafts are made of.
struct NodeDraft {
    readable: Readable,
    kind: caps::Kind,
    version: u64,
    attributes: Attributes,
    readers: Vec<ReaderPublic>,
}

impl NodeDraft {
    fn draft(&self) -> Draft<'_> {
        Draft {
            readable: &self.readable,
            kind: self.kind,
            version: self.version,
            attributes: self.attributes,
            readers: &self.readers,
            chain: None,
        }
    }
}

/// Kept for as long as it is exported.
struct Snapshot {
    store: Store,
    of: Node,
    id: u64,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // What stays is listed with its label, and a person can drop it.
        let _ = self.store.drop_snapshot(&self.of, self.id);
    }
}

impl Export {
    pub(super) fn begin(store: &Store, top: Located, number: u64, now_ms: u64) -> Result<Export, OutsideError> {
        Export::begin_within(LIMITS, store, top, (number, now_ms))
    }

    fn begin_within(
        limits: Limits,
        store: &Store,
        top: Located,
        (number, now_ms): (u64, u64),
    ) -> Result<Export, OutsideError> {
        let signer = StoreSigner::of(store)?;
        // A file is shown by way of the directory that it is in.
        let (of, name) = match (top.node.kind(), &top.parent) {
            (Kind::File, Some((parent, name))) => (parent.clone(), Some(name)),
            _ => (top.node.clone(), None),
        };
        let taken = store.snapshot(&of, LABEL)?;
        let snapshot = Snapshot { store: store.clone(), of: of.clone(), id: taken.id };
        let shown = store.open_snapshot(&of, taken.id)?;
        let node = match name {
            Some(name) => store.find(&shown, name)?,
            None => shown,
        };
        let mut export = Export {
            store: store.clone(),
            signer,
            number,
            now_ms,
            _snapshot: snapshot,
            waiting: vec![],
            current: None,
            limits,
            named: 0,
            excess_bytes: 0,
            failed: false,
        };
        if node.kind() == Kind::File && export.excess(&node)? > FILE_EXCESS_BYTES {
            return Err(OutsideError::MostlyHole);
        }
        export.start(node, top.path, Vec::new())?;
        Ok(export)
    }

    /// What comes next.
    ///
    /// # Errors
    /// Those of the store, of the keys and of sealing. After one there is only [`OutsideError::Ended`].
    pub fn next_piece(&mut self) -> Result<Piece, OutsideError> {
        if self.failed {
            return Err(OutsideError::Ended);
        }
        let piece = self.step();
        self.failed = piece.is_err();
        piece
    }

    fn step(&mut self) -> Result<Piece, OutsideError> {
        let sealing = match self.current.take() {
            Some(Current::Sealing(sealing)) => *sealing,
            Some(Current::Listing(listing)) => return self.list(listing),
            None if self.start_next()? => return self.step(),
            None => return Ok(Piece::End),
        };
        match sealing.state {
            State::Content(sealer) => self.seal(sealing.node, sealing.source, sealing.offset, sealer),
            State::Whole(content) => {
                let draft = sealing.node.draft();
                Ok(Piece::Metadata(finish(&draft, &content, &self.signer, &mut SystemEntropy)?))
            }
        }
    }

    fn seal(
        &mut self,
        node: NodeDraft,
        source: Source,
        offset: u64,
        mut sealer: Box<ContentSealer>,
    ) -> Result<Piece, OutsideError> {
        let plain = self.plain(&source, offset)?;
        let mut sealed = Vec::with_capacity(plain.len() + plain.len() / 512);
        sealer.push(&plain, &mut sealed)?;
        let offset = offset + plain.len() as u64;
        let state = if plain.len() < PIECE_PLAIN_BYTES {
            State::Whole(sealer.end(&mut sealed)?)
        } else {
            State::Content(sealer)
        };
        self.current = Some(Current::Sealing(Box::new(Sealing { node, source, offset, state })));
        if sealed.is_empty() { self.step() } else { Ok(Piece::Content(sealed)) }
    }

    /// The next plain bytes; fewer than a piece has at the end only.
    fn plain(&self, source: &Source, offset: u64) -> Result<Zeroizing<Vec<u8>>, OutsideError> {
        match source {
            Source::Bytes(bytes) => {
                let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let end = begin.saturating_add(PIECE_PLAIN_BYTES).min(bytes.len());
                Ok(Zeroizing::new(bytes[begin..end].to_vec()))
            }
            Source::File(node) => {
                let mut plain = Zeroizing::new(vec![0; PIECE_PLAIN_BYTES]);
                let mut filled = 0;
                while filled < plain.len() {
                    match self.store.read(node, offset + filled as u64, &mut plain[filled..])? {
                        0 => break,
                        read => filled += read,
                    }
                }
                plain.truncate(filled);
                Ok(plain)
            }
        }
    }

    fn start_next(&mut self) -> Result<bool, OutsideError> {
        while let Some(below) = self.waiting.last_mut() {
            let Some(name) = below.names.pop_front() else {
                self.waiting.pop();
                continue;
            };
            let node = self.store.find(&below.directory, &name)?;
            let path = below.path.child(id(&node))?;
            let shown = [&below.shown[..], &name, b"/"].concat();
            self.start(node, path, shown)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Makes a node the one that is on its way.
    fn start(&mut self, node: Node, path: Path, shown: Vec<u8>) -> Result<(), OutsideError> {
        let metadata = self.store.stat(&node)?;
        let note = Note::decode(&self.store.note(&node)?)?;
        let readers = note.readers.iter().filter(|reader| reader.reads(self.now_ms));
        let draft = NodeDraft {
            readable: readable(&node, path.clone(), &self.signer)?,
            kind: kind(node.kind()),
            version: self.number,
            attributes: Attributes { modified_ns: metadata.modified_ns, executable: metadata.executable },
            readers: readers.map(|reader| reader.key).collect(),
        };
        if node.kind() == Kind::File {
            return self.begin_sealing(draft, Source::File(node));
        }
        self.current = Some(Current::Listing(Box::new(Listing {
            draft,
            directory: node,
            path,
            shown,
            entries: Vec::new(),
            names: VecDeque::new(),
            cursor: Some(0),
            reading: None,
            unnamed: 0,
        })));
        Ok(())
    }

    fn begin_sealing(&mut self, node: NodeDraft, source: Source) -> Result<(), OutsideError> {
        let sealer = ContentSealer::new(&node.draft(), &mut SystemEntropy)?;
        let state = State::Content(Box::new(sealer));
        self.current = Some(Current::Sealing(Box::new(Sealing { node, source, offset: 0, state })));
        Ok(())
    }

    /// Goes on with a directory, up to the next that is left out, or until enough was read for once.
    fn list(&mut self, mut listing: Box<Listing>) -> Result<Piece, OutsideError> {
        let mut read = 0;
        loop {
            let hindrance = if let Some((child, name, offset)) = listing.reading.take() {
                if read >= READ_AT_ONCE_BYTES {
                    listing.reading = Some((child, name, offset));
                    self.current = Some(Current::Listing(listing));
                    return Ok(Piece::Content(Vec::new()));
                }
                match self.plain(&Source::File(child.clone()), offset) {
                    Ok(plain) if plain.len() == PIECE_PLAIN_BYTES => {
                        read += plain.len() as u64;
                        listing.reading = Some((child, name, offset + plain.len() as u64));
                        continue;
                    }
                    Ok(plain) => {
                        read += plain.len() as u64;
                        listing.entries.push(Self::entry(&child, &listing.draft.readable, name)?);
                        continue;
                    }
                    Err(error) => (name, if_damaged(error)?),
                }
            } else if let Some(name) = listing.names.pop_front() {
                match self.look_at(&listing, &name) {
                    Ok(Ok(child)) if child.kind() == Kind::File => {
                        listing.reading = Some((child, name, 0));
                        continue;
                    }
                    Ok(Ok(child)) => {
                        listing.entries.push(Self::entry(&child, &listing.draft.readable, name)?);
                        continue;
                    }
                    Ok(Err(why)) => (name, why),
                    Err(error) => (name, if_damaged(error)?),
                }
            } else if let Some(cursor) = listing.cursor.take() {
                let page = self.store.list(&listing.directory, cursor, 0)?;
                listing.cursor = (!page.end).then_some(page.cursor);
                listing.names.extend(page.entries.into_iter().map(|entry| entry.name));
                match page.damaged {
                    Some(_) => (Vec::new(), ENTRY_DAMAGED),
                    None => continue,
                }
            } else {
                return self.end_list(listing);
            };
            let (name, why) = hindrance;
            if self.named == self.limits.named {
                listing.unnamed += 1;
                continue;
            }
            self.named += 1;
            let path = if name.is_empty() { listing.shown() } else { [&listing.shown[..], &name].concat() };
            self.current = Some(Current::Listing(listing));
            return Ok(Piece::LeftOut { path, why: why.into() });
        }
    }

    /// All of a directory was looked at: it is the node that is on its way.
    fn end_list(&mut self, mut listing: Box<Listing>) -> Result<Piece, OutsideError> {
        let unnamed = std::mem::take(&mut listing.unnamed);
        if unnamed > 0 {
            let path = listing.shown();
            self.current = Some(Current::Listing(listing));
            return Ok(Piece::LeftOut { path, why: format!("{unnamed} more in it are left out and not named").into() });
        }
        let Listing { draft, directory, path, shown, entries, .. } = *listing;
        let bytes = Zeroizing::new(directory::encode(&entries)?);
        let names = entries.into_iter().map(|entry| entry.name).collect();
        self.waiting.push(Below { directory, path, shown, names });
        self.begin_sealing(draft, Source::Bytes(bytes))?;
        self.step()
    }

    /// Something in a directory, or why it is left out.
    fn look_at(&mut self, listing: &Listing, name: &[u8]) -> Result<Result<Node, &'static str>, OutsideError> {
        if listing.entries.len() >= self.limits.entries {
            return Ok(Err(TOO_MANY));
        }
        let child = self.store.find(&listing.directory, name)?;
        if listing.path.child(id(&child)).is_err() {
            return Ok(Err(TOO_DEEP));
        }
        // What is needed once it is the node that is on its way.
        self.store.stat(&child)?;
        Note::decode(&self.store.note(&child)?)?;
        if child.kind() == Kind::File {
            let excess = self.excess(&child)?;
            if excess > FILE_EXCESS_BYTES {
                return Ok(Err(MOSTLY_HOLE));
            }
            if excess > self.limits.excess_bytes - self.excess_bytes {
                return Ok(Err(TOO_MANY_HOLES));
            }
            self.excess_bytes += excess;
        }
        Ok(Ok(child))
    }

    /// How many bytes a file is longer than it may be for what of it is stored.
    fn excess(&self, file: &Node) -> Result<u64, OutsideError> {
        let size = self.store.stat(file)?.size;
        let stored = self.store.stored_bytes(file, size.div_ceil(TIMES_STORED))?;
        Ok(size.saturating_sub(stored.saturating_mul(TIMES_STORED)))
    }

    fn entry(child: &Node, readable: &Readable, name: Vec<u8>) -> Result<directory::Entry, OutsideError> {
        let outside = child.outside_key()?;
        let key = caps::NodeKey::from_bytes(*outside.key);
        let key = WrappedKey::wrap(readable, id(child), outside.generation, &key, &mut SystemEntropy)?;
        Ok(directory::Entry { name, kind: kind(child.kind()), key })
    }

    /// The key that everything is signed with, whose hash is the store's name.
    #[must_use]
    pub fn root(&self) -> caps::Principal {
        self.signer.public_key().principal()
    }
}

fn kind(kind: Kind) -> caps::Kind {
    match kind {
        Kind::File => caps::Kind::File,
        Kind::Directory => caps::Kind::Directory,
    }
}

/// Why something is left out that does not open. Whatever else it is ends the export.
fn if_damaged(error: OutsideError) -> Result<&'static str, OutsideError> {
    match error {
        OutsideError::Store(StoreError::Damaged(_)) | OutsideError::Note => Ok(DAMAGED),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests;
