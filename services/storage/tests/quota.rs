//! Quotas and reservations over links.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::*;
use files::problem::Word;
use schema::storage_capnp::stored_directory;
use vat::door::Account;
use vat::{Badge, Rights};

const QUOTA: u64 = 4 << 20;

/// A grant whose room counts against itself and against these around it.
fn within(grant: u64, accounts: &[(u64, u64)]) -> Badge {
    let accounts = accounts.iter().map(|&(grant, quota_bytes)| Account { grant, quota_bytes }).collect();
    Badge { grant, accounts, object: format!("/{grant}"), ..badge(Rights::ALL) }
}

/// Appends half mebibytes until that is refused: how many were taken, and the word of the refusal.
async fn fill(file: &schema::filesystem_capnp::file::Client) -> (u64, String) {
    let piece = pattern(1 << 19);
    for pieces in 0.. {
        if let Err(error) = append(file, &piece).await {
            return (pieces, word(Err::<(), _>(error)));
        }
    }
    unreachable!("it was never full")
}

#[test]
fn a_quota_is_the_end_and_removing_makes_room_again() {
    vat::native::run(async {
        let served = served();
        let client: Client<stored_directory::Client> = served.link(&within(7, &[(7, QUOTA)]));
        let root = plain(&client.root);
        let (file, _) = create(&root, "file", true).await.unwrap();
        let (pieces, refusal) = fill(&file).await;
        assert_eq!(refusal, is(Word::Quota));
        assert!((QUOTA / 2..QUOTA).contains(&(pieces << 19)), "{pieces} pieces");
        assert_eq!(stat_file(&file).await.unwrap().size, pieces << 19, "what was refused left nothing");
        let (used, quota, free) = room(&client.root).await.unwrap();
        assert!(quota == QUOTA && used >= pieces << 19 && used + free <= QUOTA, "{used} of {quota}, {free} free");
        truncate(&file, 0).await.expect("giving back needs no room");
        drop(file);
        remove(&root, "file").await.unwrap();
        let (again, _) = create(&root, "again", true).await.unwrap();
        let (second, _) = fill(&again).await;
        assert!(second + 1 >= pieces, "{second} pieces after {pieces}");
        // Whoever has no quota is not held up.
        let other: Client = served.link(&within(8, &[]));
        put_file(&other.root, "file", &pattern(1 << 20)).await;
    })
    .unwrap();
}

#[test]
fn what_grants_below_store_counts_against_the_one_above() {
    vat::native::run(async {
        let served = served();
        let links: Vec<Client<stored_directory::Client>> =
            [10, 11].map(|grant| served.link(&within(grant, &[(grant, 1 << 40), (9, QUOTA)]))).into();
        let (first, _) = create(&plain(&links[0].root), "file", true).await.unwrap();
        let (pieces, refusal) = fill(&first).await;
        assert_eq!(refusal, is(Word::Quota));
        let (second, _) = create(&plain(&links[1].root), "file", false)
            .await
            .map_or((None, false), |(file, made)| (Some(file), made));
        if let Some(second) = second {
            assert!(fill(&second).await.0 <= 1, "the room of both was used up, {pieces} pieces");
        }
    })
    .unwrap();
}

#[test]
fn two_writers_are_never_both_given_the_last_room() {
    vat::native::run(async {
        let served = served();
        let clients: Vec<Client> =
            (20..26).map(|grant| served.link(&within(grant, &[(grant, 1 << 40), (9, QUOTA)]))).collect();
        let filling = clients.iter().map(async |client| {
            let (file, _) = create(&client.root, "file", true).await.unwrap();
            fill(&file).await.0 << 19
        });
        let stored: u64 = futures::future::join_all(filling).await.iter().sum();
        assert!(stored > 0 && stored < QUOTA, "{stored} bytes");
    })
    .unwrap();
}

#[test]
fn reserved_room_is_there_for_who_reserved_it() {
    vat::native::run(async {
        let served = served();
        let saver: Client<stored_directory::Client> = served.link(&within(30, &[(30, 1 << 40), (9, QUOTA)]));
        let other: Client<stored_directory::Client> = served.link(&within(31, &[(31, 1 << 40), (9, QUOTA)]));
        let (saved, _) = create(&plain(&saver.root), "file", true).await.unwrap();
        let (greedy, _) = create(&plain(&other.root), "file", true).await.unwrap();
        let reservation = reserve(&saver.root, 2 << 20).await.unwrap();
        assert_eq!(left(&reservation).await, 2 << 20);
        assert_eq!(word(reserve(&saver.root, QUOTA).await.map(drop)), is(Word::Quota));
        let (pieces, _) = fill(&greedy).await;
        assert!(pieces << 19 <= QUOTA - (2 << 20), "{pieces} pieces beside what is set aside");
        append(&saved, &pattern(1 << 20)).await.expect("it was set aside");
        let rest = left(&reservation).await;
        assert!(rest <= 1 << 20, "{rest} are left of it");
        // Dropping it gives the rest back, soon.
        drop(reservation);
        while append(&greedy, &pattern(1 << 19)).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .unwrap();
}

#[test]
fn reservations_are_bounded_like_all_that_is_held_open() {
    vat::native::run(async {
        let served = served();
        let client: Client<stored_directory::Client> = served.link(&within(40, &[(40, 1 << 40)]));
        let mut held = Vec::new();
        let overload = loop {
            match reserve(&client.root, 1).await {
                Ok(reservation) => held.push(reservation),
                Err(error) => break error,
            }
        };
        assert_eq!(overload.kind, capnp::ErrorKind::Overloaded);
        held.clear();
        while reserve(&client.root, 1).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .unwrap();
}
