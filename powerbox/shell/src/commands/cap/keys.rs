//! `latch cap reader-key` and `latch cap writer-key`

use std::path::{Path, PathBuf};

use caps::{LocalSigner, ReaderSecret, Signer as _};
use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::json;
use crate::secret_file::{self, Kind, Secret};
use crate::text::escape;
use crate::text::words::hex;

const READER: Kind = Kind {
    mark: b"LKrk\x01",
    noun: "a reader's key",
    danger: "whoever has it reads what you were given",
    next: "put back the one you had, or name another file: to others a new key is a new reader",
};
const WRITER: Kind = Kind {
    mark: b"LKwk\x01",
    noun: "a writer's key",
    danger: "whoever has it writes in your place",
    next: "put back the one you had, or name another file: to others a new key is a new writer",
};
/// Where keys are that nobody named, below the folder for settings.
const READER_FILE: &str = "latch/reader.key";
const WRITER_FILE: &str = "latch/writer.key";

/// Shows the public half of your key for reading, and makes it where there is none
///
/// Readcaps are given to its public half (X25519). The file has the key as it is, for whoever can read it: only you may (mode 0600).
/// No node is needed; keep a copy, for what was given to it is lost with it.
#[derive(Debug, Args)]
pub(crate) struct ReaderKey {
    /// The file [default: $XDG_CONFIG_HOME/latch/reader.key, else ~/.config/latch/reader.key]
    file: Option<PathBuf>,
}

/// Shows the public half of your key for writing, and makes it where there is none
///
/// Writecaps are given to its public half (Ed25519). The file has the key as it is, for whoever can read it: only you may (mode
/// 0600). No node is needed.
#[derive(Debug, Args)]
pub(crate) struct WriterKey {
    /// The file [default: $XDG_CONFIG_HOME/latch/writer.key, else ~/.config/latch/writer.key]
    file: Option<PathBuf>,
}

pub(super) fn reader(json: bool, command: ReaderKey) -> Outcome {
    let path = named_or(command.file, READER_FILE)?;
    let secret = secret_file::load_or_make(&path, &READER)?;
    let public = ReaderSecret::from_bytes(*secret.bytes).public();
    tell(json, &path, &secret, &hex(&public.0), "latch cap issue storage:/… --for")
}

pub(super) fn writer(json: bool, command: WriterKey) -> Outcome {
    let path = named_or(command.file, WRITER_FILE)?;
    let secret = secret_file::load_or_make(&path, &WRITER)?;
    let public = LocalSigner::from_seed(&secret.bytes).public_key();
    tell(json, &path, &secret, &public.to_string(), "latch cap write-issue storage:/… --to")
}

fn tell(json: bool, path: &Path, secret: &Secret, public: &str, next: &str) -> Outcome {
    let made = if secret.made { "made, and its public half is" } else { "its public half is" };
    let words = format!(
        "{}: {made}\n{public}\n  tell it to whoever shall give you something: {next} {public}",
        escape::path(path)
    );
    json::done(
        json,
        &words,
        &serde_json::json!({ "file": path.to_string_lossy(), "public_key": public, "made": secret.made }),
    )
}

/// The key of whoever opens what they were given.
pub(super) fn load_reader(file: Option<&Path>) -> Outcome<ReaderSecret> {
    let path = named_or(file.map(Path::to_owned), READER_FILE)?;
    let secret = secret_file::load(&path, &READER)
        .map_err(|failure| failure.next("latch cap reader-key makes one; --key names another file"))?;
    Ok(ReaderSecret::from_bytes(*secret.bytes))
}

/// The key of whoever passes on what they may write.
pub(super) fn load_writer(file: Option<&Path>) -> Outcome<LocalSigner> {
    let path = named_or(file.map(Path::to_owned), WRITER_FILE)?;
    let secret = secret_file::load(&path, &WRITER)
        .map_err(|failure| failure.next("latch cap writer-key makes one; --key names another file"))?;
    Ok(LocalSigner::from_seed(&secret.bytes))
}

/// The file that was named, or the person's own.
fn named_or(file: Option<PathBuf>, own: &str) -> Outcome<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = || set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = || set("HOME").map(|home| home.join(".config"));
    file.or_else(|| settings().or_else(home).map(|folder| folder.join(own))).ok_or_else(|| {
        Failure::usage("there is no place for your key")
            .because("neither $XDG_CONFIG_HOME nor $HOME is set")
            .next("name the file")
    })
}
