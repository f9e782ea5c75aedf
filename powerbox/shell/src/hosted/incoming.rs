//! Sealed nodes on their way into a folder.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use caps::sealed_node::Claim;
use caps::{NodeId, Principal};

use super::{CONTENT_SUFFIX, Hosted, NODE_SUFFIX, content_name, node_id, unreadable};
use crate::failure::{Doing as _, Failure, Outcome};

/// Nodes that come one after the other. They take their places together, in [`keep`](Self::keep); without it the folder is left as it was.
pub(crate) struct Incoming {
    folder: PathBuf,
    /// The content that is on its way.
    part: Option<File>,
    nodes: Vec<(NodeId, u64, Vec<u8>)>,
    /// What to take away again.
    made: Vec<PathBuf>,
    bytes: u64,
}

/// What came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) nodes: usize,
    pub(crate) bytes: u64,
}

impl Incoming {
    /// Into this folder, which is made where it is not there.
    pub(crate) fn into(folder: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder).doing(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder: folder.to_owned(), part: None, nodes: Vec::new(), made: Vec::new(), bytes: 0 })
    }

    /// The next bytes of content.
    pub(crate) fn content(&mut self, sealed: &[u8]) -> Outcome {
        let path = self.part_path();
        let writing = || format!("cannot write {}", path.display());
        if self.part.is_none() {
            let part = OpenOptions::new().write(true).create_new(true).open(&path).doing(writing)?;
            self.made.push(path.clone());
            self.part = Some(part);
        }
        self.bytes += sealed.len() as u64;
        self.part.as_mut().map_or(Ok(()), |part| part.write_all(sealed)).doing(writing)
    }

    /// The node whose content has come; which store it says that it is of.
    pub(crate) fn metadata(&mut self, metadata: &[u8]) -> Outcome<Principal> {
        let claim = Claim::read(metadata).map_err(|error| unreadable(&self.folder, error))?;
        if let Some(part) = self.part.take() {
            let path = self.folder.join(content_name(claim.node, claim.version));
            let part_path = self.part_path();
            let kept = part.sync_all().and_then(|()| fs::rename(&part_path, &path));
            kept.doing(|| format!("cannot write {}", path.display()))?;
            self.made.retain(|made| *made != part_path);
            self.made.push(path);
        }
        self.nodes.push((claim.node, claim.version, metadata.to_vec()));
        Ok(claim.root)
    }

    /// All have come: each takes the place of its older version.
    pub(crate) fn keep(mut self) -> Outcome<Kept> {
        if self.part.is_some() {
            return Err(Failure::new("the export ended within a node").next("try again"));
        }
        let part_path = self.part_path();
        let writing = || format!("cannot write into {}", self.folder.display());
        self.sync_folder().doing(writing)?;
        // From here on metadata may need what was made.
        self.made.clear();
        for (node, _, metadata) in &self.nodes {
            let written = File::create_new(&part_path).and_then(|mut file| {
                file.write_all(metadata)?;
                file.sync_all()?;
                fs::rename(&part_path, self.folder.join(format!("{node:?}{NODE_SUFFIX}")))
            });
            if written.is_err() {
                // Half of it is none.
                let _ = fs::remove_file(&part_path);
            }
            written.doing(writing)?;
        }
        self.sync_folder().doing(writing)?;
        let kept = Kept { nodes: self.nodes.len(), bytes: self.bytes };
        self.remove_gone();
        self.remove_older();
        Ok(kept)
    }

    /// Nodes that were below the first one, whose export has everything below it, and have not come: they are there no more. What
    /// cannot be looked at or removed stays.
    fn remove_gone(&self) {
        let Some((top, ..)) = self.nodes.first() else { return };
        let here: HashSet<NodeId> = self.nodes.iter().map(|(node, ..)| *node).collect();
        let hosted = Hosted::new(&self.folder);
        let is_gone = |node: &NodeId| {
            let metadata = hosted.metadata(*node).ok().flatten();
            let place = metadata.and_then(|metadata| hosted.place(&Claim::read(&metadata).ok()?).ok());
            place.is_some_and(|place| place.nodes().contains(top))
        };
        let all = hosted.nodes().unwrap_or_default().into_iter();
        // Looked at before anything is removed, for each says only which directory it is in.
        let gone: HashSet<NodeId> = all.filter(|node| !here.contains(node)).filter(is_gone).collect();
        self.remove_files(|name| {
            let content = || name.strip_suffix(CONTENT_SUFFIX).and_then(|name| name.split_once('-'));
            let node = name.strip_suffix(NODE_SUFFIX).or_else(|| Some(content()?.0));
            node.and_then(node_id).is_some_and(|node| gone.contains(&node))
        });
    }

    /// Content of versions that are no longer there.
    fn remove_older(&self) {
        let now: HashMap<NodeId, u64> = self.nodes.iter().map(|(node, now, _)| (*node, *now)).collect();
        let is_older = |name: &str| {
            let (node, version) = name.strip_suffix(CONTENT_SUFFIX)?.split_once('-')?;
            let now = now.get(&node_id(node)?)?;
            Some(version.parse::<u64>().ok()? < *now)
        };
        self.remove_files(|name| is_older(name) == Some(true));
    }

    /// What cannot be removed is in nobody's way.
    fn remove_files(&self, which: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(&which) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn part_path(&self) -> PathBuf {
        self.folder.join(format!("export.{}.part", std::process::id()))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        for path in &self.made {
            // What cannot be removed belongs to no metadata, and is in nobody's way.
            let _ = fs::remove_file(path);
        }
    }
}
