//! `latch offers`

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::text::table::{Table, column, number, wide};
use crate::text::words;
use crate::{json, output};

/// Lists what can be granted
///
/// A name that ends in a word in capitals takes yours: `host:PATH` is any folder that you may
/// open yourself.
#[derive(Debug, Args)]
pub(crate) struct Offers {}

pub(crate) async fn run(context: &Context, node: &Node) -> Outcome {
    let offers = node.offers().await?;
    if context.json {
        return json::print(&offers);
    }
    if offers.is_empty() {
        return output::line("nothing is offered");
    }
    let mut table =
        Table::new(&[wide("OFFER"), column("KIND"), column("AT MOST"), number("OPEN GRANTS"), column("SERVED BY")]);
    for offer in &offers {
        table.row([
            &offer.name,
            &offer.interface_name,
            words::rights(offer.rights),
            &offer.grants.to_string(),
            &offer.provider,
        ]);
    }
    output::text(&table.for_stdout())
}
