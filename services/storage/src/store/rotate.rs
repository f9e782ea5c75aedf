//! Exchanging keys.
use super::error::Outcome;
use super::node::Node;
use super::shared::Shared;
impl Shared {
    pub(crate) fn rotate(&self, _parent: &Node, _name: &[u8]) -> Outcome<()> {
        todo!()
    }
}
