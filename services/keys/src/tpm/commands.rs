//! What this service does with a TPM, over anything that carries a command there and its answer back.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use super::wire::{self, Command, Failed, response, sized};
use super::{Tpm, TpmLock};
use crate::bytes::{Malformed, Reader};
use crate::problem::{Problem, Word};
use crate::secret::Key;

const CREATE_PRIMARY: u32 = 0x131;
const CREATE: u32 = 0x153;
const LOAD: u32 = 0x157;
const UNSEAL: u32 = 0x15e;
const FLUSH_CONTEXT: u32 = 0x165;
const GET_CAPABILITY: u32 = 0x17a;

/// TPM_RH_OWNER.
const OWNER: u32 = 0x4000_0001;
/// An empty password and no data from outside: what is secret of a key that the TPM makes itself.
const NOTHING_SENSITIVE: [u8; 4] = [0; 4];

/// The primary key's template (TPMT_PUBLIC). The TPM makes the same key of it for as long as it is not cleared: it must
/// never change.
const PRIMARY: [u8; 26] = [
    0x00, 0x23, // TPM_ALG_ECC
    0x00, 0x0b, // names by TPM_ALG_SHA256
    0x00, 0x03, 0x04, 0x72, // fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, decrypt
    0x00, 0x00, // no policy
    0x00, 0x06, 0x00, 0x80, 0x00, 0x43, // what is beneath is wrapped by AES, 128 bits, CFB
    0x00, 0x10, // TPM_ALG_NULL: no scheme
    0x00, 0x03, // TPM_ECC_NIST_P256
    0x00, 0x10, // TPM_ALG_NULL: no key derivation of its own
    0x00, 0x00, 0x00, 0x00, // nothing that makes it another key than everybody's of this template
];

/// The sealed object's template (TPMT_PUBLIC).
const SEALED: [u8; 14] = [
    0x00, 0x08, // TPM_ALG_KEYEDHASH: data
    0x00, 0x0b, // names by TPM_ALG_SHA256
    0x00, 0x00, 0x04, 0x52, // fixedTPM, fixedParent, userWithAuth, noDA
    0x00, 0x00, // no policy
    0x00, 0x10, // TPM_ALG_NULL: no scheme
    0x00, 0x00, // nothing unique yet
];

/// TPM_CAP_TPM_PROPERTIES.
const PROPERTIES: u32 = 6;
/// TPM_PT_MANUFACTURER, which the four parts of TPM_PT_VENDOR_STRING follow.
const MANUFACTURER: u32 = 0x105;
const MAKERS_WORDS: u32 = 5;

/// How often a command is sent again to a TPM that is busy, and after which pause: two seconds in all. One that tests itself
/// after its start, or spares its memory, is done earlier.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Carries a command to a TPM and its response back.
pub trait Carrier: Send {
    /// One command, whole, and its response, whole. It may wait.
    ///
    /// # Errors
    /// The TPM cannot be reached, or stopped answering.
    fn carry(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// A TPM at the other end of a carrier.
#[derive(Debug)]
pub struct Carried<C>(pub C);

impl<C: Carrier> Carried<C> {
    fn ask<T>(
        &mut self,
        command: Command,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Failed> {
        let command = command.finish();
        for tried in 1.. {
            let answer = self.0.carry(&command).map_err(Failed::Unreachable)?;
            match response(&answer) {
                Ok(rest) => return Ok(read(&mut Reader::new(rest))?),
                Err(Failed::Refused(code)) if code.is_passing() && tried < TRIES => std::thread::sleep(PAUSE),
                Err(failed) => return Err(failed),
            }
        }
        Err(Failed::Malformed)
    }

    /// Does something with the primary key, which has no place in the TPM before or after.
    fn with_primary<T>(&mut self, act: impl FnOnce(&mut Self, u32) -> Result<T, Problem>) -> Result<T, Problem> {
        let command = Command::on(CREATE_PRIMARY, OWNER).sized(&NOTHING_SENSITIVE).sized(&PRIMARY).u16(0).u32(0);
        let primary = self.ask(command, wire::u32).map_err(|failed| match failed {
            Failed::Refused(code) if code.is_refused_owner() => {
                let text =
                    "the owner hierarchy of the TPM has a password or is switched off: without either it can be used";
                Problem::new(Word::NotSupported, text)
            }
            failed => broken(&failed),
        })?;
        let done = act(self, primary);
        self.flush(primary);
        done
    }

    /// What stays there if this fails is in nobody's way: the system's resource manager clears up when this process ends.
    fn flush(&mut self, handle: u32) {
        let _ = self.ask(Command::plain(FLUSH_CONTEXT).u32(handle), |_| Ok(()));
    }

    fn makers_words(&mut self) -> Result<String, Failed> {
        let command = Command::plain(GET_CAPABILITY).u32(PROPERTIES).u32(MANUFACTURER).u32(MAKERS_WORDS);
        let words = self.ask(command, |reader| {
            reader.take(1 + 4)?; // whether there is more, and what was asked for
            let count = wire::u32(reader)?.min(MAKERS_WORDS);
            let mut words = Vec::new();
            for _ in 0..count {
                let _property = wire::u32(reader)?;
                words.extend(reader.array::<4>()?);
            }
            Ok(words)
        })?;
        let shown: String =
            words.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect();
        Ok(shown.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl<C: Carrier> Tpm for Carried<C> {
    fn describe(&mut self) -> String {
        match self.makers_words() {
            Ok(words) => format!("TPM 2.0 by {words}"),
            Err(failed) => format!("none to use: {failed}"),
        }
    }

    fn seal(&mut self, file_key: &Key) -> Result<TpmLock, Problem> {
        self.with_primary(|tpm, primary| {
            let sensitive = Zeroizing::new([&[0, 0], &length(file_key.as_bytes())[..], file_key.as_bytes()].concat());
            let command = Command::on(CREATE, primary).sized(&sensitive).sized(&SEALED).u16(0).u32(0);
            let made = tpm.ask(command, |reader| {
                let _length_of_what_follows = wire::u32(reader)?;
                let (private, public) = (sized(reader)?, sized(reader)?);
                TpmLock::new(public.to_vec(), private.to_vec())
            });
            made.map_err(|failed| broken(&failed))
        })
    }

    fn open(&mut self, lock: &TpmLock) -> Result<Key, Problem> {
        self.with_primary(|tpm, primary| {
            let command = Command::on(LOAD, primary).sized(lock.private()).sized(lock.public());
            let object = tpm.ask(command, wire::u32).map_err(|failed| match failed {
                Failed::Refused(code) if code.is_integrity() => gone(),
                Failed::Refused(code) if code.is_about_the_command() => changed(),
                failed => broken(&failed),
            })?;
            let opened = tpm.ask(Command::on(UNSEAL, object), |reader| {
                let _length_of_what_follows = wire::u32(reader)?;
                sized(reader).map(Key::from_slice)
            });
            tpm.flush(object);
            opened.map_err(|failed| broken(&failed))?.ok_or_else(changed)
        })
    }
}

fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn broken(failed: &Failed) -> Problem {
    Problem::new(Word::Io, failed.to_string())
}

fn changed() -> Problem {
    Problem::damaged("what the TPM had sealed was changed: restore a backup")
}

fn gone() -> Problem {
    let text = "these keys are in another machine's TPM, or this one's was cleared since: put the disk back into its \
                machine, or restore a backup";
    Problem::new(Word::ProtectionGone, text)
}

#[cfg(test)]
mod tests;
