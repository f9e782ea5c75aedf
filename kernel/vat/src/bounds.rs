//! What one link may make its other end hold. Every number is derived here; the engine asks, never decides.
//!
//! Past a soft bound messages are still read in order, and calls wait before their handler. Past a hard bound the
//! link is cut with [`misbehaved`](crate::words::EndReason::Misbehaved) and a detail that names the bound.

use crate::door::Peer;

/// The largest piece of data in one message: what `File.read`, `File.write` and `ByteStream.write` allow.
pub const DATA_LIMIT_BYTES: usize = 1 << 20;

/// What a message holds besides: the call's envelope, a path of 4,096 bytes, a table of capabilities.
pub const ENVELOPE_LIMIT_BYTES: usize = 64 << 10;

/// The largest message.
pub const MESSAGE_LIMIT_BYTES: usize = DATA_LIMIT_BYTES + ENVELOPE_LIMIT_BYTES;

/// Segments of one message. A builder that doubles from 64 words reaches the largest message in 12; other
/// implementations grow more slowly.
pub const SEGMENTS_LIMIT: usize = 64;

/// How deep pointers may nest: 5 for the envelope, the rest for the interface. It is Cap'n Proto's own default.
pub const NESTING_LIMIT: i32 = 64;

/// How many words of a message may be read for each word that it has: handlers and the engine look at a call a few
/// times, and pointers that overlap must not multiply the work.
pub const TRAVERSAL_FACTOR: usize = 8;

/// Words that may be read of a message however small it is: the engine looks at a response's envelope (12 words)
/// whenever one of its capabilities is used.
pub const TRAVERSAL_FLOOR_WORDS: usize = 16 << 10;

/// From a frame's first byte to its last, and the longest that a peer may leave waiting output untouched. A healthy
/// peer takes microseconds; an app may compute for its turn of 10 s without looking at its door.
pub const PATIENCE_NS: u64 = 30_000_000_000;

/// Handlers of one link that run at once; later calls wait their turn. As many as the deepest sensible pipeline.
pub const RUNNING_LIMIT: usize = 64;

/// Bytes of calls whose handlers run at once: a few of the largest, so that a stream never waits for its own window.
pub const RUNNING_LIMIT_BYTES: usize = 8 * MESSAGE_LIMIT_BYTES;

/// Output that waits in a link before calls wait too.
pub const OUTGOING_SOFT_BYTES: usize = 1 << 20;

/// Output that a link may hold: what it held when the last handler started, and the largest result of all that run.
pub const OUTGOING_LIMIT_BYTES: usize = OUTGOING_SOFT_BYTES + (RUNNING_LIMIT + 1) * MESSAGE_LIMIT_BYTES;

/// Calls received and not finished. A held call costs about 3 KiB of bookkeeping: 24 MiB.
pub const HELD_LIMIT: usize = 8_192;

/// Bytes of calls received and not finished: a full pipeline of the largest.
pub const HELD_LIMIT_BYTES: usize = RUNNING_LIMIT * MESSAGE_LIMIT_BYTES;

/// The largest message of an app's session: a list of everything that a package can announce is 16 KiB.
pub const SESSION_MESSAGE_BYTES: usize = ENVELOPE_LIMIT_BYTES;

/// Calls of an app's session received and not finished: it can wait for each decision many times over.
pub const SESSION_HELD_LIMIT: usize = 1_024;

/// Last reports of links that a service keeps while there is no session: what a powerbox that is restarting may miss.
/// More are dropped, oldest first, and their leases count as spent.
pub const LAST_REPORTS_LIMIT: usize = 10_000;

/// Links in one report of a service over its session.
pub const REPORT_LINKS_LIMIT: usize = 100;

/// The largest message of a service's session: a full report. Of each link 112 bytes, 56 for each of its methods, and up to
/// 300 of words about its end: 100 × (112 + 65 × 56 + 304) is 400 KiB.
pub const SERVICE_MESSAGE_BYTES: usize = 512 << 10;

/// Bytes of calls of a service's session received and not finished. It makes one report at a time, and asks for a slice of
/// each budget that runs low: 250 bytes for as many as may be held at once are 2 MiB. Four times that.
pub const SERVICE_HELD_BYTES: usize = 16 * SERVICE_MESSAGE_BYTES;

/// Calls that wait on each other's results in a chain. The engine resolves such a chain by recursion, so this guards
/// the stack.
pub const PIPELINE_DEPTH_LIMIT: usize = 64;

/// Objects that one link keeps alive at this end, and objects of the other end that are held here.
pub const OBJECTS_LIMIT: usize = 16_384;

/// Calls of ours that the other end has not answered.
pub const QUESTIONS_LIMIT: usize = 16_384;

/// References whose order is being settled with the other end; each belongs to a pipelined call of ours.
pub const EMBARGOES_LIMIT: usize = 1_024;

/// The part of a peer's error text that is kept.
pub const REASON_LIMIT_BYTES: usize = 300;

/// Methods whose use is metered apart, for each link; what comes after is counted together.
pub const METERED_METHODS_LIMIT: usize = 64;

const _: () = assert!(MESSAGE_LIMIT_BYTES.is_multiple_of(8));
const _: () = assert!(RUNNING_LIMIT_BYTES <= HELD_LIMIT_BYTES && RUNNING_LIMIT <= HELD_LIMIT);
const _: () = assert!(OUTGOING_SOFT_BYTES < OUTGOING_LIMIT_BYTES);
const _: () = assert!(
    REPORT_LINKS_LIMIT * (112 + (METERED_METHODS_LIMIT + 1) * 56 + REASON_LIMIT_BYTES + 4) <= SERVICE_MESSAGE_BYTES
);

/// Which references the other end may put into its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// None at all: sessions carry data only.
    None,
    /// Objects of its own and of ours, but no promise that it resolves later: with those a peer could tie a knot that
    /// the engine never gets out of.
    Settled,
    /// Everything the protocol has: between processes that do not attack each other.
    Any,
}

/// The bounds of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Which references may come in.
    pub references: References,
    /// See [`MESSAGE_LIMIT_BYTES`].
    pub message_bytes: usize,
    /// See [`PATIENCE_NS`].
    pub patience_ns: u64,
    /// See [`RUNNING_LIMIT`].
    pub running: usize,
    /// See [`RUNNING_LIMIT_BYTES`].
    pub running_bytes: usize,
    /// See [`HELD_LIMIT`].
    pub held: usize,
    /// See [`HELD_LIMIT_BYTES`].
    pub held_bytes: usize,
    /// See [`OUTGOING_SOFT_BYTES`].
    pub outgoing_soft_bytes: usize,
    /// See [`OUTGOING_LIMIT_BYTES`].
    pub outgoing_bytes: usize,
    /// See [`OBJECTS_LIMIT`]; for each direction.
    pub objects: usize,
    /// See [`QUESTIONS_LIMIT`].
    pub questions: usize,
}

impl Bounds {
    const LARGEST: Bounds = Bounds {
        references: References::Any,
        message_bytes: MESSAGE_LIMIT_BYTES,
        patience_ns: PATIENCE_NS,
        running: RUNNING_LIMIT,
        running_bytes: RUNNING_LIMIT_BYTES,
        held: HELD_LIMIT,
        held_bytes: HELD_LIMIT_BYTES,
        outgoing_soft_bytes: OUTGOING_SOFT_BYTES,
        outgoing_bytes: OUTGOING_LIMIT_BYTES,
        objects: OBJECTS_LIMIT,
        questions: QUESTIONS_LIMIT,
    };

    /// For a grant's link whose other end is such a process. Only apps are strangers.
    #[must_use]
    pub const fn for_peer(peer: Peer) -> Bounds {
        let references = match peer {
            Peer::App => References::Settled,
            Peer::Service | Peer::Shell | Peer::Powerbox => References::Any,
        };
        Bounds { references, ..Bounds::LARGEST }
    }

    /// For the powerbox's end of an app's session: data only, and only little of it. What any number of apps could make
    /// the powerbox hold together is everyone's loss.
    #[must_use]
    pub const fn for_app_session() -> Bounds {
        Bounds {
            message_bytes: SESSION_MESSAGE_BYTES,
            running_bytes: RUNNING_LIMIT * SESSION_MESSAGE_BYTES,
            held: SESSION_HELD_LIMIT,
            held_bytes: RUNNING_LIMIT * SESSION_MESSAGE_BYTES,
            outgoing_soft_bytes: SESSION_MESSAGE_BYTES,
            outgoing_bytes: SESSION_MESSAGE_BYTES + (RUNNING_LIMIT + 1) * SESSION_MESSAGE_BYTES,
            ..Bounds::for_operator_session()
        }
    }

    /// For the powerbox's end of a service's session: data only, in reports and short questions.
    #[must_use]
    pub const fn for_service_session() -> Bounds {
        Bounds {
            message_bytes: SERVICE_MESSAGE_BYTES,
            running_bytes: 2 * SERVICE_MESSAGE_BYTES,
            held_bytes: SERVICE_HELD_BYTES,
            ..Bounds::for_operator_session()
        }
    }

    /// For the powerbox's end of an operator's session: what comes in is data only.
    #[must_use]
    pub const fn for_operator_session() -> Bounds {
        Bounds { references: References::None, ..Bounds::LARGEST }
    }
}
