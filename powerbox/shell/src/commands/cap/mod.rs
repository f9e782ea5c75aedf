//! `latch cap`: who may read and write parts of the store elsewhere, and those parts as anybody may host them.
//!
//! What gives and takes is done by a node; what only uses what was given works on a machine without one.

mod describe;
mod export;
mod give;
mod keys;
mod narrow;
mod open;
mod parse;
mod reading;
mod verify;
mod write;

use clap::{Args, Subcommand};

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;

/// Lets others read and write parts of the store elsewhere
///
/// A readcap lets the holder of a key read a file, or a folder with all below it, wherever its sealed nodes are hosted: who hosts
/// them sees neither names nor contents, nor who reads. A writecap lets the holder of a key write there until it expires.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch cap reader-key                                          Ada makes her key, and tells you its public half
  latch cap issue storage:/notes --for KEY --out ada.readcap    you give her what she reads with
  latch cap export storage:/notes --out shared                  and host it, or let anybody host it
  latch cap verify shared --root PRINCIPAL                      who hosts it makes sure that it is whole
  latch cap open ada.readcap --from shared --out notes          Ada reads it, without a node
  latch cap revoke-reader storage:/notes KEY                    what is exported from now on, she does not
reader-key, writer-key, verify, open, narrow, write-narrow and write-verify need no node.")]
pub(crate) struct Cap {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    ReaderKey(keys::ReaderKey),
    WriterKey(keys::WriterKey),
    Issue(give::Issue),
    Readers(give::Readers),
    RevokeReader(give::RevokeReader),
    Export(export::Export),
    Verify(verify::Verify),
    Open(open::Open),
    Narrow(narrow::Narrow),
    WriteIssue(write::WriteIssue),
    WriteNarrow(write::WriteNarrow),
    WriteVerify(write::WriteVerify),
}

impl Cap {
    /// Whether it is done by a node.
    pub(crate) fn needs_node(&self) -> bool {
        matches!(self.act, Act::Issue(_) | Act::Readers(_) | Act::RevokeReader(_) | Act::Export(_) | Act::WriteIssue(_))
    }
}

/// What needs a node.
pub(crate) async fn run(context: &Context, node: &Node, command: Cap) -> Outcome {
    match command.act {
        Act::Issue(command) => give::issue(context, node, command).await,
        Act::Readers(command) => give::readers(context, node, command).await,
        Act::RevokeReader(command) => give::revoke_reader(context, node, command).await,
        Act::Export(command) => export::run(context, node, command).await,
        Act::WriteIssue(command) => write::issue(context, node, command).await,
        act => offline(context.json, Cap { act }),
    }
}

/// What does not.
pub(crate) fn offline(json: bool, command: Cap) -> Outcome {
    match command.act {
        Act::ReaderKey(command) => keys::reader(json, command),
        Act::WriterKey(command) => keys::writer(json, command),
        Act::Verify(command) => verify::run(json, &command),
        Act::Open(command) => open::run(json, &command),
        Act::Narrow(command) => narrow::run(json, &command),
        Act::WriteNarrow(command) => write::narrow(json, &command),
        Act::WriteVerify(command) => write::verify(json, &command),
        // Done by a node.
        Act::Issue(_) | Act::Readers(_) | Act::RevokeReader(_) | Act::Export(_) | Act::WriteIssue(_) => Ok(()),
    }
}
