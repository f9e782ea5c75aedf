//! `latch cap narrow`

use std::path::PathBuf;

use caps::readcap::{Readcap, issue};
use caps::{Entropy as _, LocalSigner, ReaderPublic, SystemEntropy};
use clap::Args;
use zeroize::Zeroizing;

use super::reading::From;
use super::{describe, keys, parse};
use crate::failure::{Failure, Outcome};
use crate::json;
use crate::text::words::hex;
use crate::text::{escape, time};

/// Gives somebody a part of what you were given to read
///
/// It lasts no longer than yours. The store does not know of them: when its key is exchanged, they are not among its readers. Their
/// readcap is signed by your key for writing if you name it with --sign, else by a key that is used this once, and they see that
/// it is not the store's own. No node is needed.
#[derive(Debug, Args)]
pub(crate) struct Narrow {
    #[command(flatten)]
    from: From,
    /// Which part, such as sub/a.txt [default: all of it]
    #[arg(long, value_name = "PATH", default_value = "")]
    path: PathBuf,
    /// The public half of their key, from `latch cap reader-key`
    #[arg(long = "for", value_name = "KEY", value_parser = parse::key)]
    reader: [u8; 32],
    /// How long it holds, such as 30d [default: as long as yours]
    #[arg(long, value_name = "TIME", value_parser = parse::span)]
    expires: Option<u64>,
    /// Signs it with the key in this file, from `latch cap writer-key`
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// The file to make [default: here, called like the part]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(json: bool, command: &Narrow) -> Outcome {
    let (reading, top) = command.from.begin()?;
    let readable = reading.find(&top, &command.path)?.readable;
    let expires_ms = command.expires.map_or(readable.expires_ms, |span| parse::expiry(Some(span)));
    let signer = match &command.sign {
        Some(file) => keys::load_writer(Some(file))?,
        None => once()?,
    };
    let cannot = |why: &dyn std::fmt::Display| Failure::new("cannot give a part of it").because(why);
    let bytes = issue(&readable, &ReaderPublic(command.reader), expires_ms, &signer, &mut SystemEntropy)
        .map_err(|error| cannot(&error))?;
    let file = parse::file_for(command.out.clone(), &command.path.to_string_lossy(), "readcap");
    let readcap = Readcap::verify(&bytes, time::now_ms()).map_err(|error| cannot(&error))?;
    parse::write_new(&file, &bytes)?;
    let words = format!(
        "wrote {}, for {} alone: {}",
        escape::path(&file),
        hex(&command.reader),
        describe::expiry(readcap.expires_ms())
    );
    let value = serde_json::json!({
        "file": file.to_string_lossy(),
        "reader": hex(&command.reader),
        "expires_at_ms": describe::expiry_at_ms(readcap.expires_ms()),
        "root": readcap.root().to_string(),
        "node": describe::path(readcap.path()),
        "issuer": readcap.issuer().to_string(),
    });
    json::done(json, &words, &value)
}

/// A key that nobody has again.
fn once() -> Outcome<LocalSigner> {
    let mut seed = Zeroizing::new([0; 32]);
    let filled = SystemEntropy.fill(seed.as_mut_slice());
    filled.map_err(|error| Failure::new("nothing was signed").because(error))?;
    Ok(LocalSigner::from_seed(&seed))
}
