//! What ends a life of the store.

use crate::seed::Draw;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Disaster {
    /// The store is killed after so many acknowledgements.
    Kill(u64),
    /// It is killed where it passes that point for the n-th time.
    Point(&'static str, usize),
    /// The keys are killed after so many acknowledgements and come back; then the store is killed.
    Keys(u64),
    /// Both are killed.
    Both(u64),
    /// It is stopped in order, and killed at that point where it passes it.
    Stop(Option<&'static str>),
}

/// Passed while things are written.
pub(crate) const WRITING: &[&str] = &["frame.write", "frame.torn", "frame.written", "frame.indexed"];
/// Passed where something is made sure of.
pub(crate) const COMMITTING: &[&str] = &["commit.signed", "commit.written", "commit.synced", "commit.noted"];
/// Passed where a segment is full.
pub(crate) const SEGMENTS: &[&str] = &["segment.made", "segment.begun"];
/// Passed where one is given up.
pub(crate) const COMPACTING: &[&str] =
    &["compaction.copied", "compaction.committed", "compaction.listed", "compaction.remove", "compaction.removed"];
/// Passed by a store that is stopped in order.
pub(crate) const CLOSING: &[&str] = &["close.committed", "close.flushed", "file.beside"];
/// Passed by one that is opened, where it finds a torn end, an index that is behind, or none.
pub(crate) const OPENING: &[&str] = &["open.cut", "open.behind", "open.half_built"];

impl Disaster {
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let moment = 1 + draw.below(70) as u64;
        match draw.below(40) {
            0..=11 => Self::Kill(moment),
            12..=19 => Self::Point(draw.pick::<&str>(WRITING), 1 + draw.below(60)),
            20..=26 => Self::Point(draw.pick::<&str>(COMMITTING), 1 + draw.below(8)),
            27..=29 => Self::Point(draw.pick::<&str>(SEGMENTS), 1),
            30..=33 => Self::Point(draw.pick::<&str>(COMPACTING), 1),
            34 => Self::Keys(moment),
            35 => Self::Both(moment),
            36 => Self::Stop(None),
            _ => Self::Stop(Some(*draw.pick::<&str>(CLOSING))),
        }
    }

    /// After how many acknowledgements the test acts. A point that is not passed until then is not passed.
    pub(crate) fn moment(&self) -> u64 {
        match self {
            Self::Kill(moment) | Self::Keys(moment) | Self::Both(moment) => *moment,
            Self::Point(..) => 150,
            Self::Stop(_) => 30,
        }
    }
}
