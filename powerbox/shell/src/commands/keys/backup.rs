//! `latch keys backup` and `latch keys restore`

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::Args;
use schema::keys_capnp::keyring;

use super::{Context, Protect};
use crate::failure::{Doing as _, Failure, Outcome};
use crate::terminal::passphrase;
use crate::text::escape;
use crate::{folder, keys};

/// More than a backup has.
const BACKUP_LIMIT_BYTES: u64 = 1 << 20;
const OPTION: &str = "--backup-passphrase-file";
/// Nobody else reads it.
const FILE_MODE: u32 = 0o600;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to make; one that is there stays as it is
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Takes the backup's passphrase from the first line of a file instead of asking
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// What `latch keys backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Takes the backup's passphrase from the first line of a file instead of asking
    #[arg(long, value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    how: Protect,
}

pub(super) async fn backup(context: &Context, ring: &keyring::Client, command: Backup) -> Outcome {
    let Backup { file, backup_passphrase_file } = command;
    let writing = || format!("cannot write {}", file.display());
    let cue = "passphrase for the backup";
    let passphrase = passphrase::new(backup_passphrase_file.as_deref(), cue, OPTION).await?;
    let mut request = ring.backup_request();
    request.get().set_passphrase(&passphrase);
    let answer = keys::ask(request.send()).await?;
    let bytes = answer.get()?.get_backup()?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&file).doing(writing)?;
    let written = out.write_all(bytes).and_then(|()| out.sync_all());
    if written.is_err() {
        // Half a backup is none.
        let _ = std::fs::remove_file(&file);
    }
    written.doing(writing)?;
    let words = format!(
        "wrote every key of this node to {}\n  keep it elsewhere, and its passphrase apart from it: latch keys restore {}",
        escape::path(&file),
        folder::shown(&file)
    );
    context.done(&words, &serde_json::json!({ "backup": file.to_string_lossy(), "bytes": bytes.len() }))
}

pub(super) async fn restore(context: &Context, ring: &keyring::Client, command: Restore) -> Outcome {
    let Restore { file, backup_passphrase_file, how } = command;
    let status = keys::status(ring).await?;
    // Keys that can be used are not replaced, but somebody may know their passphrase no more.
    if status.protection != "none" && status.trouble.is_empty() {
        let there = context.state.path().join(keys::KEYRING_FILE);
        return Err(Failure::new("this node has keys already").next(format!(
            "latch keys shows them; where their passphrase is forgotten: latch down, move {} away, latch up, and restore again",
            there.display()
        )));
    }
    let reading = || format!("cannot read {}", file.display());
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(&file).doing(reading)?;
    opened.take(BACKUP_LIMIT_BYTES).read_to_end(&mut bytes).doing(reading)?;
    let of_backup = passphrase::known(backup_passphrase_file.as_deref(), "passphrase of the backup", OPTION).await?;
    let (protection, passphrase) = how.protection("passphrase for this node's keys").await?;
    let mut request = ring.restore_request();
    request.get().set_backup(&bytes);
    request.get().set_backup_passphrase(&of_backup);
    request.get().set_protection(protection);
    request.get().set_passphrase(&passphrase);
    keys::ask(request.send()).await?;
    let value = serde_json::json!({ "protection": keys::protection_word(protection), "unlocked": true });
    context.done("this node has the keys of the backup now, and they are open", &value)
}
