//! What a peer is told, and what it answers.

use super::engine::Engine;
use super::witness::Verdict;
use serde::{Deserialize, Serialize};

/// What a served object does for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Nothing: it answers.
    Answer,
    /// Computes for so long before it answers, within one turn, and bears witness of it: as asynchronous functions do,
    /// or already in the function that makes the future (`eager`).
    Compute { nanoseconds: u64, eager: bool },
}

/// How a client calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Load {
    /// One call at a time; the answer is the time of each.
    OneAtATime { calls: u32 },
    /// So many calls at any time, each on an object picked at random; the answer is the time of all.
    Deep { calls: u32, depth: u32 },
    /// One call on every object, one after the other; the answer is the time of each.
    EachOnce,
}

/// What a peer is told. The descriptors of links come with the order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Be the server end of so many links.
    Serve { links: u32, engine: Engine, work: Work },
    /// Be the client end of so many links, and get so many objects from each (0: the root only).
    Connect { links: u32, engine: Engine, objects: u32 },
    /// Let go of every link, as client.
    Disconnect,
    /// Call the objects; answers when done.
    Call(Load),
    /// Call so many deep until told to stop or until the links end; answers at once.
    Flood { depth: u32 },
    /// Stop the flood; answers when its calls have ended.
    Calm,
    /// Processor time used so far.
    ProcessorTime,
    /// As server: wait until every link has ended, then judge what was started against the moment that the cut returned.
    Judge { cut_returned_ns: u64 },
    /// Answer each byte that comes over this link with a byte, without any engine.
    Echo,
    /// Send a byte and wait for its answer so many times, without any engine; answers with each time. With a link to
    /// use from now on, or with the last one.
    RoundTrips { links: u32, count: u32 },
}

impl Order {
    /// How many descriptors come with it.
    pub(crate) fn descriptors(&self) -> usize {
        match self {
            Self::Serve { links, .. } | Self::Connect { links, .. } | Self::RoundTrips { links, .. } => *links as usize,
            Self::Echo => 1,
            _ => 0,
        }
    }
}

/// What a peer answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    /// Of each call.
    EachNanoseconds(Vec<u64>),
    Nanoseconds(u64),
    Judged(Verdict),
    Failed(String),
}
