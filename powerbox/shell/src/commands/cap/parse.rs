//! What people write: places in the store, public keys, principals, times; and the files that capabilities are in.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use caps::NEVER_MS;

use crate::failure::{Doing as _, Failure, Outcome};
use crate::hosted::bounded;
use crate::text::time::{now_ms, parse_span};
use crate::text::words::from_hex;

/// What places in the store begin with.
const STORE_PREFIX: &str = "storage:/";

/// A place in the store, as its path from the root on: `storage:/notes/a.txt` is `notes/a.txt`.
pub(super) fn stored(text: &str) -> Result<String, String> {
    let path =
        text.strip_prefix(STORE_PREFIX).ok_or("write storage:/ and the path in the store: storage:/notes/a.txt")?;
    Ok(path.strip_suffix('/').unwrap_or(path).to_owned())
}

/// The same for people.
pub(super) fn shown(path: &str) -> String {
    format!("{STORE_PREFIX}{path}")
}

/// 32 bytes in hexadecimal digits.
pub(super) fn key(text: &str) -> Result<[u8; 32], String> {
    from_hex(text).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| "write 64 hexadecimal digits".to_owned())
}

/// A span such as `30d`, in milliseconds.
pub(super) fn span(text: &str) -> Result<u64, String> {
    parse_span(text).ok_or_else(|| "write 90s, 15m, 1h or 2d".to_owned())
}

/// When it is over: so long from now, or never.
pub(super) fn expiry(span_ms: Option<u64>) -> u64 {
    span_ms.map_or(NEVER_MS, |span| now_ms().saturating_add(span))
}

/// The schema's 0 is never.
pub(super) fn to_wire(expires_ms: u64) -> u64 {
    if expires_ms == NEVER_MS { 0 } else { expires_ms }
}

/// Where a capability goes that nobody said it of: beside the person, called like what it is for.
pub(super) fn file_for(out: Option<PathBuf>, path: &str, suffix: &str) -> PathBuf {
    out.unwrap_or_else(|| {
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("store");
        PathBuf::from(format!("{name}.{suffix}"))
    })
}

/// Writes a capability into a new file.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Outcome {
    let writing = || format!("cannot write {}", path.display());
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = opened.doing(writing).map_err(|failure| {
        if path.symlink_metadata().is_ok() { failure.next("--out names another file") } else { failure }
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half of it is none.
        let _ = std::fs::remove_file(path);
    }
    written.doing(writing)
}

/// Reads a capability.
pub(super) fn read(path: &Path, limit_bytes: usize) -> Outcome<Vec<u8>> {
    let file = std::fs::File::open(path).doing(|| format!("cannot read {}", path.display()))?;
    bounded(file, limit_bytes, path)
}

/// A capability that is refused, and why.
pub(super) fn refused(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{} is refused", path.display())).because(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_like_offers() {
        assert_eq!(stored("storage:/notes/a.txt"), Ok("notes/a.txt".to_owned()));
        assert_eq!(stored("storage:/notes/"), Ok("notes".to_owned()));
        assert_eq!(stored("storage:/"), Ok(String::new()));
        for bad in ["notes", "storage:notes", "host:/notes", "storage:store", ""] {
            assert!(stored(bad).is_err(), "{bad}");
        }
        assert_eq!(shown("notes/a.txt"), "storage:/notes/a.txt");
        assert_eq!(file_for(None, "notes/a.txt", "readcap"), Path::new("a.txt.readcap"));
        assert_eq!(file_for(None, "", "writecap"), Path::new("store.writecap"));
    }

    #[test]
    fn keys_have_64_digits() {
        assert_eq!(key(&"0a".repeat(32)), Ok([10; 32]));
        for bad in ["", "0a", &"0a".repeat(33), &"xx".repeat(32)] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn never_stays_never() {
        assert_eq!((expiry(None), to_wire(NEVER_MS), to_wire(7)), (NEVER_MS, 0, 7));
        assert!(expiry(Some(60_000)) > now_ms());
        assert_eq!(expiry(Some(u64::MAX)), NEVER_MS);
    }
}
