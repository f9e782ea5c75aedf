//! Sealing a part of the tree, node by node and piece by piece, from a snapshot of it.

use std::collections::VecDeque;

use caps::directory::{self, WrappedKey};
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
const MOSTLY_HOLE: &str =
    "it is mostly a hole, which an export would write out as zeros: export it by itself, if that is wanted";
/// What a snapshot is called that an export shows, should the process end before it is dropped.
const LABEL: &str = "an export under way";

/// The next part of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Sealed bytes of the node that is on its way.
    Content(Vec<u8>),
    /// Its metadata: it is whole.
    Metadata(Vec<u8>),
    /// Something that is in the directory which comes next, and not in what is exported of it.
    LeftOut {
        /// Its names, with `/` between them, from what is exported on.
        path: Vec<u8>,
        /// For people.
        why: &'static str,
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
    current: Option<Sealing>,
    left_out: VecDeque<(Vec<u8>, &'static str)>,
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

/// A directory's content, and the names in it.
type Listed = (Zeroizing<Vec<u8>>, VecDeque<Vec<u8>>);

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
            left_out: VecDeque::new(),
            failed: false,
        };
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
        if let Some((path, why)) = self.left_out.pop_front() {
            return Ok(Piece::LeftOut { path, why });
        }
        let Some(sealing) = self.current.take() else {
            return match self.start_next()? {
                true => self.step(),
                false => Ok(Piece::End),
            };
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
        self.current = Some(Sealing { node, source, offset, state });
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
        let source = match node.kind() {
            Kind::File => Source::File(node),
            Kind::Directory => {
                let (bytes, names) = self.directory(&node, &draft.readable, &shown)?;
                self.waiting.push(Below { directory: node, path, shown, names });
                Source::Bytes(bytes)
            }
        };
        let sealer = ContentSealer::new(&draft.draft(), &mut SystemEntropy)?;
        self.current = Some(Sealing { node: draft, source, offset: 0, state: State::Content(Box::new(sealer)) });
        Ok(())
    }

    fn directory(&mut self, directory: &Node, readable: &Readable, shown: &[u8]) -> Result<Listed, OutsideError> {
        let mut entries = Vec::new();
        let mut cursor = 0;
        loop {
            let page = self.store.list(directory, cursor, 0)?;
            if let Some(why) = page.damaged {
                return Err(StoreError::Damaged(why).into());
            }
            for entry in page.entries {
                let child = self.store.find(directory, &entry.name)?;
                match self.hindrance(&child, readable)? {
                    Some(why) => self.left_out.push_back(([shown, &entry.name].concat(), why)),
                    None => entries.push(Self::entry(&child, readable, entry.name)?),
                }
            }
            if page.end {
                break;
            }
            cursor = page.cursor;
        }
        let bytes = Zeroizing::new(directory::encode(&entries)?);
        Ok((bytes, entries.into_iter().map(|entry| entry.name).collect()))
    }

    /// Why something in a directory is left out: who fills a folder is not to keep what is around it from being exported.
    fn hindrance(&self, child: &Node, directory: &Readable) -> Result<Option<&'static str>, OutsideError> {
        Ok(if directory.path.child(id(child)).is_err() {
            Some(TOO_DEEP)
        } else if child.kind() == Kind::File && self.store.is_mostly_hole(child)? {
            Some(MOSTLY_HOLE)
        } else {
            None
        })
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
