//! `latch log`

use clap::Args;

use super::Context;
use crate::failure::{Failure, Outcome};
use crate::node::Node;
use crate::rows::{Record, Verification};
use crate::text::{escape, time, words};
use crate::{json, keys, output};

/// Shows the record of everything that was decided, or proves that it is whole
///
/// Oldest first. Every record binds those before it, and the node signs its end from time to time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch log -n 20
  latch log --follow
  latch log --verify      exit code 1: a record was changed, removed or moved
Keep the head that --verify prints somewhere else: with it, a removed end shows as well.")]
pub(crate) struct Log {
    /// Stays and shows what comes
    #[arg(long, short, conflicts_with = "verify")]
    follow: bool,
    /// Proves that nothing was changed, removed or moved
    #[arg(long)]
    verify: bool,
    /// Only the last N records
    #[arg(long, short = 'n', value_name = "N", conflicts_with = "verify")]
    last: Option<usize>,
    /// Only records after this position
    #[arg(long, value_name = "POSITION", default_value_t = 0, conflicts_with = "verify")]
    after: u64,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Log) -> Outcome {
    if command.verify {
        return verify(context, node).await;
    }
    let mut position = command.after;
    let mut records = Vec::new();
    loop {
        let (page, last) = node.log(position, false).await?;
        let Some(newest) = page.last() else { break };
        position = newest.position;
        records.extend(page);
        match command.last {
            Some(wanted) => drop(records.drain(..records.len().saturating_sub(wanted))),
            None => show(context, &std::mem::take(&mut records))?,
        }
        if position >= last {
            break;
        }
    }
    show(context, &records)?;
    if command.follow { follow(context, node, position).await } else { Ok(()) }
}

/// Shows what comes; ends only with the node.
async fn follow(context: &Context, node: &Node, mut position: u64) -> Outcome {
    loop {
        let (page, _) = node.persist(|| node.log(position, true)).await?;
        position = page.last().map_or(position, |record| record.position);
        show(context, &page)?;
    }
}

fn show(context: &Context, records: &[Record]) -> Outcome {
    for record in records {
        if context.json {
            json::print(record)?;
        } else {
            output::line(&render(record))?;
        }
    }
    Ok(())
}

fn render(record: &Record) -> String {
    let at = record.at_ms.map_or_else(|| "-".to_owned(), time::moment);
    format!("{:>6}  {at}  {:<12}  {}", record.position, escape::line(&record.kind), escape::line(&record.text))
}

async fn verify(context: &Context, node: &Node) -> Outcome {
    let verification = node.verify_log().await?;
    if context.json {
        json::print(&verification)?;
    } else {
        output::text(&describe(&verification))?;
    }
    if verification.checkpoints > 0 && !keys_are_open(node).await {
        // On the error stream: what was asked for is as it is.
        output::error(
            "the keys are locked, so that which keys the log was signed with comes from a file that whoever has the disk \
             can change: `latch keys unlock`, then verify again",
        );
    }
    if verification.ok {
        return Ok(());
    }
    let failure = Failure::new(if verification.unknown_key { "the log is not proven" } else { "the log is not whole" })
        .because(verification.problem.unwrap_or_else(|| "no reason was given".to_owned()));
    let compare = "compare it with a copy or a head that you kept elsewhere";
    Err(failure.next(match verification.unknown_key {
        true => format!("{}\nwhere there never was a newer one: {compare}", keys::restore_newer(&context.state)),
        false => compare.to_owned(),
    }))
}

async fn keys_are_open(node: &Node) -> bool {
    match keys::keyring(node).await {
        Ok(ring) => keys::status(&ring).await.is_ok_and(|status| status.unlocked),
        Err(_) => false,
    }
}

fn describe(verification: &Verification) -> String {
    let verdict = match (verification.ok, verification.unknown_key) {
        (true, _) => "whole",
        (false, true) => "NOT PROVEN",
        (false, false) => "NOT WHOLE",
    };
    let unsigned = match verification.tail_unsigned {
        0 => "all of them signed".to_owned(),
        tail => format!("the last {tail} not signed yet"),
    };
    format!(
        "the log is {verdict}: {}, {}, {unsigned}\nhead     {}\nlog key  {}\n",
        words::count(verification.records, "record"),
        words::count(verification.checkpoints, "checkpoint"),
        verification.head,
        verification.log_key
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_on_one_line() {
        let record = Record {
            position: 7,
            at_ms: Some(1_000),
            kind: "granted".into(),
            text: "search:docs\n8 forged".into(),
            hash: String::new(),
            fields: Default::default(),
        };
        assert_eq!(render(&record), "     7  1970-01-01 00:00:01Z  granted       search:docs\\n8 forged");
    }
}
