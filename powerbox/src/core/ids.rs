//! Numbers for processes and links, never used twice in a node's life: blocks of them are recorded as used before any
//! is. Numbers of grants and requests come from the state: their own record is durable before anyone sees them.

use std::rc::Rc;

use super::{Core, THE_NODE, spawn};
use crate::problem::Problem;
use crate::record::Record;

/// How many are reserved at once: a restarted powerbox skips what is left of a block, and 2⁶³ is far away.
const BLOCK: u64 = 100_000;

impl Core {
    /// Makes sure that there are numbers, before the first is needed.
    pub(crate) async fn reserve_ids(&self) -> Result<(), Problem> {
        let up_to = self.state.borrow().reserved.max(self.next_id.get()) + BLOCK;
        self.commit(THE_NODE, Record::Reserved(up_to)).await?;
        Ok(())
    }

    /// A number that was never used.
    pub(crate) fn new_id(self: &Rc<Self>) -> Result<u64, Problem> {
        let id = self.next_id.get();
        let reserved = self.state.borrow().reserved;
        if id > reserved {
            return Err(Problem::Busy("the node has run out of reserved numbers for a moment. Try again".into()));
        }
        self.next_id.set(id + 1);
        if reserved - id == BLOCK / 2 {
            let core = self.clone();
            spawn(async move {
                if let Err(problem) = core.reserve_ids().await {
                    core.warn(problem.to_string());
                }
            });
        }
        Ok(id)
    }
}
