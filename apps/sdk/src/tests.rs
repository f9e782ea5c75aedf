//! The SDK against a node in miniature: real links, a folder in memory, and whatever happens to them.

mod stored;

use crate::testing::{Node, Tree};
use crate::{Error, ErrorKind, Folder, Result, Rights, ask};
use std::cell::RefCell;
use std::rc::Rc;

async fn folder() -> Result<Folder> {
    ask("folder", "to test").await
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// What an app said to its test.
#[derive(Clone, Default)]
struct Said(Rc<RefCell<Vec<String>>>);

impl Said {
    fn say(&self, text: impl std::fmt::Display) {
        self.0.borrow_mut().push(text.to_string());
    }

    fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

fn large() -> Vec<u8> {
    (0..2_500_000_u32).map(|number| (number % 251) as u8).collect()
}

#[test]
fn an_app_asks_for_a_folder_and_lists_it_page_by_page() {
    let said = Said::default();
    let tree = (0..10).fold(Tree::new().folder("sub"), |tree, number| tree.file(format!("{number}.txt"), "x"));
    let says = said.clone();
    let code = Node::new().grant("folder", &tree).run(async move {
        let mut entries = folder().await?.entries();
        while let Some(entry) = entries.next().await? {
            says.say(entry.name());
        }
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    let mut all = said.all();
    all.sort();
    assert_eq!(all.join(" "), "0.txt 1.txt 2.txt 3.txt 4.txt 5.txt 6.txt 7.txt 8.txt 9.txt sub");
}

#[test]
fn what_is_not_announced_and_what_is_denied_says_so() {
    for (node, kind) in [(Node::new(), ErrorKind::Unannounced), (Node::new().deny("folder"), ErrorKind::Denied)] {
        let code = node.run(async move {
            assert_eq!(folder().await.unwrap_err().kind(), kind);
            let result: Result<()> = Err(folder().await.unwrap_err());
            result
        });
        assert_eq!(code, crate::EXIT_CUT);
    }
}

#[test]
fn files_are_written_and_read_in_every_way() {
    let tree = Tree::new().file("old.txt", "old content");
    let code = Node::new().grant("folder", &tree).run(async move {
        let folder = folder().await?;
        folder.write("a/b.txt", "x").await.unwrap_err();
        folder.make_folder("a").await?.write("b.txt", "new").await?;
        assert_eq!(folder.read_to_string("a/b.txt").await?, "new");
        folder.write("old.txt", "short").await?;
        folder.append("old.txt", " and more").await?;
        assert_eq!(text(folder.read("old.txt").await?), "short and more");
        folder.rename("old.txt", "a/b.txt").await.unwrap_err();
        folder.replace("old.txt", "a/b.txt").await?;
        assert!(!folder.exists("old.txt").await?);
        assert_eq!(folder.metadata("a/b.txt").await?.size(), 14);
        assert_eq!(folder.remove("a").await.unwrap_err().kind(), ErrorKind::NotEmpty);
        folder.remove("a/b.txt").await?;
        folder.remove("a").await?;
        let file = folder.create_new("c").await?;
        assert_eq!(folder.create_new("c").await.unwrap_err().kind(), ErrorKind::Exists);
        file.write_at(3, "abc").await?;
        assert_eq!(file.read_at(2, 10).await?, b"\0abc");
        assert_eq!(file.append("d").await?, 6);
        file.truncate(4).await?;
        file.sync().await?;
        assert_eq!(file.read_all().await?, b"\0\0\0a");
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    assert_eq!(tree.content("c").unwrap(), b"\0\0\0a");
}

#[test]
fn files_of_any_size_stream_both_ways() {
    let content = large();
    let tree = Tree::new().file("large", &content);
    let seen = tree.clone();
    let code = Node::new().grant("folder", &tree).run(async move {
        let folder = folder().await?;
        let mut writer = folder.create("copy").await?.writer(0).await?;
        let mut pieces = folder.stream("large");
        while let Some(piece) = pieces.next().await? {
            writer.write(piece).await?;
        }
        assert_eq!(pieces.next().await?, None);
        assert_eq!(writer.finish().await?, 2_500_000);
        let middle = folder.open("large").await?.stream_from(2_499_990).collect(100).await?;
        assert_eq!(middle.len(), 10);
        let too_much = folder.open("large").await?.stream().collect(100).await.unwrap_err();
        assert_eq!(too_much.kind(), ErrorKind::TooLarge);
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    assert_eq!(seen.content("copy").unwrap(), content);
}

#[test]
fn rights_only_narrow() {
    let tree = Tree::new().file("a", "x");
    let code = Node::new().grant("folder", &tree).run(async move {
        let folder = folder().await?;
        let added: Folder = folder.narrow(Rights::READ.union(Rights::APPEND)).await?;
        added.create_new("b").await?;
        assert_eq!(added.remove("b").await.unwrap_err().kind(), ErrorKind::AppendOnly);
        let seen = added.narrow(Rights::ALL).await?.narrow(Rights::READ).await?;
        assert_eq!(seen.rights().await?, Rights::READ);
        assert_eq!(seen.create("c").await.unwrap_err().kind(), ErrorKind::ReadOnly);
        assert_eq!(text(seen.read("a").await?), "x");
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn what_is_asked_for_is_what_was_said() {
    let tree = Tree::new().file("a", "x");
    let code = Node::new().grant("folder", &tree).run(async move {
        let all: Folder = ask("folder", "to test").await?;
        assert_eq!(all.rights().await?, Rights::ALL);
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    let code = Node::new().grant("folder", &tree).run(async move {
        let both: Folder = ask("folder", "to test").append().read().await?;
        assert_eq!(both.rights().await?, Rights { read: true, append: true, write: false });
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn who_may_only_add_sees_and_changes_nothing() {
    let tree = Tree::new().file("a", "x").folder("sub");
    let seen = tree.clone();
    let code = Node::new().grant("folder", &tree).run(async move {
        let folder: Folder = ask("folder", "to add to").append().await?;
        assert_eq!(folder.rights().await?, Rights::APPEND);
        folder.append("a", "y").await?;
        folder.append("new", "one").await?;
        folder.make_folder("made").await?.write("inside", "two").await?;
        let mut entries = folder.entries();
        let refused = [
            folder.read("a").await.err(),
            entries.next().await.err(),
            folder.metadata("a").await.err(),
            folder.create("a").await?.read_all().await.err(),
        ];
        assert!(refused.iter().all(|error| error.as_ref().is_some_and(|it| it.kind() == ErrorKind::NotPermitted)));
        let refused = [
            folder.write("a", "z").await.err(),
            folder.rename("a", "b").await.err(),
            folder.remove("a").await.err(),
            folder.create("a").await?.truncate(0).await.err(),
            folder.create("a").await?.write_at(0, "z").await.err(),
        ];
        assert!(refused.iter().all(|error| error.as_ref().is_some_and(|it| it.kind() == ErrorKind::AppendOnly)));
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    assert_eq!(seen.content("a").unwrap(), b"xy");
    assert_eq!(seen.content("made/inside").unwrap(), b"two");
}

#[test]
fn what_was_given_back_is_gone_until_it_is_asked_for_again() {
    let tree = Tree::new().file("a", "x");
    let code = Node::new().grant("folder", &tree).run(async move {
        crate::release("folder").await?;
        let folder = folder().await?;
        let open = folder.open("a").await?;
        crate::release("folder").await?;
        assert_eq!(folder.read("a").await.unwrap_err().kind(), ErrorKind::GivenBack);
        crate::release("folder").await?;
        drop(open);
        assert_eq!(text(self::folder().await?.read("a").await?), "x");
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn errors_name_what_they_are_about() {
    let tree = Tree::new().folder("sub").link("out").unreadable("secret");
    let code = Node::new().grant("folder", &tree).run(async move {
        let folder = folder().await?;
        let sub = folder.folder("sub").await?;
        let cases = [
            (sub.read("none").await.unwrap_err(), "sub/none: not found (nothing there)"),
            (sub.read("../secret").await.unwrap_err(), "sub/../secret: not a path inside the folder"),
            (folder.read("/etc/passwd").await.unwrap_err(), "/etc/passwd: not a path inside the folder"),
            (folder.read("out").await.unwrap_err(), "out: a link leads out of the folder (the link leads out)"),
            (folder.read("secret").await.unwrap_err(), "secret: not permitted (its owner must not)"),
            (folder.read("sub").await.unwrap_err(), "sub: it is a directory"),
        ];
        for (error, said) in cases {
            assert!(error.to_string().starts_with(said), "{error}");
            assert!(!error.is_cut());
        }
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn a_walk_is_in_order_goes_as_deep_as_told_and_leaves_out_what_is_not_wanted() {
    let said = Said::default();
    let tree = Tree::new().file("b/c/d.txt", "").file("b/a.txt", "").file("a.txt", "").file("skip/x.txt", "").link("z");
    let says = said.clone();
    let code = Node::new().grant("folder", &tree).run(async move {
        let folder = folder().await?;
        let mut walk = folder.walk().only(|found| found.path_bytes() != b"skip");
        while let Some(found) = walk.next().await? {
            says.say(found.path());
        }
        says.say("--");
        let mut walk = folder.walk().max_depth(1);
        while let Some(found) = walk.next().await? {
            says.say(found.path());
        }
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
    assert_eq!(said.all().join(" "), "a.txt b b/a.txt b/c b/c/d.txt z -- a.txt b skip z");
}

#[test]
fn after_a_revocation_every_call_says_so_and_the_app_ends_with_its_own_code() {
    for at_once in [true, false] {
        let said = Said::default();
        let says = said.clone();
        let tree = Tree::new().file("a", "x");
        let node = Node::new().grant("folder", &tree).after_calls(2, move |hand| {
            if at_once { hand.revoke("folder", "no more") } else { hand.revoke_and_tell_later("folder", "no more") }
        });
        let code = node.run(async move {
            let folder = folder().await?;
            let sub = folder.narrow(Rights::READ).await?;
            let error: Error = loop {
                match folder.read("a").await {
                    Ok(_) => says.say("read"),
                    Err(error) => break error,
                }
            };
            says.say(&error);
            says.say(folder.read("a").await.unwrap_err());
            says.say(sub.read("a").await.unwrap_err());
            let again: Result<Folder> = ask("folder", "to test").await;
            assert_eq!(again.unwrap_err().kind(), ErrorKind::Revoked);
            Result::<()>::Err(error)
        });
        assert_eq!(code, crate::EXIT_CUT);
        assert_eq!(said.all(), vec!["folder: revoked: it was taken back (no more)"; 3], "told at once: {at_once}");
    }
}

#[test]
fn after_a_restart_the_root_goes_on_and_what_was_opened_does_not() {
    let tree = Tree::new().file("sub/a", "x");
    let node = Node::new().grant("folder", &tree).after_calls(5, |hand| hand.restart("folder"));
    let code = node.run(async move {
        let folder = folder().await?;
        let sub = folder.folder("sub").await?;
        let file = sub.open("a").await?;
        while file.read_at(0, 1).await.is_ok() {}
        assert_eq!(sub.read("a").await.unwrap_err().kind(), ErrorKind::Disconnected);
        assert_eq!(text(folder.read("sub/a").await?), "x");
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn asking_goes_on_after_a_restart_of_the_powerbox() {
    let tree = Tree::new().file("a", "x");
    let node = Node::new().grant("folder", &tree).then(|hand| hand.restart_session());
    let code = node.run(async move {
        let first = folder().await?;
        // the restart comes now that nothing else can happen
        crate::sleep(std::time::Duration::from_millis(1)).await;
        let second = folder().await?;
        assert_eq!(first.read("a").await?, second.read("a").await?);
        Ok::<(), Error>(())
    });
    assert_eq!(code, 0);
}

#[test]
fn an_app_that_is_told_to_stop_stops() {
    let node = Node::new().then(|hand| hand.stop());
    assert_eq!(node.run(std::future::pending::<()>()), crate::EXIT_STOPPED);
    let node = Node::new().then(|hand| hand.stop());
    let code = node.run(async {
        crate::stopping().await;
        7_u8
    });
    assert_eq!(code, 7);
}

#[test]
fn an_app_that_waits_for_what_cannot_come_is_ended() {
    assert_eq!(Node::new().run(std::future::pending::<()>()), crate::EXIT_STALLED);
}

#[test]
fn a_timer_does_not_wait_for_a_later_one() {
    use futures::future::{Either, select};
    use std::time::Duration;
    let said = Said::default();
    let says = said.clone();
    let code = Node::new().run(async move {
        let late = Box::pin(crate::sleep(Duration::from_secs(3_600)));
        let early = Box::pin(crate::sleep(Duration::from_millis(1)));
        says.say(match select(late, early).await {
            Either::Left(_) => "late",
            Either::Right(_) => "early",
        });
    });
    assert_eq!((code, said.all().join(" ").as_str()), (0, "early"));
}
