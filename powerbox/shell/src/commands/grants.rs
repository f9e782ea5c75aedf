//! `latch grants`

use std::collections::{BTreeMap, HashSet};

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Grant;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time, words};
use crate::{json, output};

/// Lists who holds what
///
/// Every grant, those derived from it below it, what is left of its limits, what was used.
/// A holder can serve others with what it holds: read every line as "and whoever they serve".
#[derive(Debug, Args)]
#[command(after_help = "\
OPEN is yes while the holder is connected to the object. A * after what was used: the app that serves it says so.
Take #12 away with `latch revoke 12`; ask how it came about with `latch why 12`. (A shell takes #12 for a comment, where
it is not in quotes.)")]
pub(crate) struct Grants {
    /// Of this instance only
    instance: Option<String>,
    /// Also those that have ended
    #[arg(long, short)]
    all: bool,
    /// Also what parts of the node hold of each other, such as the store of the keys
    #[arg(long)]
    node: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Grants) -> Outcome {
    let mut grants = node.grants(command.all).await?;
    grants.retain(|grant| command.node || !grant.own);
    if let Some(instance) = &command.instance {
        grants.retain(|grant| grant.holder == *instance);
        if grants.is_empty() {
            node.know_instance(instance).await?;
        }
    }
    let grants = in_tree_order(grants);
    if context.json {
        return json::print(&grants);
    }
    if grants.is_empty() {
        return output::line(&match &command.instance {
            Some(instance) => format!("{} holds nothing", escape::line(instance)),
            None => "nothing is granted".to_owned(),
        });
    }
    output::text(&table(&grants, time::now_ms()).for_stdout())
}

/// Every grant below its parent, siblings by number. A grant whose parent is not listed stands at the top.
fn in_tree_order(grants: Vec<Grant>) -> Vec<Grant> {
    let listed: HashSet<u64> = grants.iter().map(|grant| grant.id).collect();
    let mut below: BTreeMap<u64, Vec<Grant>> = BTreeMap::new();
    for grant in grants {
        let parent = grant.parent.filter(|parent| listed.contains(parent) && *parent != grant.id);
        below.entry(parent.unwrap_or(0)).or_default().push(grant);
    }
    let mut ordered = Vec::new();
    let mut waiting = Vec::new();
    push_reversed(&mut waiting, below.remove(&0));
    while let Some(grant) = waiting.pop() {
        push_reversed(&mut waiting, below.remove(&grant.id));
        ordered.push(grant);
    }
    ordered
}

fn push_reversed(waiting: &mut Vec<Grant>, children: Option<Vec<Grant>>) {
    let mut children = children.unwrap_or_default();
    children.sort_by_key(|grant| std::cmp::Reverse(grant.id));
    waiting.extend(children);
}

fn table(grants: &[Grant], now_ms: u64) -> Table {
    let columns = [
        number("GRANT"),
        column("HOLDER"),
        column("LABEL"),
        wide("OBJECT"),
        column("RIGHTS"),
        column("OPEN"),
        wide("LEFT"),
        number("CALLS"),
        number("BYTES"),
        number("AGE"),
    ];
    let mut table = Table::new(&columns);
    for grant in grants {
        let indent = if grant.depth == 0 {
            String::new()
        } else {
            format!("{}└ ", "  ".repeat(usize::from(grant.depth).min(20) - 1))
        };
        let mark = if grant.self_reported { "*" } else { "" };
        table.row([
            &format!("#{}", grant.id),
            &format!("{indent}{}", grant.holder),
            &grant.label,
            &grant.offer,
            words::rights(grant.rights),
            if grant.open { "yes" } else { "no" },
            &left(grant, now_ms),
            &format!("{}{mark}", grant.used_calls),
            &format!("{}{mark}", time::size(grant.used_bytes)),
            &grant.granted_at_ms.map_or_else(String::new, |at| time::age(at, now_ms)),
        ]);
    }
    table
}

/// What is left of a grant: its end where it has one, else its limits; and how often it said no.
fn left(grant: &Grant, now_ms: u64) -> String {
    let mut limits = match grant.end_reason {
        Some(reason) => {
            let age = grant.ended_at_ms.map_or_else(String::new, |at| time::age(at, now_ms));
            vec![format!("{reason} {age} ago")]
        }
        None => limits(grant, now_ms),
    };
    if grant.refused > 0 {
        limits.push(format!("refused {} times", grant.refused));
    }
    limits.join("; ")
}

fn limits(grant: &Grant, now_ms: u64) -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(at) = grant.expires_at_ms {
        limits.push(format!("ends {}", time::until(at, now_ms)));
    }
    if let (Some(all), Some(left)) = (grant.calls, grant.calls_left) {
        limits.push(format!("{left} of {all} calls"));
    }
    if let (Some(all), Some(left)) = (grant.bytes, grant.bytes_left) {
        limits.push(format!("{} of {}", time::size(left), time::size(all)));
    }
    if let Some(quota) = grant.quota {
        limits.push(format!("stores at most {}", time::size(quota)));
    }
    if !grant.methods.is_empty() {
        limits.push(format!("only {}", grant.methods.join(" ")));
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(id: u64, parent: Option<u64>, depth: u16) -> Grant {
        Grant { refused: if id == 3 { 7 } else { 0 }, self_reported: id == 3, ..Grant::example(id, parent, depth) }
    }

    #[test]
    fn children_stand_below_their_parents() {
        let grants = vec![
            grant(5, Some(2), 1),
            grant(1, None, 0),
            grant(3, Some(1), 1),
            grant(2, None, 0),
            grant(4, Some(3), 2),
            grant(9, Some(8), 1),
        ];
        let order: Vec<u64> = in_tree_order(grants).iter().map(|grant| grant.id).collect();
        assert_eq!(order, [1, 3, 4, 2, 5, 9]);
    }

    #[test]
    fn a_grant_that_is_its_own_ancestor_hangs_nothing() {
        assert_eq!(in_tree_order(vec![grant(1, Some(1), 1)]).len(), 1);
        assert_eq!(in_tree_order(vec![grant(1, Some(2), 1), grant(2, Some(1), 1)]).len(), 0);
    }

    #[test]
    fn the_table_tells_what_is_left_and_who_says_so() {
        let text = table(&[grant(1, None, 0), grant(3, Some(1), 1)], 61_000).render(None);
        assert_eq!(
            text,
            "GRANT  HOLDER  LABEL  OBJECT      RIGHTS     OPEN  LEFT                                              CALLS  BYTES  AGE\n   \
             #1  app1    docs   host:/docs  read-only  yes   40 of 100 calls; only File.read                      60   2.0K   1m\n   \
             #3  └ app3  docs   host:/docs  read-only  yes   40 of 100 calls; only File.read; refused 7 times    60*  2.0K*   1m\n"
        );
    }
}
