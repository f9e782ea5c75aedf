//! `latch cap verify`

use std::path::{Path, PathBuf};

use caps::Principal;
use caps::readcap::Readcap;
use caps::sealed_node::{Claim, METADATA_LIMIT_BYTES};
use clap::Args;

use super::{describe, parse, write};
use crate::failure::{Failure, Outcome};
use crate::hosted::{Hosted, unreadable};
use crate::text::{escape, time, words};
use crate::{json, output};

/// Verifies sealed nodes, a readcap or a writecap, without a key
///
/// Of a folder every node in it: its signature, that its signer may, and every byte of its content. Whether something newer was
/// exported elsewhere cannot be seen in it. Exit code 0: all is what was signed for that store; 1: something is not. No node
/// is needed.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A folder with sealed nodes, one node's metadata, a readcap, or a writecap
    #[arg(value_name = "DIR or FILE")]
    what: PathBuf,
    /// The store's root principal: what `latch cap issue` and `latch store` call the store
    #[arg(long, value_name = "PRINCIPAL", value_parser = parse::key)]
    root: [u8; 32],
}

pub(super) fn run(json: bool, command: &Verify) -> Outcome {
    let root = Principal(command.root);
    let what = &command.what;
    if what.is_dir() {
        return folder(json, what, &root);
    }
    let bytes = parse::read(what, METADATA_LIMIT_BYTES)?;
    match bytes.get(..4) {
        Some(b"LKsn") => {
            let claim = Claim::read(&bytes).map_err(|error| unreadable(what, error))?;
            let parent = what.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let verified = Verification::default().node(&Hosted::new(parent), &root, &claim)?;
            verified.done(json)
        }
        Some(b"LKrc") => readcap(json, what, &bytes, &root),
        Some(b"LKwc") => write::verify_bytes(json, what, &bytes, &root, None, None),
        _ => Err(parse::refused(what, "it is neither a sealed node nor a readcap nor a writecap")),
    }
}

/// What was looked at.
#[derive(Debug, Default, serde::Serialize)]
struct Verification {
    nodes: u64,
    bytes: u64,
    refused: Vec<String>,
}

impl Verification {
    fn node(mut self, hosted: &Hosted, root: &Principal, claim: &Claim) -> Outcome<Self> {
        let path = hosted.place(claim)?;
        let missing = || Failure::new(format!("node {:?} is not there", claim.node));
        let verified = hosted.verified(root, &path, time::now_ms())?.ok_or_else(missing)?;
        hosted.check(&verified)?;
        self.nodes += 1;
        self.bytes += verified.sealed_bytes();
        Ok(self)
    }

    fn done(self, json: bool) -> Outcome {
        let words = format!(
            "{} as {} signed, {}",
            words::count(self.nodes, "node"),
            if self.nodes == 1 { "it was" } else { "they were" },
            time::size(self.bytes)
        );
        if json {
            json::print(&self)?;
        } else {
            for refused in &self.refused {
                output::line(&escape::line(refused))?;
            }
            output::line(&words)?;
        }
        match self.refused.len() as u64 {
            0 => Ok(()),
            refused => Err(Failure::new(format!("{} refused", words::count(refused, "node")))
                .because("what is hosted is not what was signed")
                .next("export it anew, or copy it from where it is whole")),
        }
    }
}

fn folder(json: bool, folder: &Path, root: &Principal) -> Outcome {
    let hosted = Hosted::new(folder);
    let mut verification = Verification::default();
    for node in hosted.nodes()? {
        let Some(metadata) = hosted.metadata(node)? else { continue };
        let claim =
            Claim::read(&metadata).map_err(|error| Failure::new(format!("node {node:?} is refused")).because(error));
        let claim = claim.and_then(|claim| {
            let other =
                || Failure::new(format!("node {node:?} is refused")).because("its file is called like another node");
            if claim.node == node { Ok(claim) } else { Err(other()) }
        });
        let (nodes, bytes) = (verification.nodes, verification.bytes);
        let one = Verification { nodes, bytes, refused: vec![] };
        match claim.and_then(|claim| one.node(&hosted, root, &claim)) {
            Ok(one) => (verification.nodes, verification.bytes) = (one.nodes, one.bytes),
            Err(failure) => verification.refused.push(failure.sentence()),
        }
    }
    if verification.nodes == 0 && verification.refused.is_empty() {
        return Err(Failure::new(format!("there are no sealed nodes in {}", folder.display())));
    }
    verification.done(json)
}

fn readcap(json: bool, what: &Path, bytes: &[u8], root: &Principal) -> Outcome {
    let readcap = Readcap::verify(bytes, time::now_ms()).map_err(|error| parse::refused(what, error))?;
    if readcap.root() != *root {
        return Err(parse::refused(what, format!("it is for the store {}", readcap.root())));
    }
    let words = format!(
        "a readcap for node {}\n  {}\n  signed by {}",
        describe::path(readcap.path()),
        describe::expiry(readcap.expires_ms()),
        describe::issuer(&readcap.issuer(), readcap.is_by_root()),
    );
    let value = serde_json::json!({
        "node": describe::path(readcap.path()),
        "generation": readcap.generation(),
        "expires_at_ms": describe::expiry_at_ms(readcap.expires_ms()),
        "issuer": readcap.issuer().to_string(),
        "by_root": readcap.is_by_root(),
    });
    json::done(json, &words, &value)
}
