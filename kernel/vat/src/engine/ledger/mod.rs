//! What each end of a link holds of the other, kept by reading every message both ways before the engine does.
//!
//! The engine (capnp-rpc 0.27) trusts its peer: ids that stand for nothing, promises that resolve to themselves and
//! results that nobody picks up make it panic, loop for ever or grow without end. So every message is checked here,
//! and the link is cut before the engine sees what it cannot bear. Pure: no clock, no IO, nothing asynchronous.

mod incoming;
mod outgoing;

use super::call::Call;
use super::fault::Fault;
use crate::bounds::Bounds;
use crate::link::Tables;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How often one object may be named without being released: far from where the engine's counter would overflow.
const NAMED_LIMIT: u32 = 1 << 30;

/// What is to be done with a message that came in.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The engine gets it.
    Pass,
    /// The engine gets it, as this call.
    Call(Rc<Call>),
    /// Nothing more to do.
    Done,
    /// The other end lets go of the link, with these words.
    Abort(String),
}

/// A finish that the engine is to get, as if it had just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finish {
    pub(crate) question: u32,
    pub(crate) release_results: bool,
}

/// A call of the other end that is not finished.
#[derive(Debug)]
struct Answer {
    call: Rc<Call>,
    held_bytes: usize,
    /// Objects named in its result.
    exports: Vec<u32>,
    /// It came before the result. The engine would forget to answer, and both ends would hold the call for ever; so
    /// it is kept until the result is sent.
    early_finish: Option<Finish>,
}

/// A call of ours.
#[derive(Clone, Copy, Debug, Default)]
struct Question {
    returned: bool,
    finished: bool,
}

/// The tables of one link.
pub(crate) struct Ledger {
    bounds: Bounds,
    answers: HashMap<u32, Answer>,
    held_bytes: usize,
    /// How many calls have come.
    calls: u64,
    questions: HashMap<u32, Question>,
    exports: HashMap<u32, u32>,
    imports: HashMap<u32, u32>,
    embargoes: HashSet<u32>,
    /// Results sent with the word that no finish is needed: a finish may have been on its way for each.
    spare_finishes: u64,
}

impl Ledger {
    pub(crate) fn new(bounds: Bounds) -> Ledger {
        Ledger {
            bounds,
            answers: HashMap::new(),
            held_bytes: 0,
            calls: 0,
            questions: HashMap::new(),
            exports: HashMap::new(),
            imports: HashMap::new(),
            embargoes: HashSet::new(),
            spare_finishes: 0,
        }
    }

    /// Whether that answer is the root that everything begins with, rather than a call's result.
    pub(crate) fn is_root(&self, question: u32) -> bool {
        self.answers.get(&question).is_some_and(|answer| answer.call.depth == 0)
    }

    /// How much there is of everything.
    pub(crate) fn tables(&self) -> Tables {
        Tables {
            unfinished_calls: self.answers.len(),
            unfinished_bytes: self.held_bytes,
            own_calls: self.questions.len(),
            objects_out: self.exports.len(),
            objects_in: self.imports.len(),
        }
    }

    /// Both ends are done with a call.
    fn finished(&mut self, finish: Finish) -> Result<(), Fault> {
        if let Some(answer) = self.answers.remove(&finish.question) {
            self.held_bytes -= answer.held_bytes;
            if finish.release_results {
                for id in answer.exports {
                    self.released(id, 1)?;
                }
            }
        }
        Ok(())
    }

    /// The other end lets go of an object.
    fn released(&mut self, id: u32, count: u32) -> Result<Verdict, Fault> {
        let Some(named) = self.exports.get_mut(&id) else { return Err(Fault::Unknown("it releases object", id)) };
        *named = named.checked_sub(count).ok_or(Fault::Unknown("it releases more than it has of object", id))?;
        if *named == 0 {
            self.exports.remove(&id);
        }
        Ok(Verdict::Pass)
    }
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), Fault> {
    if count > limit { Err(Fault::Bound(what, limit)) } else { Ok(()) }
}
