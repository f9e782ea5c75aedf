//! What a peer can do wrong, in words that an operator reads.

use std::fmt;

/// Why a link is cut for misbehaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A frame says that it has so many segments.
    Segments(u64),
    /// A frame says that it has so many bytes.
    TooLarge(u64),
    /// A message with nothing in it.
    Empty,
    /// A frame that was begun does not get finished.
    SlowFrame,
    /// Output has waited too long.
    NotReading,
    /// Pointers that lead nowhere, or too deep, or to too much.
    Malformed(String),
    /// A kind of message, or a form of one, that nobody here sends.
    Foreign(&'static str),
    /// A reference that may not come in over this link.
    Reference(&'static str),
    /// An id that stands for nothing.
    Unknown(&'static str, u32),
    /// An id that stands for something already.
    Reused(&'static str, u32),
    /// More of something than the link may hold.
    Bound(&'static str, usize),
    /// This end would hand a stranger a promise: it was asked to pass on what is not there yet.
    OwnPromise,
    /// This end made a message that no peer would take.
    OwnMessage(usize),
    /// The engine failed on what the peer sent.
    Engine,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Segments(count) => write!(formatter, "a frame of {count} segments"),
            Fault::TooLarge(bytes) => write!(formatter, "a message of {bytes} bytes"),
            Fault::Empty => formatter.write_str("an empty message"),
            Fault::SlowFrame => formatter.write_str("a frame that was begun and not finished in time"),
            Fault::NotReading => formatter.write_str("it does not read what it is sent"),
            Fault::Malformed(how) => write!(formatter, "a malformed message: {how}"),
            Fault::Foreign(what) => write!(formatter, "a message that is not spoken here: {what}"),
            Fault::Reference(what) => write!(formatter, "a reference that may not come in here: {what}"),
            Fault::Unknown(what, id) => write!(formatter, "{what} {id}, which there is not"),
            Fault::Reused(what, id) => write!(formatter, "{what} {id}, which is in use"),
            Fault::Bound(what, limit) => write!(formatter, "more than {limit} {what}"),
            Fault::OwnPromise => formatter.write_str("it would be handed a promise: what is not there yet"),
            Fault::OwnMessage(bytes) => write!(formatter, "this end made a message of {bytes} bytes"),
            Fault::Engine => formatter.write_str("the engine failed on a message"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<capnp::Error> for Fault {
    fn from(error: capnp::Error) -> Fault {
        Fault::Malformed(error.to_string())
    }
}

impl From<capnp::NotInSchema> for Fault {
    fn from(error: capnp::NotInSchema) -> Fault {
        Fault::Malformed(error.to_string())
    }
}
