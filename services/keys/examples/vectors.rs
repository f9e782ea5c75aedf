//! Writes the files that `tests/format.rs` reads, to a folder: `cargo run --example vectors -- FOLDER`. They are made once for
//! each format, and kept: what this version wrote, every later one must read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "run by hand")]

use keys_service::envelope::{self, Kind};
use keys_service::keyring::Keyring;
use keys_service::lock::Lock;
use keys_service::passphrase::{Cost, PassphraseLock};
use keys_service::purpose::{Purpose, Signing};
use keys_service::secret::Key;

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder");
    let folder = std::path::Path::new(&folder);
    let mut keyring = Keyring::generate(1_795_000_000_000).unwrap();
    keyring.rotate(Purpose::Signing(Signing::Log), 1_795_000_001_000).unwrap();
    keyring.rotate(Purpose::Store, 1_795_000_002_000).unwrap();
    for (kind, name) in [(Kind::Node, "node"), (Kind::Backup, "backup")] {
        let file_key = Key::random().unwrap();
        let cost = Cost { memory_kib: 64, passes: 2, lanes: 2 };
        let lock = Lock::Passphrase(PassphraseLock::make(b"correct horse", cost, &file_key).unwrap());
        std::fs::write(folder.join(name), envelope::write(kind, &lock, &file_key, &keyring).unwrap()).unwrap();
    }
    std::fs::write(folder.join("sealed"), keyring.seal(b"root key", b"context").unwrap()).unwrap();
    std::fs::write(folder.join("secrets"), keyring.secrets().as_slice()).unwrap();
}
