//! `latch logs`

use std::io::IsTerminal as _;

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::signals::unless_interrupted;
use crate::text::filter::Filter;
use crate::text::time;
use crate::{json, output};

/// Shows what a detached run printed
///
/// As far as it is kept. On a terminal only text and colours pass.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The instance, as `latch ps --all` lists it
    instance: String,
}

#[derive(Serialize)]
struct Row<'a> {
    instance: &'a str,
    /// U+FFFD for what is not UTF-8.
    output: &'a str,
    dropped_bytes: u64,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Logs) -> Outcome {
    unless_interrupted(show(context, node, command)).await
}

async fn show(context: &Context, node: &Node, command: Logs) -> Outcome {
    let mut piece = node.logs(&command.instance, 0).await?;
    // What is printed meanwhile is for the next time.
    let end = piece.end;
    let mut dropped_bytes = piece.at;
    if !context.json && dropped_bytes > 0 {
        output::error(&format!("latch: the first {} are gone; this is what is kept", time::size(dropped_bytes)));
    }
    let mut filter = std::io::stdout().is_terminal().then(Filter::default);
    let mut collected = Vec::new();
    loop {
        match &mut filter {
            _ if context.json => collected.extend_from_slice(&piece.output),
            Some(filter) => shown(&filter.pass(&piece.output))?,
            None => output::bytes(&piece.output)?,
        }
        let shown = piece.at + piece.output.len() as u64;
        if piece.output.is_empty() || shown >= end {
            break;
        }
        piece = node.logs(&command.instance, shown).await?;
        let gone = piece.at.saturating_sub(shown);
        if !context.json && gone > 0 {
            output::error(&format!("latch: {} went while this was shown", time::size(gone)));
        }
        dropped_bytes += gone;
    }
    if context.json {
        let output = String::from_utf8_lossy(&collected);
        return json::print(&Row { instance: &command.instance, output: &output, dropped_bytes });
    }
    filter.map_or(Ok(()), |mut filter| shown(&filter.finish()))
}

fn shown(words: &[u8]) -> Outcome {
    output::check(output::others(&mut std::io::stdout(), words))
}
