//! Apps that are started at the same time.

use std::rc::Rc;

use schema::kernel_capnp::{Image, Outcome};

use super::choosing::bring;
use super::kernel::{Command, Inventory};
use super::requests::{ask, question};
use super::*;
use crate::asking::Answer;
use crate::choosing::{Choice, Pick};
use crate::instances::Wish;

fn wish(instance: &str, token: u64) -> Wish {
    let choice = Choice { pick: Pick::Folder(token), caveats: read_only() };
    Wish {
        app: "search".into(),
        instance: instance.into(),
        arguments: Vec::new(),
        detached: true,
        given: vec![("l0".into(), choice)],
        shell: 20,
        uid: 1_000,
    }
}

/// A node with `search` installed and compiled.
async fn ready() -> Node {
    let node = Node::recovered(vec![installed(1)], Inventory::default()).await;
    std::fs::create_dir_all(node.folder.path().join("output")).unwrap();
    let code = std::fs::File::open("/dev/null").unwrap();
    node.core.live.borrow_mut().compiled.insert([0; 32], Rc::new(code.into()));
    node
}

#[test]
fn two_who_start_an_app_at_once_get_an_instance_each_with_their_own_folder() {
    run(async {
        let node = ready().await;
        let (first, second) = (node.core.clone(), node.core.clone());
        let both = tokio::task::spawn_local(async move {
            // Neither folder is there yet: both wait, and the second's comes first.
            futures::join!(first.run(wish("", 1)), second.run(wish("", 2)))
        });
        tokio::task::yield_now().await;
        let starting: Vec<String> = node.core.live.borrow().starting.iter().cloned().collect();
        assert_eq!(starting.len(), 2, "{starting:?}");
        bring(&node, 2, "/second");
        bring(&node, 1, "/first");
        let (first, second) = node.kernel.agree_until(both).await;
        assert_eq!((first.unwrap().0.as_str(), second.unwrap().0.as_str()), ("search", "search#2"));
        let state = node.core.state.borrow();
        let folder_of = |instance: &str| {
            let held = state.grants.labelled(&Holder::Instance(instance.to_owned()), "l0");
            held.map(|(_, node)| node.granted.offer.clone()).unwrap_or_default()
        };
        assert_eq!([folder_of("search"), folder_of("search#2")], ["host:/first", "host:/second"]);
        assert!(node.core.live.borrow().starting.is_empty());
    });
}

#[test]
fn a_name_that_is_being_started_is_refused_and_free_again_when_that_fails() {
    run(async {
        let node = ready().await;
        let core = node.core.clone();
        let first = tokio::task::spawn_local(async move { core.run(wish("mine", 1)).await });
        tokio::task::yield_now().await;
        let refused = node.core.run(wish("mine", 2)).await.unwrap_err();
        assert!(refused.to_string().contains("being started"), "{refused}");
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        bring(&node, 2, "/second");
        let core = node.core.clone();
        let second = tokio::task::spawn_local(async move { core.run(wish("mine", 2)).await });
        assert_eq!(node.kernel.agree_until(second).await.unwrap().0, "mine");
    });
}

#[test]
fn a_start_that_fails_gives_nothing() {
    run(async {
        let node = ready().await;
        let mut two = wish("", 1);
        // The second label is not announced.
        two.given.push(("l7".into(), two.given[0].1.clone()));
        bring(&node, 1, "/first");
        let core = node.core.clone();
        let failing = tokio::task::spawn_local(async move { core.run(two).await });
        assert!(node.kernel.agree_until(failing).await.is_err());
        assert_eq!(node.core.state.borrow().grants.next(), 1, "something was granted");
        // And where the process cannot be had, what was granted with it has ended again.
        bring(&node, 1, "/first");
        let core = node.core.clone();
        let failing = tokio::task::spawn_local(async move { core.run(wish("", 1)).await });
        loop {
            match node.kernel.command().await {
                Command::Start { image: Image::Sandbox, .. } => break node.kernel.answer(Outcome::Refused),
                command => {
                    node.kernel.answer(Outcome::Ok);
                    node.kernel.follow(&command);
                }
            }
        }
        assert!(failing.await.unwrap().is_err());
        while !matches!(node.kernel.agree().await, Command::Forget(_)) {}
        assert_eq!(node.ended_on_disk(), [(1, EndReason::Closed)]);
    });
}

#[test]
fn what_is_given_with_a_run_is_a_grant_before_the_app_can_ask_and_ends_like_one() {
    run(async {
        let node = ready().await;
        bring(&node, 1, "/wide");
        let core = node.core.clone();
        let starting = tokio::task::spawn_local(async move { core.run(wish("", 1)).await });
        loop {
            let command = node.kernel.command().await;
            if let Command::Start { image: Image::Sandbox, .. } = command {
                let on_disk = node.on_disk();
                assert!(on_disk.iter().any(|record| matches!(record, Record::Granted(_))), "{on_disk:?}");
                node.kernel.answer(Outcome::Ok);
                node.kernel.follow(&command);
                break;
            }
            node.kernel.answer(Outcome::Ok);
            node.kernel.follow(&command);
        }
        node.kernel.agree_until(starting).await.unwrap();
        // It has not asked yet: a person gives it something narrower, and takes that away.
        bring(&node, 2, "/narrow");
        let core = node.core.clone();
        let deciding = tokio::task::spawn_local(async move {
            let choice = Choice { pick: Pick::Folder(2), caveats: read_only() };
            let narrower = core.grant_label(20, 1_000, "search".into(), "l0".into(), choice).await.unwrap();
            core.end_grants("uid 1000", &[narrower], EndReason::Revoked, "").await.unwrap();
        });
        node.kernel.agree_until(deciding).await;
        assert_eq!(node.ended_on_disk(), [(1, EndReason::Closed), (2, EndReason::Revoked)]);
        assert_eq!(ask(&node, question("l0")).await.unwrap(), Answer::Revoked);
        assert_eq!(node.core.state.borrow().grants.alive(), 0);
    });
}

#[test]
fn an_app_that_is_uninstalled_while_it_is_compiled_is_not_started() {
    run(async {
        let node = ready().await;
        node.core.live.borrow_mut().compiled.clear();
        let start = |instance: &str| {
            let (core, wish) = (node.core.clone(), Wish { given: Vec::new(), ..wish(instance, 0) });
            tokio::task::spawn_local(async move { core.run(wish).await })
        };
        // The first is at the compiler, and the second waits for what that makes.
        let first = start("first");
        let Command::Start { process, image: Image::Compile, .. } = node.kernel.agree().await else {
            panic!("it is not compiled")
        };
        let second = start("second");
        while node.core.live.borrow().starting.len() < 2 {
            tokio::task::yield_now().await;
        }
        node.core.uninstall("uid 1".into(), "search".into()).await.unwrap();
        let code = std::fs::File::open("/dev/null").unwrap();
        node.core.live.borrow_mut().compiled.insert([0; 32], Rc::new(code.into()));
        node.core.compiler.processes.ended(process, 3, "the test says so");
        assert!(first.await.unwrap().is_err());
        let refused = node.kernel.agree_until(second).await.unwrap_err();
        assert!(refused.to_string().contains("was uninstalled"), "{refused}");
        assert!(!node.on_disk().iter().any(|record| matches!(record, Record::Ran(_))));
    });
}
