//! Compaction.
use super::error::Outcome;
use super::shared::Shared;
impl Shared {
    pub(crate) fn compact(&self, _all: bool) -> Outcome<u64> {
        Ok(0)
    }
}
