//! The keys are locked, or not there: the service is, says so, and works once they are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use capnp::traits::HasTypeId;
use common::*;
use files::problem::Word;
use schema::storage_capnp::store;
use vat::{Badge, Peer, Rights};

#[test]
fn what_is_locked_says_so_and_works_once_it_is_not_over_the_same_link() {
    vat::native::run(async {
        let mut served = served();
        served.keys.lock(true);
        let client = served.connect(Rights::ALL);
        let root = plain(&client.root);
        assert_eq!(word(list(&root, 0, 0).await), is(Word::Locked));
        assert_eq!(word(create(&root, "file", true).await), is(Word::Locked));
        assert_eq!(word(room(&client.root).await), is(Word::Locked));
        let operator = Badge { interface: store::Client::TYPE_ID, peer: Peer::Shell, ..badge(Rights::ALL) };
        let operator: Client<store::Client> = served.link(&operator);
        let response = operator.root.status_request().send().promise.await.unwrap();
        let status = response.get().unwrap().get_status().unwrap();
        assert!(!status.get_unlocked());
        assert!(status.get_trouble().unwrap().to_str().unwrap().starts_with("locked: "));
        // A person knows that he locked them.
        assert!(served.troubles.try_recv().is_err());

        served.keys.lock(false);
        put_file(&root, "file", b"x").await;
        assert_eq!(content(&root, "file").await, b"x");
    })
    .unwrap();
}

#[test]
fn many_that_wait_for_one_try_are_all_answered() {
    vat::native::run(async {
        let served = served();
        served.keys.lock(true);
        let clients: Vec<_> = (0..30)
            .map(|grant| {
                served.link::<schema::filesystem_capnp::directory::Client>(&Badge {
                    grant,
                    object: "/granted".to_owned(),
                    ..badge(Rights::ALL)
                })
            })
            .collect();
        for answer in futures::future::join_all(clients.iter().map(|client| list(&client.root, 0, 0))).await {
            assert_eq!(word(answer), is(Word::Locked));
        }
        served.keys.lock(false);
        for answer in futures::future::join_all(clients.iter().map(|client| list(&client.root, 0, 0))).await {
            answer.unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_sync_without_keys_fails_and_loses_nothing() {
    vat::native::run(async {
        let served = served();
        let client = served.connect(Rights::ALL);
        let root = plain(&client.root);
        let file = put_file(&root, "file", b"x").await;
        sync(&file).await.unwrap();
        served.keys.lock(true);
        write(&file, 0, b"y").await.unwrap();
        assert_eq!(word(sync(&file).await), is(Word::Locked));
        assert_eq!(all_of(&file).await, b"y", "what is open stays so");
        served.keys.lock(false);
        sync(&file).await.unwrap();
    })
    .unwrap();
}
