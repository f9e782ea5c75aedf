//! Passphrases of a person, in files, and a person's hands on the store.

#![expect(clippy::expect_used, reason = "without them there is nothing to test")]

use crate::node::Node;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Writes a file that only its owner may read, as a secret has to be.
///
/// # Errors
/// Of the disk.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

impl Node {
    /// A file with a passphrase, beside the state.
    ///
    /// # Panics
    /// Where there is no room for it.
    #[must_use]
    pub fn passphrase(&self, words: &str) -> PathBuf {
        let name: String = words.chars().filter(char::is_ascii_alphanumeric).collect();
        let file = self.scratch().join(format!("passphrase-{name}"));
        write_private(&file, &format!("{words}\n")).expect("room for a file");
        file
    }

    /// `latch keys …`, with that passphrase in a file.
    #[must_use]
    pub fn keys_words(&self, act: &str, passphrase: &str) -> Vec<OsString> {
        let file = self.passphrase(passphrase);
        vec!["keys".into(), act.into(), "--passphrase-file".into(), file.into()]
    }

    /// Makes keys, which are open then.
    ///
    /// # Panics
    /// Where there are some.
    pub fn create_keys(&self, passphrase: &str) {
        self.expect(self.keys_words("create", passphrase));
    }

    /// Opens the keys.
    ///
    /// # Panics
    /// Where that is not their passphrase.
    pub fn unlock_keys(&self, passphrase: &str) {
        self.expect(self.keys_words("unlock", passphrase));
    }

    /// Puts a file with that content into a folder of the store.
    ///
    /// # Panics
    /// Where it is not stored.
    pub fn store(&self, folder: &str, name: &str, content: &[u8]) {
        let file = self.scratch().join(name);
        std::fs::write(&file, content).expect("room for a file");
        self.expect(["put".as_ref(), "--replace".as_ref(), file.as_os_str(), folder.as_ref(), name.as_ref()]);
    }

    /// What a file of the store contains.
    ///
    /// # Panics
    /// Where it cannot be read.
    #[must_use]
    pub fn stored(&self, folder: &str, name: &str) -> Vec<u8> {
        let output = self.run(["cat", folder, name]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{folder} {name}: {told}");
        output.stdout
    }

    /// Every file below the state folder, with its bytes.
    #[must_use]
    pub fn state_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut found, mut waiting) = (Vec::new(), vec![self.state()]);
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => waiting.push(path),
                    Ok(kind) if kind.is_file() => found.extend(std::fs::read(&path).ok().map(|bytes| (path, bytes))),
                    _ => {}
                }
            }
        }
        found
    }
}

/// Whether bytes are anywhere in others.
#[must_use]
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
