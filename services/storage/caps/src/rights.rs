//! What a writecap allows. The same words as everywhere in Latchkey: rights only narrow, write implies append.

use crate::decode::{DecodeError, Decoder};

const READ: u8 = 1;
const APPEND: u8 = 2;
const WRITE: u8 = 4;

/// What may be done at a place and below it, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// See.
    pub read: bool,
    /// Make nodes that were not there.
    pub append: bool,
    /// Make new versions of nodes that are there. Implies append.
    pub write: bool,
}

/// What somebody did or is about to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Reads a node.
    Read,
    /// Makes a node that was not there.
    Append,
    /// Makes a new version of a node that was there.
    Write,
}

impl Rights {
    /// Nothing is forbidden.
    pub const ALL: Rights = Rights { read: true, append: true, write: true };

    /// With what is implied.
    pub fn complete(self) -> Rights {
        Rights { append: self.append || self.write, ..self }
    }

    /// Whether the act is among them.
    pub fn allow(self, act: Act) -> bool {
        match act {
            Act::Read => self.read,
            Act::Append => self.complete().append,
            Act::Write => self.write,
        }
    }

    /// Whether all of `other` is among them.
    pub fn cover(self, other: Rights) -> bool {
        other.code() & !self.code() == 0
    }

    pub(crate) fn code(self) -> u8 {
        let complete = self.complete();
        (if complete.read { READ } else { 0 })
            | (if complete.append { APPEND } else { 0 })
            | (if complete.write { WRITE } else { 0 })
    }

    /// One encoding for each set: write comes with append, an empty set and unknown rights are refused.
    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Rights, DecodeError> {
        let code = decoder.byte()?;
        let rights = Rights { read: code & READ != 0, append: code & APPEND != 0, write: code & WRITE != 0 };
        if code == 0 || rights.code() != code { Err(DecodeError::BadValue("rights")) } else { Ok(rights) }
    }
}
