//! What a writer's directory must be: a tree in memory, and what can be done to it.

use crate::seed::Draw;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Files by path, with what they contain; directories have nothing.
pub(crate) type Tree = BTreeMap<String, Option<Rc<Vec<u8>>>>;

/// So many files at most, so that a tree is read soon.
const FILES: usize = 8;
const FILE_LIMIT_BYTES: usize = 80 << 10;
/// The store's, which are where most can go wrong.
const SECTOR_BYTES: usize = 16 << 10;

/// One change of a tree.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Create(String),
    MakeDirectory(String),
    Write(String, usize, Rc<Vec<u8>>),
    Append(String, Rc<Vec<u8>>),
    Truncate(String, usize),
    Rename(String, String),
    Remove(String),
}

impl Change {
    /// Draws one that the tree allows.
    pub(crate) fn draw(draw: &mut Draw, tree: &Tree) -> Self {
        let files: Vec<&String> = tree.iter().filter(|(_, node)| node.is_some()).map(|(path, _)| path).collect();
        let folders: Vec<&String> = tree.iter().filter(|(_, node)| node.is_none()).map(|(path, _)| path).collect();
        let (file, name) = (files.get(draw.below(files.len().max(1))), new_path(draw, &folders));
        let taken = tree.contains_key(&name);
        match (draw.below(100), file) {
            (0..=2, _) if folders.len() < 3 => Self::MakeDirectory(format!("d{}", folders.len())),
            // Without a file none has that name.
            (_, None) => Self::Create(name),
            (3..=14, _) if files.len() < FILES && !taken => Self::Create(name),
            (15..=24, Some(file)) if **file != name => Self::Rename((*file).clone(), name),
            (25..=32, Some(file)) if files.len() > 2 => Self::Remove((*file).clone()),
            (33..=40, Some(file)) => Self::Truncate((*file).clone(), place(draw)),
            (41..=65, Some(file)) => Self::Append((*file).clone(), content(draw)),
            (_, Some(file)) => Self::Write((*file).clone(), place(draw), content(draw)),
        }
    }

    /// What becomes of the tree.
    pub(crate) fn apply(&self, tree: &mut Tree) {
        match self {
            Self::Create(path) => drop(tree.insert(path.clone(), Some(Rc::default()))),
            Self::MakeDirectory(path) => drop(tree.insert(path.clone(), None)),
            Self::Write(path, offset, bytes) => change(tree, path, |file| {
                let end = offset + bytes.len();
                file.resize(file.len().max(end), 0);
                file[*offset..end].copy_from_slice(bytes);
            }),
            Self::Append(path, bytes) => change(tree, path, |file| file.extend_from_slice(bytes)),
            Self::Truncate(path, size) => change(tree, path, |file| file.resize(*size, 0)),
            Self::Rename(from, to) => {
                if let Some(node) = tree.remove(from) {
                    tree.insert(to.clone(), node);
                }
            }
            Self::Remove(path) => drop(tree.remove(path)),
        }
    }
}

fn change(tree: &mut Tree, path: &str, act: impl FnOnce(&mut Vec<u8>)) {
    if let Some(Some(file)) = tree.get_mut(path) {
        act(Rc::make_mut(file));
    }
}

fn new_path(draw: &mut Draw, folders: &[&String]) -> String {
    let name = format!("f{}", draw.below(FILES + 4));
    match folders.get(draw.below(folders.len() + 1)) {
        Some(folder) => format!("{folder}/{name}"),
        None => name,
    }
}

/// An offset or a size, most often near where sectors meet.
fn place(draw: &mut Draw) -> usize {
    match draw.below(4) {
        0 => draw.below(FILE_LIMIT_BYTES),
        1 => draw.below(200),
        _ => (draw.below(4) * SECTOR_BYTES + draw.below(3)).saturating_sub(1),
    }
}

/// Bytes that nothing else has.
fn content(draw: &mut Draw) -> Rc<Vec<u8>> {
    let length = match draw.below(8) {
        0 => 1 + draw.below(40 << 10),
        1 | 2 => SECTOR_BYTES - 1 + draw.below(3),
        _ => 1 + draw.below(300),
    };
    let mut bytes = vec![0; length];
    let seed = (draw.below(usize::MAX) as u64).to_le_bytes();
    blake3::Hasher::new().update(&seed).finalize_xof().fill(&mut bytes);
    Rc::new(bytes)
}

/// What differs, for people.
pub(crate) fn difference(found: &Tree, expected: &Tree) -> String {
    let paths: std::collections::BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differ = paths.into_iter().filter(|path| found.get(*path) != expected.get(*path));
    let show = |tree: &Tree, path: &String| match tree.get(path) {
        None => "nothing".to_owned(),
        Some(None) => "a directory".to_owned(),
        Some(Some(bytes)) => format!("{} bytes ({})", bytes.len(), &blake3::hash(bytes).to_hex()[..8]),
    };
    let lines = differ.map(|path| format!("{path}: {} in place of {}", show(found, path), show(expected, path)));
    lines.collect::<Vec<_>>().join("; ")
}
