//! What apps ask for.

use schema::kernel_capnp::Image;

use super::kernel::Inventory;
use super::*;
use crate::asking::{Answer, Question};
use crate::problem::Problem;
use crate::requests::PENDING_LIMIT;

async fn asker(labels: usize) -> Node {
    let inventory = Inventory { processes: vec![(10, Image::Sandbox)], ..Inventory::default() };
    Node::recovered(vec![installed(labels), ran(10)], inventory).await
}

pub(super) fn question(label: &str) -> Question {
    Question {
        label: label.into(),
        interface: directory(),
        hint: "any".into(),
        rights: Rights::READ,
        reason: "\u{1b}[2Jto search".into(),
    }
}

pub(super) async fn ask(node: &Node, question: Question) -> Result<Answer, Problem> {
    node.core.ask("search".into(), question).await
}

#[test]
fn what_is_not_announced_is_refused_without_a_question() {
    run(async {
        let node = asker(1).await;
        for wrong in [
            question("other"),
            Question { interface: 7, ..question("l0") },
            Question { rights: Rights::ALL, ..question("l0") },
        ] {
            assert_eq!(ask(&node, wrong).await.unwrap(), Answer::Unannounced);
        }
        assert_eq!(node.core.state.borrow().requests.pending().count(), 0);
        assert_eq!(node.core.live.borrow().unannounced["search"], 3);
    });
}

#[test]
fn asking_ten_thousand_times_is_one_request_and_one_record() {
    run(async {
        let node = asker(1).await;
        let before = node.core.state.borrow().position;
        for _ in 0..10_000 {
            assert_eq!(ask(&node, question("l0")).await.unwrap(), Answer::Pending);
        }
        assert_eq!(node.core.state.borrow().requests.pending().count(), 1);
        assert_eq!(node.core.state.borrow().position, before + 1);
        assert_eq!(node.core.live.borrow().coalesced[&1], 9_999);
    });
}

#[test]
fn too_many_undecided_requests_are_refused_as_overload() {
    run(async {
        let node = asker(64).await;
        for number in 0..PENDING_LIMIT {
            assert_eq!(ask(&node, question(&format!("l{number}"))).await.unwrap(), Answer::Pending);
        }
        let refused = ask(&node, question(&format!("l{PENDING_LIMIT}"))).await;
        assert!(matches!(refused, Err(Problem::Busy(_))), "{refused:?}");
    });
}

#[test]
fn a_denial_reaches_who_waits_and_holds() {
    run(async {
        let node = asker(1).await;
        ask(&node, question("l0")).await.unwrap();
        let core = node.core.clone();
        let waiting = tokio::task::spawn_local(async move { core.decision("search", "l0").await });
        node.core.deny(1000, 1, false).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), Answer::Denied);
        assert_eq!(ask(&node, question("l0")).await.unwrap(), Answer::Denied);
        assert!(node.core.deny(1000, 1, false).await.is_err(), "it is decided");
    });
}
