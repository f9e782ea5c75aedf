//! What a reader does with a readcap: opens it, finds its node in a folder, and goes on to what is in it.

use std::path::{Path, PathBuf};

use caps::directory::{self, Entry};
use caps::readcap::{READCAP_LIMIT_BYTES, Readcap, ReadcapError, narrow};
use caps::sealed_node::Verified;
use caps::{Kind, Principal, Readable, ReaderSecret};
use clap::Args;

use super::{describe, keys, parse};
use crate::failure::{Failure, Outcome};
use crate::hosted::Hosted;
use crate::text::time::now_ms;

/// The content of the largest directory: mark, format, number, and 2^20 entries of the longest names.
const DIRECTORY_LIMIT_BYTES: u64 = 9 + (1 << 20) * (1 + 255 + 1 + 16 + 4 + 72);

const EXPORTED: &str = "--from names the folder that it was exported to, or a copy of it";

/// With what, and from where.
#[derive(Debug, Args)]
pub(super) struct From {
    /// What you were given
    #[arg(value_name = "READCAP")]
    pub(super) readcap: PathBuf,
    /// Your key [default: that of `latch cap reader-key`]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The folder with the sealed nodes
    #[arg(long = "from", value_name = "DIR")]
    folder: PathBuf,
    /// The store that it has to be of: its root principal
    #[arg(long, value_name = "PRINCIPAL", value_parser = parse::key)]
    root: Option<[u8; 32]>,
}

/// A readcap in use.
pub(super) struct Reading {
    pub(super) readcap: Readcap,
    hosted: Hosted,
    now_ms: u64,
}

/// A node that can be read, and is what was signed.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) readable: Readable,
    pub(super) verified: Verified,
}

impl From {
    /// Opens the readcap and finds its node. The readcap's key may be an older one: who is a reader still finds the new one in the
    /// node.
    pub(super) fn begin(&self) -> Outcome<(Reading, Found)> {
        if !self.folder.is_dir() {
            return Err(Failure::new(format!("there is no folder {}", self.folder.display())).next(EXPORTED));
        }
        let now_ms = now_ms();
        let path = &self.readcap;
        let bytes = parse::read(path, READCAP_LIMIT_BYTES)?;
        let readcap = Readcap::verify(&bytes, now_ms).map_err(|error| explain(parse::refused(path, error), error))?;
        if self.root.is_some_and(|root| Principal(root) != readcap.root()) {
            return Err(parse::refused(path, format!("it is for the store {}", readcap.root())));
        }
        let reader = keys::load_reader(self.key.as_deref())?;
        let readable = readcap.open(&reader).map_err(|error| explain(parse::refused(path, error), error))?;
        let reading = Reading { readcap, hosted: Hosted::new(&self.folder), now_ms };
        let verified = reading.verified(&readable)?;
        let readable = reading.with_newest_key(readable, &verified, &reader)?;
        Ok((reading, Found { readable, verified }))
    }
}

fn explain(failure: Failure, error: ReadcapError) -> Failure {
    match error {
        ReadcapError::Expired => failure.next("ask whoever gave it for a new one"),
        ReadcapError::NotForThisReader => failure.next("--key names the file with the key that it was given to"),
        ReadcapError::Malformed(_) | ReadcapError::Forged => failure,
    }
}

impl Reading {
    fn verified(&self, readable: &Readable) -> Outcome<Verified> {
        self.hosted.verified(&readable.root, &readable.path, self.now_ms)?.ok_or_else(|| {
            Failure::new(format!("node {:?} is not in this folder", readable.path.node())).next(EXPORTED)
        })
    }

    fn with_newest_key(&self, readable: Readable, verified: &Verified, reader: &ReaderSecret) -> Outcome<Readable> {
        if readable.generation == verified.generation() {
            return Ok(readable);
        }
        let newer = verified.find_key(reader);
        newer.map(|newer| Readable { expires_ms: readable.expires_ms, ..newer }).ok_or_else(|| {
            Failure::new("what is here cannot be read with this readcap")
                .because("its key was exchanged since, and you are not among its readers")
                .next("ask whoever gave it for a new one")
        })
    }

    /// What is in a directory, in the order of the names.
    pub(super) fn entries(&self, found: &Found) -> Outcome<Vec<Entry>> {
        if found.verified.size_bytes() > DIRECTORY_LIMIT_BYTES {
            return Err(Failure::new("a folder is refused").because("it is longer than one may be"));
        }
        let mut content = zeroize::Zeroizing::new(Vec::new());
        self.read(found, &mut |plain| {
            content.extend_from_slice(plain);
            Ok(())
        })?;
        directory::decode(&content).map_err(|error| Failure::new("a folder is refused").because(error))
    }

    /// What an entry of a directory leads to.
    pub(super) fn below(&self, directory: &Found, entry: &Entry) -> Outcome<Found> {
        let readable = narrow(&directory.readable, &entry.key);
        let readable = readable.map_err(|error| Failure::new("its key is refused").because(error))?;
        let verified = self.verified(&readable)?;
        if verified.generation() != readable.generation {
            return Err(Failure::new("it cannot be read by way of this folder")
                .because("its key was exchanged after this folder was exported")
                .next("ask whoever hosts it to export the whole folder anew"));
        }
        if verified.kind() != entry.kind {
            return Err(Failure::new("it is refused").because("the folder says that it is another kind of thing"));
        }
        Ok(Found { readable, verified })
    }

    /// What is at a path of names below.
    pub(super) fn find(&self, top: &Found, path: &Path) -> Outcome<Found> {
        let mut found = top.clone();
        for name in path.components() {
            let name = name.as_os_str();
            let missing = || Failure::new(format!("there is nothing called {} in it", path.display()));
            if found.verified.kind() != Kind::Directory {
                return Err(missing());
            }
            let entries = self.entries(&found)?;
            let entry = entries.iter().find(|entry| entry.name == std::os::unix::ffi::OsStrExt::as_bytes(name));
            found = self.below(&found, entry.ok_or_else(missing)?)?;
        }
        Ok(found)
    }

    /// Opens the content; what comes out counts only if this succeeds.
    pub(super) fn read(&self, found: &Found, to: &mut dyn FnMut(&[u8]) -> Outcome) -> Outcome {
        self.hosted.open(&found.verified, &found.readable, to)
    }

    /// Who gave it, where that was not the store itself.
    pub(super) fn warning(&self) -> Option<String> {
        let by_root = self.readcap.is_by_root();
        (!by_root)
            .then(|| format!("note: the readcap was signed by {}", describe::issuer(&self.readcap.issuer(), by_root)))
    }
}
