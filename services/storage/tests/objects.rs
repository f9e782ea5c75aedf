//! Which object a badge gets, and what of the store it reaches.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use capnp::traits::HasTypeId;
use common::*;
use files::problem::Word;
use schema::filesystem_capnp::directory;
use schema::storage_capnp::{store, stored_directory};
use vat::{Badge, Peer, Rights};

fn at(object: &str, rights: Rights) -> Badge {
    Badge { object: object.to_owned(), ..badge(rights) }
}

#[test]
fn the_directory_of_a_grant_is_made_when_it_is_first_used() {
    vat::native::run(async {
        let served = served();
        let top: Client = served.link(&at("/", Rights::ALL));
        let deep: Client = served.link(&at("/apps/notes", Rights::READ));
        assert_eq!(names(&top.root).await, [""; 0], "a link alone makes nothing");
        assert_eq!(names(&deep.root).await, [""; 0]);
        assert_eq!(names(&top.root).await, ["apps"]);
        let again: Client = served.link(&at("/apps/notes", Rights::ALL));
        put_file(&again.root, "file", b"x").await;
        assert_eq!(content(&deep.root, "file").await, b"x", "both are the same directory");
        assert_eq!(content(&top.root, "apps/notes/file").await, b"x");
    })
    .unwrap();
}

#[test]
fn who_only_looks_at_a_command_makes_nothing() {
    vat::native::run(async {
        let served = served();
        let top: Client = served.link(&at("/", Rights::ALL));
        let looking = Badge { peer: Peer::Shell, ..at("/mistyped", Rights::READ) };
        let looking: Client = served.link(&looking);
        let error = looking.root.list_request().send().promise.await.err().expect("it is not there");
        assert!(error.extra.contains("notFound: "), "{error}");
        assert_eq!(names(&top.root).await, [""; 0]);
    })
    .unwrap();
}

#[test]
fn many_links_at_once_make_one_directory() {
    vat::native::run(async {
        let served = served();
        let clients: Vec<Client> =
            (0..20).map(|grant| served.link(&Badge { grant, ..at("/a/b", Rights::ALL) })).collect();
        let calls = clients.iter().enumerate().map(async |(number, client)| {
            create(&client.root, &format!("{number}"), true).await.unwrap();
        });
        futures::future::join_all(calls).await;
        assert_eq!(names(&clients[0].root).await.len(), 20);
    })
    .unwrap();
}

#[test]
fn either_interface_names_the_same_object() {
    vat::native::run(async {
        let served = served();
        for interface in [directory::Client::TYPE_ID, stored_directory::Client::TYPE_ID] {
            let client: Client<stored_directory::Client> =
                served.link(&Badge { interface, ..at("/granted", Rights::ALL) });
            snapshot(&client.root, "").await.unwrap();
            create(&plain(&client.root), "file", false).await.unwrap();
            // So is everything below.
            let made = make_directory(&plain(&client.root), &interface.to_string()).await.unwrap();
            let made: stored_directory::Client = capnp::capability::FromClientHook::cast_to(made);
            snapshot(&made, "").await.unwrap();
        }
        let client: Client<stored_directory::Client> = served.link(&at("/granted", Rights::ALL));
        assert_eq!(snapshots(&client.root, 0, 0).await.unwrap().len(), 2);
    })
    .unwrap();
}

#[test]
fn names_of_objects_obey_the_rules_of_paths() {
    vat::native::run(async {
        let served = served();
        let long = format!("/{}", "n".repeat(256));
        for object in ["", "notes", "//", "/a/", "/a//b", "/..", "/a/../b", "/.", "/a\0b", &long] {
            let client: Client = served.link(&at(object, Rights::ALL));
            assert_eq!(word(list(&client.root, 0, 0).await), is(Word::BadPath), "{object:?}");
        }
        let top: Client = served.link(&at("/", Rights::ALL));
        assert_eq!(names(&top.root).await, [""; 0]);
    })
    .unwrap();
}

#[test]
fn a_file_is_no_granted_directory() {
    vat::native::run(async {
        let served = served();
        let top: Client = served.link(&at("/", Rights::ALL));
        put_file(&top.root, "file", b"x").await;
        let below: Client = served.link(&at("/file/below", Rights::ALL));
        assert_eq!(word(list(&below.root, 0, 0).await), is(Word::NotDirectory));
        let itself: Client = served.link(&at("/file", Rights::ALL));
        assert_eq!(word(list(&itself.root, 0, 0).await), is(Word::NotDirectory));
    })
    .unwrap();
}

#[test]
fn grants_beside_each_other_reach_nothing_of_each_other() {
    vat::native::run(async {
        let served = served();
        let (one, other): (Client, Client) =
            (served.link(&at("/one", Rights::ALL)), served.link(&at("/other", Rights::ALL)));
        put_file(&other.root, "secret", b"secret").await;
        for path in ["../other/secret", "/other/secret", "other/secret", "..", "./../other"] {
            let refused = word(open_file(&one.root, path, Rights::READ).await);
            assert!([is(Word::BadPath), is(Word::NotFound)].contains(&refused), "{path}: {refused}");
        }
        let out = rename(&other.root, "secret", "../one/secret", true).await;
        assert_eq!(word(out), is(Word::BadPath));
        assert_eq!(names(&one.root).await, [""; 0]);
    })
    .unwrap();
}

#[test]
fn the_whole_store_is_for_operators_only() {
    vat::native::run(async {
        let served = served();
        let interface = store::Client::TYPE_ID;
        for peer in [Peer::App, Peer::Service, Peer::Powerbox] {
            let client: Client<store::Client> = served.link(&Badge { interface, peer, ..at("/", Rights::ALL) });
            assert_eq!(word(client.root.status_request().send().promise.await), is(Word::NotPermitted));
        }
        let shell = Badge { interface, peer: Peer::Shell, ..at("/", Rights::ALL) };
        let client: Client<store::Client> = served.link(&shell);
        client.root.status_request().send().promise.await.unwrap();
    })
    .unwrap();
}
