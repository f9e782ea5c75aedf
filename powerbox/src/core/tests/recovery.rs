//! A powerbox that was started again, against a kernel that went on meanwhile.

use schema::kernel_capnp::{Image, Outcome};
use vat::door::Carries;
use vat::words::EndReason;

use super::kernel::{Command, Inventory};
use super::*;

#[test]
fn open_grants_are_taken_over_undisturbed() {
    run(async {
        let records = vec![installed(4), ran(10), granted(1, 0, "l0", read_only())];
        let inventory = Inventory {
            processes: vec![(10, Image::Sandbox), (11, Image::Folder)],
            links: vec![(100, 1, 11, 10)],
            tombstones: vec![],
        };
        let node = Node::new(records);
        let recovering = tokio::task::spawn_local(node.core.clone().recover());
        node.kernel.give_inventory(&inventory).await;
        let mut sessions = Vec::new();
        while !recovering.is_finished() {
            tokio::select! {
                () = tokio::task::yield_now(), if recovering.is_finished() => {}
                command = node.kernel.agree() => match command {
                    Command::Link { carries: Carries::Session, client, .. } => {
                        sessions.push(client);
                        if sessions.len() == 2 { break }
                    }
                    other => assert!(matches!(other, Command::Forget(_)), "{other:?}"),
                }
            }
        }
        recovering.await.unwrap().unwrap();
        assert_eq!(sessions, [10, 11], "both get a session again");
        assert_eq!(node.core.live.borrow().open.get(&1), Some(&100));
        assert_eq!(node.ended_on_disk(), []);
        // And what it takes over it can take away.
        let core = node.core.clone();
        tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "").await });
        assert!(matches!(node.kernel.command().await, Command::Cut { grants, .. } if grants == [1]));
    });
}

#[test]
fn tombstones_are_recorded_before_anything_else_and_then_dropped() {
    run(async {
        let records = vec![
            installed(4),
            ran(10),
            granted(1, 0, "l0", read_only()),
            granted(2, 1, "l1", read_only()),
            granted(3, 0, "l2", read_only()),
        ];
        let node = Node::new(records);
        let recovering = tokio::task::spawn_local(node.core.clone().recover());
        let inventory = Inventory {
            processes: vec![(10, Image::Sandbox), (11, Image::Folder)],
            // The child of what was cut was not cut any more: the powerbox died before.
            links: vec![(101, 2, 11, 10), (102, 3, 11, 10)],
            tombstones: vec![1, 77],
        };
        node.kernel.give_inventory(&inventory).await;
        let cut = node.kernel.command().await;
        assert_eq!(cut, Command::Cut { grants: vec![1, 2], links: vec![], reason: EndReason::Revoked });
        assert_eq!(node.ended_on_disk(), [(1, EndReason::Revoked), (2, EndReason::Revoked)]);
        node.kernel.answer(Outcome::Ok);
        node.kernel.agree_until(recovering).await.unwrap();
        let state = node.core.state.borrow();
        assert_eq!(state.label("search", "l0"), crate::state::LabelState::Revoked(1));
        assert!(state.grants.is_alive(3));
        assert_eq!(node.core.live.borrow().open.get(&3), Some(&102));
    });
}

#[test]
fn links_of_grants_that_the_log_does_not_know_are_cut() {
    run(async {
        let node = Node::new(vec![installed(4), ran(10)]);
        let recovering = tokio::task::spawn_local(node.core.clone().recover());
        let inventory = Inventory {
            processes: vec![(10, Image::Sandbox), (11, Image::Folder)],
            links: vec![(100, 9, 11, 10)],
            tombstones: vec![],
        };
        node.kernel.give_inventory(&inventory).await;
        assert!(matches!(node.kernel.agree().await, Command::Cut { grants, .. } if grants == [9]));
        node.kernel.agree_until(recovering).await.unwrap();
        assert!(node.core.live.borrow().open.is_empty());
    });
}

#[test]
fn what_ended_meanwhile_is_recorded_and_what_nobody_knows_is_stopped() {
    run(async {
        let node = Node::new(vec![installed(4), ran(10)]);
        let recovering = tokio::task::spawn_local(node.core.clone().recover());
        // A sandbox that no record names: started, and the record was lost.
        let inventory = Inventory { processes: vec![(12, Image::Sandbox)], ..Inventory::default() };
        node.kernel.give_inventory(&inventory).await;
        let mut stopped = false;
        while !stopped {
            stopped = node.kernel.agree().await == Command::Stop { process: 12, kill: true };
        }
        node.kernel.agree_until(recovering).await.unwrap();
        assert!(!node.core.state.borrow().instances["search"].running);
        assert!(node.on_disk().iter().any(|record| matches!(record, Record::Exited(exited) if exited.process == 10)));
    });
}

#[test]
fn numbers_are_never_used_twice() {
    run(async {
        let node = Node::recovered(vec![installed(1)], Inventory::default()).await;
        let first = node.core.new_id().unwrap();
        let reserved = |node: &Node| {
            node.on_disk().into_iter().rev().find_map(|record| match record {
                Record::Reserved(up_to) => Some(up_to),
                _ => None,
            })
        };
        assert!(reserved(&node).unwrap() >= first, "reserved on the disk before it is given out");
        // What comes after a restart is above everything that may have been given out.
        let again = Node::recovered(vec![Record::Reserved(reserved(&node).unwrap())], Inventory::default()).await;
        assert!(again.core.new_id().unwrap() > reserved(&node).unwrap());
    });
}

/// More than fit into one command to the kernel, or into one record.
const MANY: u64 = 10_050;

/// Recovers against this kernel; every grant that was cut, in commands of at most so many.
async fn recovered_after_cuts(node: &Node, inventory: &Inventory) -> Vec<u64> {
    let mut recovering = tokio::task::spawn_local(node.core.clone().recover());
    node.kernel.give_inventory(inventory).await;
    let mut cut = Vec::new();
    loop {
        tokio::select! {
            done = &mut recovering => {
                done.unwrap().unwrap();
                return cut;
            }
            command = node.kernel.agree() => match command {
                Command::Cut { grants, links, .. } => {
                    assert!(grants.len() + links.len() <= 4_000, "{} and {}", grants.len(), links.len());
                    cut.extend(grants.into_iter().chain(links));
                }
                Command::Forget(grants) => assert!(grants.len() <= 4_000, "{}", grants.len()),
                _ => {}
            }
        }
    }
}

#[test]
fn very_many_grants_that_the_log_does_not_know_are_cut() {
    run(async {
        let node = Node::new(vec![installed(1), ran(10), granted(1, 0, "l0", read_only())]);
        let processes = vec![(10, Image::Sandbox), (11, Image::Folder)];
        let unknown = (0..MANY).map(|number| (100 + number, 5 + number, 11, 10));
        // And as many second links of a grant that it does know.
        let second = (0..MANY).map(|number| (200_000 + number, 1, 11, 10));
        let links = unknown.chain([(50, 1, 11, 10)]).chain(second).collect();
        let cut = recovered_after_cuts(&node, &Inventory { processes, links, tombstones: vec![] }).await;
        assert_eq!(cut, (5..5 + MANY).chain(200_000..200_000 + MANY).collect::<Vec<_>>());
        assert_eq!(node.core.live.borrow().open.get(&1), Some(&50));
    });
}

#[test]
fn very_many_tombstones_are_recorded() {
    run(async {
        let grants = (1..=MANY).map(|grant| granted(grant, 0, &format!("l{grant}"), read_only()));
        let node = Node::new([installed(1), ran(10)].into_iter().chain(grants).collect());
        let inventory = Inventory {
            processes: vec![(10, Image::Sandbox)],
            tombstones: (1..=MANY).collect(),
            ..Inventory::default()
        };
        let cut = recovered_after_cuts(&node, &inventory).await;
        let all: Vec<u64> = (1..=MANY).collect();
        assert_eq!(cut, all);
        assert_eq!(node.ended_on_disk(), all.into_iter().map(|grant| (grant, EndReason::Revoked)).collect::<Vec<_>>());
    });
}

#[test]
fn what_had_to_end_anyway_is_not_called_revoked() {
    run(async {
        let expired = Caveats { expires_at_ms: 2_000, ..read_only() };
        let used_up = Caveats { calls: Some(0), ..read_only() };
        let Record::Granted(of_shell) = granted(3, 0, "l2", read_only()) else { panic!("not a grant") };
        let of_shell = Granted { holder: Holder::Shell { process: 99, uid: 1 }, transient: true, ..*of_shell };
        let records = vec![
            installed(5),
            ran(10),
            granted(1, 0, "l0", expired),
            granted(2, 1, "l1", read_only()),
            Record::Granted(Box::new(of_shell)),
            granted(4, 0, "l3", used_up),
            granted(5, 0, "l4", read_only()),
        ];
        let inventory = Inventory {
            processes: vec![(10, Image::Sandbox)],
            tombstones: vec![1, 2, 3, 4, 5],
            ..Inventory::default()
        };
        let node = Node::recovered(records, inventory).await;
        let mut ended = node.ended_on_disk();
        ended.sort_unstable_by_key(|(grant, _)| *grant);
        let (expired, closed) = (EndReason::Expired, EndReason::Closed);
        let expected = [(1, expired), (2, expired), (3, closed), (4, EndReason::Exhausted), (5, EndReason::Revoked)];
        assert_eq!(ended, expected);
    });
}
