//! Reading and writing bytes: numbers of fixed width, little-endian, in a fixed order, so that one value has one
//! encoding. What reads them takes hostile input: nothing is allocated from a length before the bytes are there.

use crate::FORMAT;
use std::fmt;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It does not begin with the mark of its kind.
    OtherKind,
    /// It is of this format, which a later version of Latchkey writes.
    NewerFormat(u8),
    /// It is longer than any of its kind can be.
    TooLong,
    /// It ends too early.
    Truncated,
    /// Something follows its end.
    TrailingBytes,
    /// This field has a value that it cannot have.
    BadValue(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::OtherKind => formatter.write_str("these bytes are something else"),
            DecodeError::NewerFormat(format) => {
                write!(formatter, "it has format {format}; this version knows formats up to {FORMAT}")
            }
            DecodeError::TooLong => formatter.write_str("it is longer than it may be"),
            DecodeError::Truncated => formatter.write_str("it ends too early"),
            DecodeError::TrailingBytes => formatter.write_str("something follows its end"),
            DecodeError::BadValue(field) => write!(formatter, "the field '{field}' has a value that it cannot have"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Takes bytes off the front.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A decoder of the fields after the mark and the format. Neither may be another.
    pub(crate) fn begin(bytes: &'a [u8], mark: &[u8; 4], limit_bytes: usize) -> Result<Decoder<'a>, DecodeError> {
        if bytes.len() > limit_bytes {
            return Err(DecodeError::TooLong);
        }
        let mut decoder = Decoder { rest: bytes };
        if decoder.array::<4>()? != *mark {
            return Err(DecodeError::OtherKind);
        }
        match decoder.byte()? {
            FORMAT => Ok(decoder),
            0 => Err(DecodeError::BadValue("format")),
            newer => Err(DecodeError::NewerFormat(newer)),
        }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }
}

/// What every encoding begins with.
pub(crate) fn begin(mark: &[u8; 4]) -> Vec<u8> {
    let mut bytes = mark.to_vec();
    bytes.push(FORMAT);
    bytes
}
