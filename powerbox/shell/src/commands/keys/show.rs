//! `latch keys show`

use schema::keys_capnp::keyring;

use super::Context;
use crate::failure::Outcome;
use crate::keys;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time};
use crate::{json, output};

pub(super) async fn run(context: &Context, ring: &keyring::Client) -> Outcome {
    let status = keys::status(ring).await?;
    if context.json {
        return json::print(&status);
    }
    let mut words = match (status.protection, status.unlocked) {
        ("none", _) if !status.trouble.is_empty() => {
            "this node's keys cannot be used\n  next: latch keys restore BACKUP, which puts them aside".to_owned()
        }
        ("none", _) if super::has_store(&context.state) => {
            "this node has no keys, and a store that was sealed with keys that it had\n  next: latch keys restore BACKUP".to_owned()
        }
        ("none", _) => "this node has no keys yet\n  next: latch keys create".to_owned(),
        (protection, true) => format!("protected by {}, and open", protected_by(protection)),
        (protection, false) => {
            format!("protected by {}, and locked\n  next: latch keys unlock", protected_by(protection))
        }
    };
    if !status.trouble.is_empty() {
        words.push_str(&format!("\n  trouble: {}", escape::line(&status.trouble)));
    }
    if !status.tpm.is_empty() {
        words.push_str(&format!("\nTPM: {}", escape::line(&status.tpm)));
    }
    output::text(&format!("{}\n", context.state.told(&words)))?;
    if status.keys.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[column("FOR"), number("NUMBER"), column("SINCE"), wide("PUBLIC KEY")]);
    for key in &status.keys {
        let public = if key.public.is_empty() { "(seals, and signs nothing)" } else { &key.public };
        table.row([key.purpose, &key.generation.to_string(), &time::moment(key.made_at_ms), public]);
    }
    output::text(&table.for_stdout())
}

fn protected_by(protection: &str) -> &str {
    match protection {
        "tpm" => "this machine's TPM",
        "passphrase" => "a passphrase",
        other => other,
    }
}
