//! `latch store show`

use std::collections::HashMap;

use schema::storage_capnp::store::Client;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::{Grant, StoreAccount, StoreStatus};
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time, words};
use crate::{json, output, store};

pub(super) async fn run(context: &Context, node: &Node, object: &Client) -> Outcome {
    let answer = store::ask(object.status_request().send()).await?;
    let mut status = StoreStatus::read(answer.get()?.get_status()?)?;
    // Also those that have ended: what they stored is still there.
    name_accounts(&mut status, node.grants(true).await?);
    if context.json {
        return json::print(&status);
    }
    output::text(&context.state.told(&words_of(&status)))?;
    if status.accounts.is_empty() {
        return Ok(());
    }
    output::text(&table(&status).for_stdout())
}

fn name_accounts(status: &mut StoreStatus, grants: Vec<Grant>) {
    let grants: HashMap<u64, Grant> = grants.into_iter().map(|grant| (grant.id, grant)).collect();
    for account in &mut status.accounts {
        let grant = grants.get(&account.grant);
        account.holder = grant.map(Grant::name);
        account.offer = grant.map(|grant| grant.offer.clone());
        account.by_hand = grant.is_some_and(Grant::is_of_a_shell);
    }
}

fn words_of(status: &StoreStatus) -> String {
    let mut text = String::new();
    if !status.trouble.is_empty() {
        text.push_str(&format!("trouble: {}\n", escape::line(&status.trouble)));
    }
    if !status.unlocked {
        text.push_str("locked\n  next: latch keys says whether there are keys, and whether they are open\n");
    }
    text.push_str(&format!(
        "{} in {}, of which {} are in use; {}, {}, {}, {}\n",
        time::size(status.bytes),
        words::count(status.segments, "segment"),
        time::size(status.live_bytes),
        words::count(status.files, "file"),
        if status.directories == 1 { "1 directory".to_owned() } else { format!("{} directories", status.directories) },
        words::count(status.snapshots, "snapshot"),
        words::count(status.commits, "commit"),
    ));
    if let Some(root) = &status.root {
        text.push_str(&format!("root principal, by which others know it: {root}\n"));
    }
    text
}

fn table(status: &StoreStatus) -> Table {
    let mut table =
        Table::new(&[number("GRANT"), column("HOLDER"), wide("OBJECT"), number("STORES"), number("SET ASIDE")]);
    let of_apps = status.accounts.iter().filter(|account| !account.by_hand && account.holder.is_some());
    for account in of_apps {
        table.row([
            &format!("#{}", account.grant),
            account.holder.as_deref().unwrap_or_default(),
            account.offer.as_deref().unwrap_or_default(),
            &time::size(account.used_bytes),
            &time::size(account.reserved_bytes),
        ]);
    }
    // Each use by hand is a grant of its own, and nobody looks for one of them.
    let by_hand = |account: &&StoreAccount| account.by_hand;
    let forgotten = |account: &&StoreAccount| account.holder.is_none();
    let sums = [("by hand", "this shell and earlier ones", sum(status.accounts.iter().filter(by_hand)))];
    let sums = sums.into_iter().chain([("(not known any more)", "-", sum(status.accounts.iter().filter(forgotten)))]);
    for (holder, offer, (grants, used_bytes, reserved_bytes)) in sums.filter(|(_, _, (grants, ..))| *grants > 0) {
        let grants = words::count(grants, "grant");
        table.row([&grants, holder, offer, &time::size(used_bytes), &time::size(reserved_bytes)]);
    }
    table
}

/// How many accounts these are, and what they store and have set aside.
fn sum<'a>(accounts: impl Iterator<Item = &'a StoreAccount>) -> (u64, u64, u64) {
    accounts.fold((0, 0, 0), |(count, used, reserved), account| {
        (count + 1, used.saturating_add(account.used_bytes), reserved.saturating_add(account.reserved_bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_the_names_of_their_grants() {
        let mut status = StoreStatus::example(&[3, 4, 5, 6]);
        let by_hand = |id| Grant { holder: "shell (uid 0)".into(), ..Grant::example(id, None, 0) };
        name_accounts(&mut status, vec![Grant::example(3, None, 0), by_hand(4), by_hand(5)]);
        assert_eq!(
            table(&status).render(None),
            "   GRANT  HOLDER                OBJECT                       STORES  SET ASIDE\n      \
                #3  app3:docs             host:/docs                     2.0K         0B\n\
             2 grants  by hand               this shell and earlier ones    4.0K         0B\n \
              1 grant  (not known any more)  -                              2.0K         0B\n"
        );
    }

    #[test]
    fn trouble_comes_first() {
        let mut status = StoreStatus::example(&[]);
        assert_eq!(
            words_of(&status),
            "4.0K in 1 segment, of which 3.0K are in use; 2 files, 1 directory, 0 snapshots, 9 commits\nroot principal, by which others know it: aa\n"
        );
        (status.unlocked, status.trouble) = (false, "the node's keys are locked".into());
        assert!(words_of(&status).starts_with("trouble: the node's keys are locked\nlocked\n  next: latch keys"));
    }
}
