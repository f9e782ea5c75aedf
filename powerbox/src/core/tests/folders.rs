//! Folders that cannot be had, or of which nobody can tell for a while.

use schema::kernel_capnp::{Image, Outcome};

use super::kernel::{Command, Inventory};
use super::*;
use crate::problem::Problem;

fn serve(node: &Node) -> tokio::task::JoinHandle<Result<(), Problem>> {
    let core = node.core.clone();
    tokio::task::spawn_local(async move { core.serve_folder(&folder(), None).await.map(|_| ()) })
}

/// The process that the powerbox wants for a folder, which is told nothing more for now.
async fn starting(node: &Node) -> u64 {
    loop {
        if let Command::Start { process, image: Image::Folder, .. } = node.kernel.agree().await {
            return process;
        }
    }
}

#[test]
fn everyone_who_waits_for_a_folder_that_cannot_be_had_is_told_why() {
    run(async {
        let node = Node::recovered(vec![installed(1), ran(10)], Inventory::default()).await;
        let waiting = [serve(&node), serve(&node)];
        let process = starting(&node).await;
        // Its session is being linked when it ends.
        assert!(matches!(node.kernel.command().await, Command::Link { client, .. } if client == process));
        node.kernel.not_begun(process, "it could not be started: /docs is not the folder\nthat was granted");
        node.kernel.answer(Outcome::Unknown);
        for waiting in waiting {
            let told = node.kernel.agree_until(waiting).await.unwrap_err().to_string();
            assert!(told.contains("host:/docs cannot be served: it could not be started: /docs is not"), "{told}");
            assert!(!told.contains('\n'), "{told}");
        }
        assert!(node.core.live.borrow().folders.is_empty());
        // It may be there again.
        node.kernel.agree_until(serve(&node)).await.unwrap();
    });
}

#[test]
fn while_a_folder_is_waited_for_all_else_goes_on() {
    run(async {
        let records = vec![installed(2), ran(10), granted(1, 0, "l0", read_only())];
        let node = Node::recovered(records, Inventory::default()).await;
        let waiting = serve(&node);
        let stuck = starting(&node).await;
        let core = node.core.clone();
        let other = Folder { path: "/other".into(), inode: 8, ..folder() };
        let serving = tokio::task::spawn_local(async move { core.serve_folder(&other, None).await });
        let (process, hold) = node.kernel.agree_until(serving).await.unwrap();
        assert_ne!(process, stuck);
        drop(hold);
        // Also what is granted of the very folder is revoked.
        let core = node.core.clone();
        let revoking =
            tokio::task::spawn_local(async move { core.end_grants("uid 1", &[1], EndReason::Revoked, "").await });
        assert_eq!(node.kernel.agree_until(revoking).await.unwrap().grants, [1]);
        assert!(!waiting.is_finished());

        // It is given up, and the system does not let it go: nobody else is sent after it.
        waiting.abort();
        node.core.live.borrow_mut().folders.remove(&folder());
        node.core.stop_process(stuck, true);
        let told = node.kernel.agree_until(serve(&node)).await.unwrap_err().to_string();
        assert!(told.contains("its file system has not answered"), "{told}");
        node.kernel.not_begun(stuck, "");
        let gone = || (!node.core.live.borrow().processes.contains_key(&stuck)).then_some(());
        node.core.bells.processes.until(gone).await;
        node.kernel.agree_until(serve(&node)).await.unwrap();
    });
}

#[test]
fn what_a_folder_served_that_cannot_begin_again_is_told_why() {
    run(async {
        let records = vec![installed(2), ran(10), granted(1, 0, "l0", read_only())];
        let inventory = Inventory { processes: vec![(10, Image::Sandbox)], ..Inventory::default() };
        let node = Node::recovered(records, inventory).await;
        let core = node.core.clone();
        // What a running app holds is linked again by itself.
        let opening = tokio::task::spawn_local(async move {
            while !core.live.borrow().open.contains_key(&1) {
                tokio::task::yield_now().await;
            }
        });
        node.kernel.agree_until(opening).await;
        let (process, link) = {
            let live = node.core.live.borrow();
            (live.folders[&folder()].process, live.open[&1])
        };
        node.kernel.link_ended(link, EndReason::Restarted);
        node.kernel.restarts(process);
        node.kernel.not_begun(process, "it is not the folder that was granted");
        // It is tried anew, in case it is there again, and then the holder is told.
        let again = starting(&node).await;
        assert_ne!(again, process);
        node.kernel.not_begun(again, "it is not the folder that was granted");
        loop {
            if let Command::Notice { process: 10, reason: EndReason::Unavailable, .. } = node.kernel.agree().await {
                break;
            }
        }
    });
}
