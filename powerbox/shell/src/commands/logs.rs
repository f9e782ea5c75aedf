//! `latch logs`

use std::io::IsTerminal as _;

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
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
    let logs = node.logs(&command.instance).await?;
    if context.json {
        let output = String::from_utf8_lossy(&logs.output);
        return json::print(&Row { instance: &command.instance, output: &output, dropped_bytes: logs.dropped_bytes });
    }
    if logs.dropped_bytes > 0 {
        eprintln!("latch: the first {} bytes are gone; this is what is kept", time::size(logs.dropped_bytes));
    }
    if !std::io::stdout().is_terminal() {
        return output::bytes(&logs.output);
    }
    let mut filter = Filter::default();
    output::bytes(&filter.pass(&logs.output))?;
    output::bytes(&filter.finish())
}
