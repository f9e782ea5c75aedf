//! What people pick, and the folders' processes that are kept for it.

use schema::kernel_capnp::Image;
use vat::door::ResourceKind;

use super::kernel::{Command, Inventory};
use super::*;
use crate::choosing::{Choice, Pick, Resolved};
use crate::live::Brought;
use crate::problem::Problem;

/// The shell that people pick in, and who they are.
const SHELL: u64 = 20;
const UID: u32 = 1_000;

/// What a shell brings under a number: the folder of that name.
pub(super) fn bring(node: &Node, token: u64, path: &str) {
    let folder = Folder { path: path.into(), inode: token, ..folder() };
    let brought = Brought { resource: token, kind: ResourceKind::Folder, folder, descriptor: None };
    node.core.live.borrow_mut().brought.insert((SHELL, token), brought);
    node.core.bells.resources.ring();
}

async fn pick(node: &Node, pick: Pick, rights: Rights) -> Result<Resolved, Problem> {
    let (core, caveats) = (node.core.clone(), Caveats { rights, ..Caveats::default() });
    let picking = tokio::task::spawn_local(async move {
        core.resolve(SHELL, UID, Choice { pick, caveats }, directory(), Rights::ALL).await
    });
    node.kernel.agree_until(picking).await
}

#[test]
fn who_picks_an_offer_gets_no_more_than_was_listed() {
    run(async {
        let records = vec![installed(2), ran(10), granted(1, 0, "l0", read_only())];
        let node = Node::recovered(records, Inventory::default()).await;
        let listed = node.core.offers().into_iter().find(|offer| offer.name == "host:/docs").unwrap();
        assert_eq!(listed.rights, Rights::READ);
        let picked = pick(&node, Pick::Offer("host:/docs".into()), Rights::ALL).await.unwrap();
        assert_eq!(picked.caveats.rights, Rights::READ);
        // What a person has taken away is offered to nobody.
        let core = node.core.clone();
        let revoking =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "").await });
        node.kernel.agree_until(revoking).await.unwrap();
        let refused = pick(&node, Pick::Offer("host:/docs".into()), Rights::READ).await.unwrap_err();
        assert!(refused.to_string().contains("no longer"), "{refused}");
    });
}

#[test]
fn an_offer_that_ends_while_its_folder_is_started_is_not_given() {
    run(async {
        let records = vec![installed(2), ran(10), granted(1, 0, "l0", read_only())];
        let node = Node::recovered(records, Inventory::default()).await;
        let core = node.core.clone();
        let choice = Choice { pick: Pick::Offer("host:/docs".into()), caveats: read_only() };
        let picking = tokio::task::spawn_local(async move { core.resolve(SHELL, UID, choice, 0, Rights::ALL).await });
        let process = loop {
            if let Command::Start { process, image: Image::Folder, .. } = node.kernel.agree().await {
                break process;
            }
        };
        node.core.live.borrow_mut().ending.insert(1);
        node.kernel.confined(process);
        assert!(node.kernel.agree_until(picking).await.is_err());
    });
}

#[test]
fn a_folder_is_kept_while_somebody_is_about_to_use_it() {
    run(async {
        let node = Node::recovered(vec![installed(2), ran(10)], Inventory::default()).await;
        bring(&node, 1, "/held");
        let picked = pick(&node, Pick::Folder(1), Rights::READ).await.unwrap();
        assert_eq!(node.core.idle_folders(), []);
        drop(picked);
        let idle = node.core.idle_folders();
        assert_eq!(idle.len(), 1);
        // It is used between two looks: then it gets its time again.
        drop(
            pick(
                &node,
                Pick::Folder({
                    bring(&node, 1, "/held");
                    1
                }),
                Rights::READ,
            )
            .await
            .unwrap(),
        );
        let idle = node.core.stop_idle_folders(&idle);
        assert_eq!((idle.len(), node.core.live.borrow().folders.len()), (1, 1));
        assert_eq!(node.core.stop_idle_folders(&idle), []);
        assert!(node.core.live.borrow().folders.is_empty());
        while !matches!(node.kernel.agree().await, Command::Stop { kill: false, .. }) {}
    });
}

#[test]
fn a_link_that_is_being_made_keeps_its_own_folder_and_no_other() {
    run(async {
        let records = vec![installed(2), ran(10), granted(1, 0, "l0", read_only())];
        let node = Node::recovered(records, Inventory::default()).await;
        let served = node.core.clone();
        let serving = tokio::task::spawn_local(async move { served.serve_folder(&folder(), None).await });
        drop(node.kernel.agree_until(serving).await.unwrap());
        bring(&node, 1, "/other");
        drop(pick(&node, Pick::Folder(1), Rights::READ).await.unwrap());
        node.core.live.borrow_mut().opening.insert(1);
        let idle = node.core.idle_folders();
        node.core.stop_idle_folders(&idle);
        let left: Vec<Folder> = node.core.live.borrow().folders.keys().cloned().collect();
        assert_eq!(left, [folder()]);
        // Nobody says so when a link was not made: whoever looks again finds it.
        node.core.live.borrow_mut().opening.remove(&1);
        assert_eq!(node.core.idle_folders().len(), 1);
        assert!(node.core.live.borrow().watches_idle_folders);
    });
}
