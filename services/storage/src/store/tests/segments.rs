//! What somebody sees who has the disk and no key: segments of frames.

use std::path::{Path, PathBuf};

use super::super::format::{FRAME_HEAD_BYTES, FrameHead, SEGMENT_HEAD_BYTES, items};
use super::super::format::{ItemKind, number_of};

/// A frame, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Of its segment.
    pub(super) number: u32,
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) sequence: u64,
    pub(super) kinds: Vec<ItemKind>,
}

pub(super) fn segment(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("segments/{number:08}.seg"))
}

/// The numbers of the segments that there are.
pub(super) fn numbers(folder: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(folder.join("segments")).unwrap();
    let mut found: Vec<_> =
        entries.filter_map(|entry| number_of(entry.unwrap().file_name().to_str().unwrap())).collect();
    found.sort_unstable();
    found
}

/// All that are whole, in order.
pub(super) fn frames(folder: &Path) -> Vec<Frame> {
    let mut found = Vec::new();
    for number in numbers(folder) {
        let bytes = std::fs::read(segment(folder, number)).unwrap();
        let mut begin = SEGMENT_HEAD_BYTES;
        while let Some((head, _)) = FrameHead::decode(bytes.get(begin..).unwrap_or_default(), None) {
            let end = begin + FRAME_HEAD_BYTES + head.length as usize;
            let payload = &bytes[begin + FRAME_HEAD_BYTES..end];
            let kinds = items(payload).unwrap().into_iter().map(|item| item.head.kind).collect();
            found.push(Frame { number, begin, end, sequence: head.sequence, kinds });
            begin = end;
        }
    }
    found
}

/// Changes a segment's bytes.
pub(super) fn change(folder: &Path, number: u32, by: impl FnOnce(&mut Vec<u8>)) {
    let path = segment(folder, number);
    let mut bytes = std::fs::read(&path).unwrap();
    by(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Takes away what is not needed to open the store.
pub(super) fn forget_index(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder.join("index"));
    let _ = std::fs::remove_file(folder.join("index.marker"));
}
