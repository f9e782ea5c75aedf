//! Whether a call may wait, and what it says where it may not.

use crate::problem::{Problem, Word};

/// Whether a call may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Only what is in memory, without waiting for a disk, another process or a lock: for the RPC thread. What would wait
    /// gives [`Stuck::WouldWait`].
    Memory,
    /// As long as it takes: for a disk thread.
    Disk,
}

impl Patience {
    /// Goes on only where it may wait, for a tree that has nothing in memory.
    ///
    /// # Errors
    /// It would wait.
    pub fn for_disk(self) -> Result<(), Stuck> {
        match self {
            Patience::Memory => Err(Stuck::WouldWait),
            Patience::Disk => Ok(()),
        }
    }
}

/// Why there is no result.
#[derive(Debug)]
pub enum Stuck {
    /// It would have to wait for the disk, or might have to, or names changed at this moment: ask again with
    /// [`Patience::Disk`].
    WouldWait,
    /// It is refused, or failed.
    Problem(Problem),
}

impl From<Problem> for Stuck {
    fn from(problem: Problem) -> Stuck {
        Stuck::Problem(problem)
    }
}

/// What had all the time it needed has no reason to wait.
pub fn patiently<T>(result: Result<T, Stuck>) -> Result<T, Problem> {
    result.map_err(|stuck| match stuck {
        Stuck::Problem(problem) => problem,
        Stuck::WouldWait => {
            Problem::new(Word::Io, "names on the way kept changing, or the file is leased to another process")
        }
    })
}
