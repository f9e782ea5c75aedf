//! Grants and their ends, step by step.

use schema::kernel_capnp::{Image, Outcome};
use vat::door::{Carries, Lease};
use vat::words::EndReason;

use super::kernel::{Command, Inventory};
use super::*;
use crate::core::Renewal;
use crate::live::{Kind, Process};
use crate::record::Leased;

/// `search` runs as 10 and holds grant 1 with its child 2; both are open to a folder's process 11.
async fn open() -> Node {
    let records = vec![installed(4), ran(10), granted(1, 0, "l0", read_only()), granted(2, 1, "l1", read_only())];
    let inventory = Inventory {
        processes: vec![(10, Image::Sandbox), (11, Image::Folder)],
        links: vec![(100, 1, 11, 10), (101, 2, 11, 10)],
        tombstones: vec![],
    };
    Node::recovered(records, inventory).await
}

#[test]
fn a_revocation_is_cut_then_recorded_then_told() {
    run(async {
        let node = open().await;
        let core = node.core.clone();
        let revoking =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "enough").await });
        // First the kernel, with everything below; nothing is written before it has answered.
        let cut = Command::Cut { grants: vec![1, 2], links: vec![], reason: EndReason::Revoked };
        assert_eq!(node.kernel.command().await, cut);
        assert_eq!(node.ended_on_disk(), []);
        // Nothing is linked for them meanwhile, and no grant below them is made.
        assert!(node.core.open_grant(1).await.is_err());
        node.kernel.answer(Outcome::Ok);
        // The tombstones are dropped when the disk has it, and not before.
        assert_eq!(node.kernel.command().await, Command::Forget(vec![1, 2]));
        assert_eq!(node.ended_on_disk(), [(1, EndReason::Revoked), (2, EndReason::Revoked)]);
        assert!(!revoking.is_finished(), "the servers have not confirmed yet");
        node.kernel.answer(Outcome::Ok);
        node.kernel.quiet(100);
        node.kernel.quiet(101);
        let done = revoking.await.unwrap().unwrap();
        assert_eq!((done.grants.as_slice(), done.links, done.quiet), ([1, 2].as_slice(), 2, 2));
        assert_eq!(done.unconfirmed, Vec::<String>::new());
    });
}

#[test]
fn a_server_that_does_not_confirm_is_named() {
    run(async {
        let node = open().await;
        let core = node.core.clone();
        let revoking =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[2], EndReason::Revoked, "").await });
        let done = node.kernel.agree_until(revoking).await.unwrap();
        assert_eq!((done.links, done.quiet, done.unconfirmed.len()), (1, 0, 1));
        // Who was not cut is not disturbed.
        assert!(node.core.live.borrow().open.contains_key(&1));
    });
}

#[test]
fn a_cut_that_the_kernel_refuses_is_not_called_a_revocation() {
    run(async {
        let node = open().await;
        let core = node.core.clone();
        let revoking =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "").await });
        node.kernel.command().await;
        node.kernel.answer(Outcome::Refused);
        assert!(revoking.await.unwrap().is_err());
        assert_eq!(node.ended_on_disk(), []);
        assert!(node.core.state.borrow().grants.is_alive(1));
    });
}

/// A grant of so many calls; its holder runs as 10, and nobody is linked yet.
async fn limited(calls: u64) -> Node {
    let caveats = Caveats { calls: Some(calls), ..read_only() };
    let node = Node::recovered(vec![installed(4), granted(1, 0, "l0", caveats)], Inventory::default()).await;
    let mut app = Process::starting(Kind::App { instance: "search".into() }, Some(Image::Sandbox), "search".into());
    app.confined = true;
    node.core.live.borrow_mut().processes.insert(10, app);
    node
}

/// Opens grant 1 up to the command for its link; the link and its server.
async fn open_to_link(node: &Node) -> (u64, u64, tokio::task::JoinHandle<Result<(), crate::problem::Problem>>) {
    let core = node.core.clone();
    let opening = tokio::task::spawn_local(async move { core.open_grant(1).await });
    let mut folder = 0;
    loop {
        match node.kernel.command().await {
            Command::Start { process, image: Image::Folder, restart: true } => {
                folder = process;
                node.kernel.answer(Outcome::Ok);
                node.kernel.confined(process);
            }
            Command::Link { carries: Carries::Session, .. } => node.kernel.answer(Outcome::Ok),
            Command::Link { link, grant: 1, server, client: 10, .. } => {
                assert!(folder == 0 || server == folder);
                return (link, server, opening);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A server's last word on a link, of whose lease so many calls were not used.
fn last(link: u64, unused: u64) -> crate::sessions::Reported {
    crate::sessions::Reported {
        methods: Vec::new(),
        link,
        grant: 1,
        totals: crate::usage::Totals { calls: 4, ..crate::usage::Totals::default() },
        last: Some((unused, 0)),
        misbehaved: None,
        exhausted: false,
    }
}

fn leased_on_disk(node: &Node) -> Vec<Leased> {
    let leased = node.on_disk().into_iter().filter_map(|record| match record {
        Record::Leased(leased) => Some(leased),
        _ => None,
    });
    leased.collect()
}

#[test]
fn a_lease_is_on_the_disk_before_its_link_is_made() {
    run(async {
        let node = limited(10).await;
        let (link, _, opening) = open_to_link(&node).await;
        assert_eq!(leased_on_disk(&node), [Leased { grant: 1, link, calls: 10, bytes: 0 }]);
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(0));
    });
}

#[test]
fn a_link_that_was_not_made_costs_no_budget() {
    run(async {
        let node = limited(10).await;
        let (_, _, opening) = open_to_link(&node).await;
        node.kernel.answer(Outcome::Tombstone);
        assert!(opening.await.unwrap().is_err());
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(10));
        assert!(!node.core.live.borrow().open.contains_key(&1));
    });
}

#[test]
fn an_orderly_end_returns_what_was_not_used_and_a_crash_does_not() {
    run(async {
        let node = limited(10).await;
        let (link, server, opening) = open_to_link(&node).await;
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        node.kernel.link_ended(link, EndReason::Closed);
        node.core.bells.links.until(|| (!node.core.live.borrow().open.contains_key(&1)).then_some(())).await;
        // Another process has nothing to say about it; and nobody gives back more than there was.
        node.core.reported(server + 1, &[last(link, 10)]);
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(0));
        node.core.reported(server, &[last(link, 6)]);
        node.core.reported(server, &[last(link, 6)]);
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(6));
        let (link, server, opening) = open_to_link(&node).await;
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        node.kernel.link_ended(link, EndReason::Restarted);
        node.kernel.restarts(server);
        let lost = node.core.bells.leases.until(|| {
            let state = node.core.state.borrow();
            state.grants.get(1).is_none_or(|node| node.lease.is_none()).then_some(())
        });
        lost.await;
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(0));
    });
}

#[test]
fn the_death_of_an_app_costs_nothing_of_its_budget() {
    run(async {
        let node = limited(10).await;
        let (link, server, opening) = open_to_link(&node).await;
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        // The kernel ends the links of what died before it tells of the death, so the app seems to live.
        node.kernel.link_ended(link, EndReason::PeerLost);
        node.core.bells.links.until(|| (!node.core.live.borrow().open.contains_key(&1)).then_some(())).await;
        node.core.reported(server, &[last(link, 6)]);
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(6));
    });
}

#[test]
fn more_of_a_budget_is_on_the_disk_before_it_is_told_and_is_given_once() {
    run(async {
        let node = limited(10_000).await;
        let (link, server, opening) = open_to_link(&node).await;
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        assert_eq!(leased_on_disk(&node), [Leased { grant: 1, link, calls: 1_250, bytes: 0 }]);
        let renew = |process, link, given: u64| {
            let asked = Renewal { link, grant: 1, calls: Lease::of(given), bytes: Lease::UNLIMITED };
            node.core.renew(process, asked)
        };
        let given = |amount| (Lease { more: true, ..Lease::of(amount) }, Lease::UNLIMITED);
        let second = 1_250 + (10_000 - 1_250) / 8;
        // Asked twice at once, as over an old session and a new one; and once more when the first answer was lost.
        let (one, other) = futures::join!(renew(server, link, 1_250), renew(server, link, 1_250));
        assert_eq!((one.unwrap(), other.unwrap()), (given(second), given(second)));
        assert_eq!(renew(server, link, 1_250).await.unwrap(), given(second));
        let on_disk = leased_on_disk(&node);
        assert_eq!(on_disk.iter().map(|leased| leased.calls).collect::<Vec<_>>(), [1_250, second - 1_250]);
        assert_eq!(node.core.state.borrow().grants.get(1).unwrap().left.calls, Some(10_000 - second));
        // Only the server of a link speaks for it.
        assert!(renew(server + 1, link, second).await.is_err());
        assert!(renew(server, link + 1, second).await.is_err());
        // To the last call, and no further.
        let mut total = second;
        loop {
            let (calls, _) = renew(server, link, total).await.unwrap();
            assert!(calls.amount > total);
            total = calls.amount;
            if !calls.more {
                break;
            }
        }
        assert_eq!(total, 10_000);
        assert_eq!(renew(server, link, total).await.unwrap().0, Lease::of(10_000));
    });
}

#[test]
fn a_link_that_ended_before_the_powerbox_heard_that_it_was_made_is_made_again_for_who_asks() {
    run(async {
        let node = limited(10).await;
        let (link, server, opening) = open_to_link(&node).await;
        node.kernel.link_ended(link, EndReason::Closed);
        node.core.bells.links.until(|| (!node.core.live.borrow().open.contains_key(&1)).then_some(())).await;
        node.core.reported(server, &[last(link, 10)]);
        node.core.reopen_soon(1);
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        let Command::Link { link: next, grant: 1, .. } = node.kernel.command().await else { panic!("no link") };
        assert_ne!(next, link);
        node.kernel.answer(Outcome::Ok);
    });
}

#[test]
fn an_app_that_opens_its_link_again_and_again_is_made_to_wait() {
    run(async {
        const TRIES: usize = 30;
        let node = limited(10).await;
        let (mut link, server, opening) = open_to_link(&node).await;
        node.kernel.answer(Outcome::Ok);
        opening.await.unwrap().unwrap();
        let waits = || !node.core.live.borrow().paced.is_empty();
        for _ in 0..TRIES {
            node.kernel.link_ended(link, EndReason::Closed);
            node.core.bells.links.until(|| (!node.core.live.borrow().open.contains_key(&1)).then_some(())).await;
            node.core.reported(server, &[last(link, 10)]);
            node.core.reopen_soon(1);
            if waits() {
                break;
            }
            let Command::Link { link: next, .. } = node.kernel.command().await else { panic!("no link") };
            link = next;
            node.kernel.answer(Outcome::Ok);
            while !node.core.live.borrow().opening.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        assert!(waits(), "it has opened {TRIES} links at once");
        let (leases, warnings) =
            (leased_on_disk(&node).len(), node.core.warnings.borrow().shown(node.core.now_ms(), |_, _| true));
        assert!(
            warnings.iter().any(|warning| warning.text.contains("search opens its link of grant #1 again and again"))
        );
        // Whatever it asks meanwhile changes nothing; then it has its link.
        for _ in 0..TRIES {
            node.core.reopen_soon(1);
        }
        assert!(matches!(node.kernel.command().await, Command::Link { grant: 1, .. }));
        assert_eq!(leased_on_disk(&node).len(), leases + 1);
    });
}

#[test]
fn a_grant_taken_away_while_its_link_is_being_made_is_not_linked() {
    run(async {
        let node = limited(10).await;
        let core = node.core.clone();
        let opening = tokio::task::spawn_local(async move { core.open_grant(1).await });
        // The folder's process is started, and takes its time.
        let Command::Start { process, .. } = node.kernel.agree().await else { panic!("no folder") };
        let core = node.core.clone();
        let revoking =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "").await });
        let mut confined = false;
        loop {
            match node.kernel.agree().await {
                Command::Forget(_) => break,
                Command::Link { grant, .. } => assert_eq!(grant, 0, "linked after the cut"),
                Command::Cut { .. } if !confined => {
                    confined = true;
                    node.kernel.confined(process);
                }
                _ => {}
            }
        }
        assert!(revoking.await.unwrap().is_ok());
        assert!(opening.await.unwrap().is_err());
    });
}
