//! Snapshots over a link: what they show, what they refuse, and whose they are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::*;
use files::problem::Word;
use schema::storage_capnp::stored_directory;
use vat::Rights;

fn with<F: AsyncFnOnce(&Served, &stored_directory::Client)>(rights: Rights, test: F) {
    vat::native::run(async {
        let served = served();
        let client = served.connect(rights);
        test(&served, &client.root).await;
    })
    .unwrap();
}

#[test]
fn a_snapshot_shows_what_was_and_goes_on_doing_so() {
    with(Rights::ALL, async |_, root| {
        let now = plain(root);
        make_directory(&now, "sub").await.unwrap();
        put_file(&now, "sub/changed", b"before").await;
        put_file(&now, "removed", &pattern(100_000)).await;
        let before = snapshot(root, "before").await.unwrap();
        let file = put_file(&now, "sub/changed", b"after").await;
        remove(&now, "removed").await.unwrap();
        put_file(&now, "new", b"new").await;
        rename(&now, "sub", "moved", false).await.unwrap();

        let then = plain(&open_snapshot(root, before.id).await.unwrap());
        assert_eq!(names(&then).await, ["removed", "sub"]);
        assert_eq!(content(&then, "sub/changed").await, b"before");
        assert!(content(&then, "removed").await == pattern(100_000));
        assert_eq!(word(stat(&then, "new").await), is(Word::NotFound));
        assert_eq!(content(&now, "moved/changed").await, b"after");
        write(&file, 0, b"later").await.unwrap();
        assert_eq!(content(&then, "sub/changed").await, b"before");
    });
}

#[test]
fn nothing_of_a_snapshot_can_be_changed() {
    with(Rights::ALL, async |_, root| {
        let now = plain(root);
        make_directory(&now, "sub").await.unwrap();
        put_file(&now, "sub/file", b"as it was").await;
        let taken = snapshot(root, "").await.unwrap();
        let snapshot_root = open_snapshot(root, taken.id).await.unwrap();
        let then = plain(&snapshot_root);
        let (sub, rights) = open_directory(&then, "sub", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        let (file, rights) = open_file(&sub, "file", Rights::ALL).await.unwrap();
        assert_eq!(rights, Rights::READ);
        for refused in [
            word(write(&file, 0, b"x").await),
            word(append(&file, b"x").await),
            word(truncate(&file, 0).await),
            word(create(&sub, "new", false).await),
            word(make_directory(&then, "new").await),
            word(rename(&then, "sub", "other", false).await),
            word(remove(&sub, "file").await),
            word(snapshot(&snapshot_root, "of a snapshot").await),
            word(reserve(&snapshot_root, 1).await.map(drop)),
        ] {
            assert_eq!(refused, is(Word::ReadOnly));
        }
        assert_eq!(content(&then, "sub/file").await, b"as it was");
    });
}

#[test]
fn snapshots_are_listed_the_latest_first_page_by_page() {
    with(Rights::ALL, async |_, root| {
        assert_eq!(snapshots(root, 0, 0).await.unwrap(), []);
        let mut taken = Vec::new();
        for number in 0..105 {
            taken.push(snapshot(root, &number.to_string()).await.unwrap());
        }
        assert!(taken.windows(2).all(|pair| pair[0].id < pair[1].id), "ids grow");
        taken.reverse();
        let first = snapshots(root, 0, 0).await.unwrap();
        assert_eq!(first, taken[..100], "a hundred are an answer's maximum");
        assert_eq!(snapshots(root, 0, u32::MAX).await.unwrap(), first);
        assert_eq!(snapshots(root, first[99].id, 0).await.unwrap(), taken[100..]);
        assert_eq!(snapshots(root, 0, 3).await.unwrap(), taken[..3]);
        assert_eq!(snapshots(root, taken[3].id, 2).await.unwrap(), taken[4..6]);

        drop_snapshot(root, taken[4].id).await.unwrap();
        assert_eq!(word(open_snapshot(root, taken[4].id).await.map(drop)), is(Word::Unknown));
        assert_eq!(word(drop_snapshot(root, taken[4].id).await), is(Word::Unknown));
        assert_eq!(snapshots(root, taken[3].id, 1).await.unwrap(), [taken[5].clone()]);
    });
}

#[test]
fn a_snapshot_belongs_to_the_directory_that_it_is_of() {
    with(Rights::ALL, async |served, root| {
        make_directory(&plain(root), "sub").await.unwrap();
        let sub = stored_below(root, "sub").await;
        let of_sub = snapshot(&sub, "sub").await.unwrap();
        let of_root = snapshot(root, "root").await.unwrap();
        assert_eq!(snapshots(&sub, 0, 0).await.unwrap(), *std::slice::from_ref(&of_sub));
        assert_eq!(snapshots(root, 0, 0).await.unwrap(), *std::slice::from_ref(&of_root));
        assert_eq!(word(open_snapshot(root, of_sub.id).await.map(drop)), is(Word::Unknown));
        assert_eq!(word(drop_snapshot(&sub, of_root.id).await), is(Word::Unknown));
        for made_up in [0, 1 << 40, u64::MAX] {
            assert_eq!(word(open_snapshot(root, made_up).await.map(drop)), is(Word::Unknown), "{made_up}");
        }
        // A neighbour in the same store has nothing of it.
        let other = vat::Badge { grant: 8, object: "/other".to_owned(), ..badge(Rights::ALL) };
        let other: Client<stored_directory::Client> = served.link(&other);
        assert_eq!(snapshots(&other.root, 0, 0).await.unwrap(), []);
        assert_eq!(word(open_snapshot(&other.root, of_root.id).await.map(drop)), is(Word::Unknown));
    });
}

#[test]
fn who_may_only_read_opens_snapshots_and_takes_none() {
    vat::native::run(async {
        let served = served();
        let (all, reader, adder) =
            (served.connect(Rights::ALL), served.connect(Rights::READ), served.connect(READ_APPEND));
        put_file(&plain(&all.root), "file", b"x").await;
        let taken = snapshot(&all.root, "one").await.unwrap();
        for (client, refused) in [(&reader, Word::ReadOnly), (&adder, Word::AppendOnly)] {
            assert_eq!(word(snapshot(&client.root, "no").await), is(refused));
            assert_eq!(word(drop_snapshot(&client.root, taken.id).await), is(refused));
            assert_eq!(snapshots(&client.root, 0, 0).await.unwrap(), *std::slice::from_ref(&taken));
            let then = open_snapshot(&client.root, taken.id).await.unwrap();
            assert_eq!(content(&plain(&then), "file").await, b"x");
        }
        let blind = served.connect(APPEND);
        assert_eq!(word(snapshots(&blind.root, 0, 0).await), is(Word::NotPermitted));
        assert_eq!(word(open_snapshot(&blind.root, taken.id).await.map(drop)), is(Word::NotPermitted));
        assert_eq!(word(reserve(&reader.root, 1).await.map(drop)), is(Word::ReadOnly));
    })
    .unwrap();
}

#[test]
fn labels_are_for_people_and_bounded() {
    with(Rights::ALL, async |_, root| {
        let longest = "é".repeat(100);
        snapshot(root, &longest).await.unwrap();
        assert_eq!(word(snapshot(root, &(longest.clone() + "x")).await), is(Word::TooLarge));
        assert_eq!(snapshots(root, 0, 0).await.unwrap()[0].label, longest);
    });
}

#[test]
fn a_snapshot_is_taken_in_its_turn() {
    with(Rights::ALL, async |_, root| {
        let now = plain(root);
        // Nothing is awaited in between: files are made before and after it.
        let made = |name: String| {
            let mut request = now.create_request();
            request.get().set_path(name.as_bytes());
            request.send().promise
        };
        let before: Vec<_> = (0..20).map(|number| made(format!("before-{number}"))).collect();
        let mut taking = root.snapshot_request();
        taking.get().set_label("between");
        let taking = taking.send().promise;
        let after: Vec<_> = (0..20).map(|number| made(format!("after-{number}"))).collect();
        for call in before.into_iter().chain(after) {
            call.await.unwrap();
        }
        let id = taking.await.unwrap().get().unwrap().get_snapshot().unwrap().get_id();
        let then = names(&plain(&open_snapshot(root, id).await.unwrap())).await;
        assert_eq!(then.len(), 20);
        assert!(then.iter().all(|name| name.starts_with("before-")));
        assert_eq!(names(&now).await.len(), 40);
    });
}
