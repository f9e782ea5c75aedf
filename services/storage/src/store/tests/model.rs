//! Random operations, compared with the same ones on a tree in memory; between them the store is closed, killed, loses its
//! index, or finds an old one.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::{Account, Kind, Node, Outcome, Store, StoreError};
use super::basic::open;
use super::draw::{Draw, seed};

const HISTORIES: u64 = 12;
const OPERATIONS: usize = 250;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    File(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

impl Tree {
    pub(crate) fn empty() -> Self {
        Tree::Directory(BTreeMap::new())
    }

    fn at(&mut self, path: &[Vec<u8>]) -> &mut Tree {
        path.iter().fold(self, |tree, name| match tree {
            Tree::Directory(entries) => entries.get_mut(name).unwrap(),
            Tree::File(_) => panic!("a file on the way"),
        })
    }

    pub(crate) fn entries(&mut self, path: &[Vec<u8>]) -> &mut BTreeMap<Vec<u8>, Tree> {
        match self.at(path) {
            Tree::Directory(entries) => entries,
            Tree::File(_) => panic!("not a directory"),
        }
    }

    /// The paths of all directories.
    fn directories(&self) -> Vec<Vec<Vec<u8>>> {
        let mut found = vec![Vec::new()];
        if let Tree::Directory(entries) = self {
            for (name, below) in entries {
                if matches!(below, Tree::Directory(_)) {
                    found.extend(below.directories().into_iter().map(|path| [vec![name.clone()], path].concat()));
                }
            }
        }
        found
    }
}

pub(crate) fn node_at(store: &Store, path: &[Vec<u8>]) -> Outcome<Node> {
    path.iter().try_fold(store.root(), |node, name| store.find(&node, name))
}

/// All that the store has below a node.
pub(crate) fn read_all(store: &Store, node: &Node) -> Outcome<Tree> {
    if node.kind() == Kind::File {
        let size = usize::try_from(store.stat(node)?.size).unwrap();
        let mut bytes = vec![0; size];
        assert_eq!(store.read(node, 0, &mut bytes)?, size);
        return Ok(Tree::File(bytes));
    }
    let mut entries = BTreeMap::new();
    let mut cursor = 0;
    loop {
        let page = store.list(node, cursor, 3)?;
        for entry in page.entries {
            let below = read_all(store, &store.find(node, &entry.name)?)?;
            assert!(entries.insert(entry.name, below).is_none(), "a name is listed twice");
        }
        if page.end {
            return Ok(Tree::Directory(entries));
        }
        cursor = page.cursor;
    }
}

const ACCOUNTS: [&[Account]; 3] = [
    &[],
    &[Account { grant: 5, quota_bytes: u64::MAX }, Account { grant: 2, quota_bytes: u64::MAX }],
    &[Account { grant: 7, quota_bytes: u64::MAX }],
];

pub(crate) struct Model {
    pub(crate) tree: Tree,
    snapshots: Vec<(Vec<Vec<u8>>, u64, Tree)>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self { tree: Tree::empty(), snapshots: Vec::new() }
    }

    /// One operation on both. What fails has to leave both as they were.
    pub(crate) fn step(&mut self, store: &Store, draw: &mut Draw) -> Outcome<()> {
        let directories = self.tree.directories();
        let path = directories[draw.below(directories.len())].clone();
        let directory = node_at(store, &path)?;
        let name = vec![b'a' + draw.below(5) as u8];
        let accounts = ACCOUNTS[draw.below(3)];
        let entries = self.tree.entries(&path);
        let found = entries.get(&name).cloned();
        match (draw.below(16), found) {
            (0..=3, None) => {
                let kind = if draw.below(3) == 0 { Kind::Directory } else { Kind::File };
                store.create(&directory, &name, kind, accounts)?;
                let new = if kind == Kind::File { Tree::File(Vec::new()) } else { Tree::empty() };
                entries.insert(name, new);
            }
            (0..=8, Some(Tree::File(mut bytes))) => {
                let file = store.find(&directory, &name)?;
                match draw.below(4) {
                    0 => {
                        let size = draw.below(100_000);
                        store.truncate(&file, size as u64, accounts)?;
                        bytes.resize(size, 0);
                    }
                    1 => {
                        let length = draw.below(3_000);
                        let more = draw.bytes(length);
                        assert_eq!(store.append(&file, &more, accounts)?, bytes.len() as u64);
                        bytes.extend_from_slice(&more);
                    }
                    _ => {
                        let (offset, length) = (draw.below(120_000), draw.below(50_000));
                        let more = vec![draw.below(255) as u8 + 1; length];
                        store.write(&file, offset as u64, &more, accounts)?;
                        if length > 0 {
                            bytes.resize(bytes.len().max(offset + length), 0);
                            bytes[offset..offset + length].copy_from_slice(&more);
                        }
                    }
                }
                entries.insert(name, Tree::File(bytes));
            }
            (9 | 10, Some(_)) => match store.remove(&directory, &name) {
                Ok(()) => drop(entries.remove(&name)),
                Err(StoreError::NotEmpty) => {}
                Err(error) => return Err(error),
            },
            (11 | 12, Some(moved)) => {
                let to = directories[draw.below(directories.len())].clone();
                let to_name = vec![b'a' + draw.below(5) as u8];
                let to_node = node_at(store, &to)?;
                let replace = draw.below(2) == 0;
                match store.rename(&directory, &name, &to_node, &to_name, replace, accounts) {
                    Ok(()) => {
                        self.tree.entries(&path).remove(&name);
                        self.tree.entries(&to).insert(to_name, moved);
                    }
                    Err(
                        StoreError::Exists
                        | StoreError::BelowItself
                        | StoreError::NotEmpty
                        | StoreError::IsDirectory
                        | StoreError::NotDirectory,
                    ) => {}
                    Err(error) => return Err(error),
                }
            }
            (13, _) if self.snapshots.len() < 6 => {
                let snapshot = store.snapshot(&directory, "kept")?;
                self.snapshots.push((path.clone(), snapshot.id, self.tree.at(&path).clone()));
            }
            (14, _) if !self.snapshots.is_empty() => {
                let at = draw.below(self.snapshots.len());
                let (path, id, _) = &self.snapshots[at];
                // What it was taken of may have another name now.
                if let Ok(directory) = node_at(store, path)
                    && store.drop_snapshot(&directory, *id).is_ok()
                {
                    self.snapshots.remove(at);
                }
            }
            (15, Some(_)) if draw.below(3) == 0 => store.rotate(&directory, &name)?,
            (15, _) if draw.below(3) == 0 => drop(store.compact()?),
            (15, _) => store.sync()?,
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn compare(&self, store: &Store) {
        assert!(read_all(store, &store.root()).unwrap() == self.tree, "the store is not as the model");
        for (path, id, tree) in &self.snapshots {
            let Ok(directory) = node_at(store, path) else { continue };
            let Ok(opened) = store.open_snapshot(&directory, *id) else { continue };
            assert!(read_all(store, &opened).unwrap() == *tree, "snapshot {id} of {path:?} is not as it was");
        }
    }
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The rows of the index that say what is stored, for people who look for the difference.
fn all_rows(store: &Store) -> std::collections::BTreeSet<String> {
    let mut rows = std::collections::BTreeSet::new();
    let index = store.shared().index.read().unwrap();
    let add = |key: &[u8], value: &[u8]| {
        let letter = char::from(key[0]);
        if !"PGDCQAK".contains(letter) {
            let sequence = super::super::index::split(key).map_or(0, |(_, sequence)| sequence);
            rows.insert(format!("{letter} {} {sequence} {}", super::super::node::hex(&key[1..]), value.len()));
        }
        Ok(true)
    };
    index.as_ref().unwrap().scan(&[], &[], add).unwrap();
    rows
}

/// What is noted as kept for a snapshot is there, and is noted once.
fn notes_fit(store: &Store) {
    let index = store.shared().index.read().unwrap();
    let index = index.as_ref().unwrap();
    let mut noted = std::collections::BTreeSet::new();
    let look = |note: &[u8], _: &[u8]| {
        let row = &note[17..];
        assert!(index.get(row)?.is_some(), "a row is noted that is not there");
        assert!(noted.insert(row.to_vec()), "a row is noted twice");
        Ok(true)
    };
    index.scan(&[super::super::index::KEPT], &[], look).unwrap();
}

#[test]
fn the_store_does_what_a_tree_in_memory_does() {
    let seed = seed();
    for history in 0..HISTORIES {
        println!("history {history}");
        let draw = &mut Draw(seed ^ history << 32);
        let folder = tempfile::tempdir().unwrap();
        let (index, old_index) = (folder.path().join("index"), folder.path().join("old"));
        let (mut store, _) = open(folder.path());
        let mut model = Model::new();
        for operation in 0..OPERATIONS {
            model.step(&store, draw).unwrap_or_else(|error| panic!("history {history}, {operation}: {error:?}"));
            if draw.below(40) != 0 {
                continue;
            }
            notes_fit(&store);
            let before = store.status();
            let rows = all_rows(&store);
            let way = draw.below(5);
            if way > 0 {
                store.abandon();
            } else {
                drop(store);
            }
            match way {
                2 => std::fs::remove_dir_all(&index).unwrap(),
                3 => {
                    let _ = std::fs::remove_dir_all(&old_index);
                    copy_folder(&index, &old_index);
                }
                4 if old_index.exists() => {
                    std::fs::remove_dir_all(&index).unwrap();
                    copy_folder(&old_index, &index);
                }
                _ => {}
            }
            let opened;
            (store, opened) = open(folder.path());
            assert!(opened.damage.is_empty() && opened.cut_off.is_none(), "{opened:?}");
            model.compare(&store);
            notes_fit(&store);
            let after = store.status();
            if before.accounts != after.accounts {
                let new = all_rows(&store);
                rows.iter().filter(|row| !new.contains(row.as_str())).for_each(|row| println!("- {row}"));
                new.iter().filter(|row| !rows.contains(row.as_str())).for_each(|row| println!("+ {row}"));
            }
            assert_eq!(
                (before.accounts, before.files, before.directories, before.snapshots),
                (after.accounts, after.files, after.directories, after.snapshots),
                "history {history}, operation {operation}, way {way}: {opened:?}"
            );
        }
        model.compare(&store);
    }
}
