//! `latch requests`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Request;
use crate::text::table::{self, Table, column, wide};
use crate::text::{escape, time, words};
use crate::{json, output};

/// Lists what apps ask for and nobody has decided
///
/// What an app says of itself stands in quotes.
#[derive(Debug, Args)]
#[command(after_help = "\
Decide with:
  latch approve 4 host:./docs,ro
  latch deny 4")]
pub(crate) struct Requests {
    /// Of this instance only
    instance: Option<String>,
    /// Waits until there is one
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Requests) -> Outcome {
    let instance = command.instance.as_deref().unwrap_or("");
    let mut version = None;
    let mut requests = node.next_requests(instance, &mut version).await?;
    // Who waits may wait for one that is yet to be started.
    if requests.is_empty() && !command.wait && !instance.is_empty() {
        node.know_instance(instance).await?;
    }
    while command.wait && requests.is_empty() {
        requests = node.next_requests(instance, &mut version).await?;
    }
    if context.json {
        return json::print(&requests);
    }
    if requests.is_empty() {
        return output::line(&match instance {
            "" => "nothing is asked".to_owned(),
            _ => format!("{} asks for nothing", escape::line(instance)),
        });
    }
    output::text(&table(&requests).for_stdout())
}

/// A request's number on the command line.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| match text.strip_prefix('#') {
        Some(_) => format!("{text} is a grant; a request is a number without #, as `latch requests` lists it"),
        None => "a request is a number, as `latch requests` lists it".to_owned(),
    })
}

fn table(requests: &[Request]) -> Table {
    let columns = [
        table::number("REQUEST"),
        column("INSTANCE"),
        column("LABEL"),
        column("WANTS"),
        column("RIGHTS"),
        table::number("SINCE"),
        column("CAN BE"),
        wide("THE APP SAYS"),
    ];
    let mut table = Table::new(&columns);
    for request in requests {
        let said: Vec<String> = [&request.hint, &request.reason]
            .into_iter()
            .filter(|words| !words.is_empty())
            .map(|words| escape::quoted(words))
            .collect();
        table.row([
            &request.id.to_string(),
            &request.instance,
            &request.label,
            &request.interface_name,
            words::rights(request.rights),
            &request.asked_at_ms.map_or_else(String::new, |at| time::age(at, time::now_ms())),
            &request.providers.join(" "),
            &said.join(" "),
        ]);
    }
    table
}
