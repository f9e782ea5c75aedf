//! Sealed nodes in a folder, as anybody may host them.
//!
//! Each node has two files, both named by its id in hexadecimal digits: `ID.node`, its metadata, and `ID-VERSION.content`, its sealed
//! content. A new version brings a new content file before its metadata takes the place of the old, so whoever reads
//! meanwhile finds a whole one. Nothing here needs a key; everything that is read is taken for hostile.

mod incoming;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use caps::sealed_node::{self, Claim, ContentReader, Expected, METADATA_LIMIT_BYTES, NodeError, Verified};
use caps::{NodeId, PATH_LIMIT_NODES, Principal, Readable};

use crate::failure::{Doing as _, Failure, Outcome};
use crate::text::words::from_hex;

pub(crate) use incoming::Incoming;

const NODE_SUFFIX: &str = ".node";
const CONTENT_SUFFIX: &str = ".content";
/// Read from a content file at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A folder with sealed nodes.
#[derive(Debug, Clone)]
pub(crate) struct Hosted {
    folder: PathBuf,
}

/// Opens what a host put there: a plain file, and nothing for which the opening would wait for somebody else.
fn open_file(path: &Path) -> std::io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is no plain file")) }
}

impl Hosted {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The nodes that have metadata here, by their ids.
    pub(crate) fn nodes(&self) -> Outcome<Vec<NodeId>> {
        let reading = || format!("cannot read {}", self.folder.display());
        let mut nodes = Vec::new();
        for entry in std::fs::read_dir(&self.folder).doing(reading)? {
            let name = entry.doing(reading)?.file_name();
            nodes.extend(name.to_str().and_then(|name| name.strip_suffix(NODE_SUFFIX)).and_then(node_id));
        }
        nodes.sort_unstable();
        Ok(nodes)
    }

    /// Metadata as it lies here; nothing where the node is not here.
    pub(crate) fn metadata(&self, node: NodeId) -> Outcome<Option<Vec<u8>>> {
        let path = self.folder.join(format!("{node:?}{NODE_SUFFIX}"));
        match open_file(&path) {
            Ok(file) => bounded(file, METADATA_LIMIT_BYTES, &path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(format!("cannot read {}", path.display())).because(error)),
        }
    }

    /// Where a node says that it is, as far as what is above it is here as well. Its signer may have been allowed no more than a part of it.
    pub(crate) fn place(&self, claim: &Claim) -> Outcome<caps::Path> {
        let mut nodes = vec![claim.node];
        let mut above = claim.parent;
        while above != NodeId::NONE {
            nodes.push(above);
            if nodes.len() > PATH_LIMIT_NODES {
                return Err(Failure::new(format!("node {:?} lies too deep, or in itself", claim.node)));
            }
            let Some(metadata) = self.metadata(above)? else { break };
            above = Claim::read(&metadata).map_or(NodeId::NONE, |claim| claim.parent);
        }
        nodes.reverse();
        caps::Path::new(&nodes).doing(|| format!("node {:?} has no place", claim.node))
    }

    /// The node there, verified; its content is not looked at yet. Nothing where it is not here.
    pub(crate) fn verified(&self, root: &Principal, path: &caps::Path, now_ms: u64) -> Outcome<Option<Verified>> {
        let Some(metadata) = self.metadata(path.node())? else { return Ok(None) };
        let expected = Expected { root, path, moved_from: None, seen: None, now_ms };
        sealed_node::verify(&metadata, &expected).map(Some).map_err(|error| {
            let failure = refused(path.node(), error);
            match error {
                NodeError::Elsewhere(_) => {
                    failure.next("it was moved since; ask whoever gave you the readcap for a new one")
                }
                _ => failure,
            }
        })
    }

    /// Checks the content of a node.
    pub(crate) fn check(&self, verified: &Verified) -> Outcome {
        self.take(verified, ContentReader::checking(verified), &mut |_| Ok(()))
    }

    /// Opens the content of a node; what comes out counts only if this succeeds.
    pub(crate) fn open(
        &self,
        verified: &Verified,
        readable: &Readable,
        to: &mut dyn FnMut(&[u8]) -> Outcome,
    ) -> Outcome {
        let reader = ContentReader::opening(verified, readable);
        let reader = reader.map_err(|error| refused(verified.node(), error))?;
        self.take(verified, reader, to)
    }

    fn take(
        &self,
        verified: &Verified,
        mut reader: ContentReader<'_>,
        to: &mut dyn FnMut(&[u8]) -> Outcome,
    ) -> Outcome {
        let node = verified.node();
        let path = self.folder.join(content_name(node, verified.version()));
        let reading = || format!("cannot read {}", path.display());
        let mut plain = Vec::new();
        // What has no bytes need not be there.
        if verified.sealed_bytes() > 0 {
            let mut file = open_file(&path).doing(reading)?;
            let mut buffer = vec![0; BUFFER_BYTES];
            loop {
                let read = file.read(&mut buffer).doing(reading)?;
                if read == 0 {
                    break;
                }
                reader.push(&buffer[..read], &mut plain).map_err(|error| refused(node, error))?;
                to(&plain)?;
                plain.clear();
            }
        }
        reader.end(&mut plain).map_err(|error| refused(node, error))?;
        to(&plain)
    }
}

/// Which node is refused, and why.
fn refused(node: NodeId, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("node {node:?} is refused")).because(why)
}

/// Why a node of a file is refused before it is known which.
pub(crate) fn unreadable(path: &Path, error: NodeError) -> Failure {
    Failure::new(format!("{} is refused", path.display())).because(error)
}

fn content_name(node: NodeId, version: u64) -> String {
    format!("{node:?}-{version}{CONTENT_SUFFIX}")
}

/// A node of hexadecimal digits.
pub(crate) fn node_id(digits: &str) -> Option<NodeId> {
    let is_lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    from_hex(digits).filter(|_| is_lower)?.try_into().ok().map(NodeId)
}

/// The whole of a file, which has at most so many bytes.
pub(crate) fn bounded(file: File, limit_bytes: usize, path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(limit_bytes as u64 + 1).read_to_end(&mut bytes);
    read.doing(|| format!("cannot read {}", path.display()))?;
    if bytes.len() > limit_bytes {
        return Err(Failure::new(format!("{} is refused", path.display())).because("it is longer than it may be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_name() {
        let node = NodeId([0xab; 16]);
        assert_eq!(node_id(&format!("{node:?}")), Some(node));
        for other in ["", "ab", &"AB".repeat(16), &"ab".repeat(17), "../../etc/passwd"] {
            assert_eq!(node_id(other), None, "{other}");
        }
        assert_eq!(content_name(node, 7), format!("{}-7.content", "ab".repeat(16)));
    }
}
