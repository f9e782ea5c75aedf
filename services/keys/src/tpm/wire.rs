//! Commands and responses of a TPM 2.0 as bytes (TCG, "Trusted Platform Module Library", part 2 and 3). Numbers are big
//! endian. What comes from a TPM is checked like anybody's bytes.

use std::io;

use zeroize::Zeroizing;

use crate::bytes::{Malformed, Reader};

/// The longest command or response that this service takes part in: the buffer of Linux's driver.
pub(super) const BUFFER_BYTES: usize = 4_096;
/// Tag, length, code.
pub(super) const HEADER_BYTES: usize = 10;

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;
/// The password session with an empty password: its handle, no nonce, no attributes, an empty password.
const EMPTY_PASSWORD: [u8; 9] = [0x40, 0x00, 0x00, 0x09, 0, 0, 0, 0, 0];

/// What a TPM answers when it did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    /// Format one (bit 7 set) names a handle, a session or a parameter in the bits that this leaves out.
    const fn format_one(self) -> Option<u32> {
        if self.0 & 0x80 != 0 { Some(self.0 & 0x3f) } else { None }
    }

    /// TPM_RC_INTEGRITY: the object was not wrapped by this parent.
    pub(super) fn is_integrity(self) -> bool {
        self.format_one() == Some(0x1f)
    }

    /// TPM_RC_AUTH_FAIL, TPM_RC_BAD_AUTH, or TPM_RC_HIERARCHY: the owner hierarchy has a password, or is switched off.
    pub(super) fn is_refused_owner(self) -> bool {
        matches!(self.format_one(), Some(0x0e | 0x22 | 0x05))
    }

    /// Something in the command is not as it should be.
    pub(super) fn is_about_the_command(self) -> bool {
        self.format_one().is_some()
    }

    /// TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_NV_RATE, TPM_RC_RETRY: the same command may go through soon.
    pub(super) fn is_passing(self) -> bool {
        matches!(self.0, 0x908 | 0x90a | 0x920 | 0x922)
    }
}

/// Why an exchange came to nothing.
#[derive(Debug)]
pub(super) enum Failed {
    /// The TPM cannot be reached, or stopped answering.
    Unreachable(io::Error),
    /// It refused.
    Refused(Code),
    /// What it said is no answer.
    Malformed,
}

impl From<Malformed> for Failed {
    fn from(_: Malformed) -> Failed {
        Failed::Malformed
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Unreachable(error) => write!(formatter, "the TPM cannot be reached: {error}"),
            Failed::Refused(code) => write!(formatter, "the TPM refused with code {:#x}", code.0),
            Failed::Malformed => formatter.write_str("the TPM's answer makes no sense"),
        }
    }
}

/// A command that is being put together. It may hold a secret.
pub(super) struct Command(Zeroizing<Vec<u8>>);

impl Command {
    /// One whose first handle is used with an empty password.
    pub(super) fn on(code: u32, handle: u32) -> Command {
        let password = u32::try_from(EMPTY_PASSWORD.len()).unwrap_or(u32::MAX);
        Command::begin(SESSIONS, code).u32(handle).u32(password).bytes(&EMPTY_PASSWORD)
    }

    /// One that needs no password.
    pub(super) fn plain(code: u32) -> Command {
        Command::begin(NO_SESSIONS, code)
    }

    fn begin(tag: u16, code: u32) -> Command {
        // Whole from the beginning: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(BUFFER_BYTES));
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(code.to_be_bytes());
        Command(bytes)
    }

    pub(super) fn u16(mut self, number: u16) -> Command {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn u32(mut self, number: u32) -> Command {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Command {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length, 16 bits, before them. What this service sends is far shorter than that can say.
    pub(super) fn sized(self, bytes: &[u8]) -> Command {
        self.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX)).bytes(bytes)
    }

    /// The command, whole.
    pub(super) fn finish(mut self) -> Zeroizing<Vec<u8>> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[2..6].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// How long the response is that begins so; nothing where it cannot be one.
pub(super) fn response_length(header: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(*header.get(2..)?.first_chunk()?);
    let length = usize::try_from(length).ok()?;
    (HEADER_BYTES..=BUFFER_BYTES).contains(&length).then_some(length)
}

/// What a whole response brings behind its header.
pub(super) fn response(bytes: &[u8]) -> Result<&[u8], Failed> {
    if response_length(bytes) != Some(bytes.len()) {
        return Err(Failed::Malformed);
    }
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Failed::Malformed)?;
    let (tag, code) =
        (u16::from_be_bytes([header[0], header[1]]), u32::from_be_bytes([header[6], header[7], header[8], header[9]]));
    match (tag, code) {
        (NO_SESSIONS | SESSIONS, 0) => Ok(rest),
        // A TPM 1.2 answers with another tag.
        (NO_SESSIONS, code) => Err(Failed::Refused(Code(code))),
        _ => Err(Failed::Malformed),
    }
}

/// A number of 32 bits.
pub(super) fn u32(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    reader.array().map(u32::from_be_bytes)
}

/// Bytes with their length, 16 bits, before them.
pub(super) fn sized<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let length = reader.array().map(u16::from_be_bytes)?;
    reader.take(usize::from(length))
}
