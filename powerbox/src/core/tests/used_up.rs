//! Budgets that are used up: whoever waits for more is told, and nobody is left waiting.

use schema::kernel_capnp::Image;
use vat::words::EndReason;

use super::kernel::{Command, Inventory};
use super::*;
use crate::record::Leased;
use crate::sessions::Reported;
use crate::state::LabelState;

/// `search` runs as 10; the folder's process is 11.
async fn node(records: Vec<Record>, links: Vec<(u64, u64, u64, u64)>) -> Node {
    let processes = vec![(10, Image::Sandbox), (11, Image::Folder)];
    let inventory = Inventory { processes, links, ..Inventory::default() };
    Node::recovered([vec![installed(4), ran(10)], records].concat(), inventory).await
}

fn limited(calls: u64) -> Caveats {
    Caveats { calls: Some(calls), ..read_only() }
}

/// What the holder is told next of its label.
async fn told(node: &Node) -> (String, EndReason) {
    loop {
        if let Command::Notice { process: 10, label, reason } = node.kernel.agree().await {
            return (label, reason);
        }
    }
}

#[test]
fn who_waits_for_a_link_that_cannot_be_made_is_told_that_the_budget_is_used_up() {
    run(async {
        // All of the first grant is set aside for its child.
        let node =
            node(vec![granted(1, 0, "l0", limited(10)), granted(2, 1, "l1", limited(10))], vec![(101, 2, 11, 10)]);
        let node = node.await;
        node.core.open_soon(1);
        assert_eq!(told(&node).await, ("l0".to_owned(), EndReason::Exhausted));
        assert!(node.core.state.borrow().grants.is_alive(1), "its child lives by it");
    });
}

#[test]
fn who_waits_while_a_grant_ends_is_told_how_it_ended() {
    run(async {
        let node = node(vec![granted(1, 0, "l0", read_only())], vec![]).await;
        let core = node.core.clone();
        let ending =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "").await });
        assert_eq!(told(&node).await, ("l0".to_owned(), EndReason::Revoked));
        node.kernel.agree_until(ending).await.unwrap();
    });
}

#[test]
fn a_grant_ends_where_a_message_did_not_fit_into_the_rest_of_its_budget() {
    run(async {
        let caveats = Caveats { bytes: Some(100), ..read_only() };
        let leased = Leased { grant: 1, link: 100, calls: 0, bytes: 100 };
        let records = vec![granted(1, 0, "l0", caveats), Record::Leased(leased)];
        let node = node(records, vec![(100, 1, 11, 10)]).await;
        node.kernel.link_ended(100, EndReason::Closed);
        node.core.bells.links.until(|| (!node.core.live.borrow().open.contains_key(&1)).then_some(())).await;
        let totals = crate::usage::Totals::default();
        let (methods, last) = (Vec::new(), Some((0, 32)));
        let report = Reported { methods, link: 100, grant: 1, totals, last, misbehaved: None, exhausted: true };
        node.core.reported(11, &[report]);
        assert_eq!(told(&node).await, ("l0".to_owned(), EndReason::Exhausted));
        // The next time it asks, it is refused at once.
        assert_eq!(node.core.state.borrow().label("search", "l0"), LabelState::Exhausted(1));
    });
}
