//! Compilers that stand still, and those who need one meanwhile.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use schema::kernel_capnp::Image;
use tokio::task::JoinHandle;

use super::kernel::{Command, Inventory};
use super::*;
use crate::compile::process::Patience;
use crate::problem::Problem;

/// What has not happened within this does not happen: a test that fails, instead of one that hangs.
const WATCHDOG: Duration = Duration::from_secs(20);
const COMPATIBILITY: &str = "0123456789abcdef";

/// A node whose compiler has said what it makes code for.
async fn node() -> Node {
    let node = Node::recovered(vec![], Inventory::default()).await;
    std::fs::create_dir_all(node.folder.path().join(crate::compile::FOLDER)).unwrap();
    node.core.compiler.compatibility.set(COMPATIBILITY.to_owned()).unwrap();
    node
}

/// Somebody needs this component of this author.
fn need(node: &Node, author: u8, component: u8) -> JoinHandle<Result<(), Problem>> {
    let core = node.core.clone();
    tokio::task::spawn_local(async move {
        let manifest = Manifest { author: [author; 32], component: [component; 32], ..Manifest::default() };
        let open = async || Ok(File::open("/dev/null").unwrap());
        core.compiled(&manifest, open).await.map(drop)
    })
}

/// The next command.
async fn command(node: &Node) -> Command {
    tokio::time::timeout(WATCHDOG, node.kernel.agree()).await.expect("nothing is done")
}

/// The next compiler's process. It stands still.
async fn compiler(node: &Node) -> u64 {
    match command(node).await {
        Command::Start { process, image: Image::Compile, .. } => process,
        other => panic!("no compilation: {other:?}"),
    }
}

/// Nothing more is done without the kernel, or time.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// The compiler's processes.
fn compilers(node: &Node) -> usize {
    node.core.live.borrow().processes.values().filter(|known| known.image == Some(Image::Compile)).count()
}

#[test]
fn what_was_compiled_before_waits_for_no_compilation() {
    run(async {
        let node = node().await;
        let stuck = [need(&node, 1, 1), need(&node, 2, 2)];
        compiler(&node).await;
        compiler(&node).await;
        // Kept on the disk by another life of the node; then in memory.
        let mut kept = tempfile::tempfile().unwrap();
        kept.write_all(b"machine code").unwrap();
        let name = format!("{}-{COMPATIBILITY}", crate::record::hexadecimal(&[3; 32]));
        crate::compile::keep_on_disk(kept, &node.folder.path().join(crate::compile::FOLDER).join(name));
        for _ in 0..2 {
            let had = tokio::time::timeout(WATCHDOG, need(&node, 3, 3)).await.expect("it waits");
            had.unwrap().unwrap();
        }
        // What was not has to wait.
        let third = need(&node, 4, 4);
        settled().await;
        assert_eq!(compilers(&node), 2);
        assert!(!third.is_finished() && !stuck.iter().any(JoinHandle::is_finished));
    });
}

#[test]
fn one_author_has_one_place() {
    run(async {
        let node = node().await;
        let first = need(&node, 1, 1);
        let process = compiler(&node).await;
        let second = need(&node, 1, 2);
        // Whoever comes after it has a place before it.
        let other = need(&node, 2, 3);
        compiler(&node).await;
        settled().await;
        assert_eq!(compilers(&node), 2, "one author's components are compiled at the same time");
        node.core.compiler.processes.ended(process, 3, "the test says so");
        assert!(first.await.unwrap().is_err());
        compiler(&node).await;
        assert!(!second.is_finished() && !other.is_finished());
    });
}

#[test]
fn a_compilation_that_stands_still_is_ended_and_its_place_is_free() {
    run(async {
        let node = node().await;
        let short = Duration::from_millis(100);
        node.core.compiler.processes.patience.set(Patience { check: short, component: short });
        let first = need(&node, 1, 1);
        let process = compiler(&node).await;
        let second = need(&node, 1, 2);
        assert_eq!(command(&node).await, Command::Stop { process, kill: true });
        let refused = first.await.unwrap().unwrap_err().to_string();
        assert!(refused.contains("did not end within") && refused.contains("Try again"), "{refused}");
        compiler(&node).await;
        drop(second);
        // That it ends later means nothing to anyone.
        node.core.compiler.processes.ended(process, -9, "");
    });
}

#[test]
fn a_check_that_stands_still_is_ended_and_made_again_by_the_next() {
    run(async {
        let node = Node::recovered(vec![], Inventory::default()).await;
        let short = Duration::from_millis(100);
        node.core.compiler.processes.patience.set(Patience { check: short, ..Patience::default() });
        for _ in 0..2 {
            // Two want to know, and one is asked.
            let both = [need(&node, 1, 1), need(&node, 2, 2)];
            let process = compiler(&node).await;
            assert_eq!(command(&node).await, Command::Stop { process, kill: true });
            let process = compiler(&node).await;
            assert_eq!(command(&node).await, Command::Stop { process, kill: true });
            for refused in both {
                let refused = refused.await.unwrap().unwrap_err().to_string();
                assert!(refused.contains("did not say within"), "{refused}");
            }
        }
    });
}

#[test]
fn whoever_waits_no_longer_leaves_nothing_behind() {
    run(async {
        let node = node().await;
        let first = need(&node, 1, 1);
        let process = compiler(&node).await;
        let (second, third) = (need(&node, 1, 2), need(&node, 1, 1));
        settled().await;
        for gone in [second, first] {
            gone.abort();
            assert!(gone.await.unwrap_err().is_cancelled());
        }
        assert_eq!(command(&node).await, Command::Stop { process, kill: true });
        // Who waited for the same has its turn.
        compiler(&node).await;
        third.abort();
    });
}
