//! The whole store, as an operator sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use capnp::traits::HasTypeId;
use common::*;
use files::problem::Word;
use schema::storage_capnp::{finding, reporter, store};
use vat::{Badge, Peer, Rights};

fn operator(served: &Served) -> Client<store::Client> {
    served.link(&Badge { interface: store::Client::TYPE_ID, peer: Peer::Shell, grant: 1, ..badge(Rights::ALL) })
}

/// What a reporter was told.
#[derive(Default)]
struct Told {
    findings: RefCell<Vec<(finding::Severity, String)>>,
    done_bytes: Cell<u64>,
}

struct Reporter(Rc<Told>);

impl reporter::Server for Reporter {
    async fn found(self: Rc<Self>, params: reporter::FoundParams) -> Result<(), capnp::Error> {
        let finding = params.get()?.get_finding()?;
        let text = format!("{}: {}", finding.get_where()?.to_str()?, finding.get_what()?.to_str()?);
        self.0.findings.borrow_mut().push((finding.get_severity()?, text));
        Ok(())
    }

    async fn progress(self: Rc<Self>, params: reporter::ProgressParams) -> Result<(), capnp::Error> {
        let params = params.get()?;
        assert!(params.get_done_bytes() <= params.get_of_bytes() && params.get_done_bytes() >= self.0.done_bytes.get());
        self.0.done_bytes.set(params.get_done_bytes());
        Ok(())
    }
}

/// How many were checked, and whether all is clean.
async fn check(client: &Client<store::Client>, repair: bool) -> Result<(u64, u64, bool, Rc<Told>), capnp::Error> {
    let told = Rc::<Told>::default();
    let mut request = client.root.check_request();
    request.get().set_repair(repair);
    request.get().set_reporter(client.exports.export(Reporter(told.clone())));
    let response = request.send().promise.await?;
    let summary = response.get()?.get_summary()?;
    Ok((summary.get_files(), summary.get_lost(), summary.get_clean(), told))
}

#[test]
fn the_status_says_what_there_is() {
    vat::native::run(async {
        let served = served();
        let (client, operator) = (served.connect(Rights::ALL), operator(&served));
        make_directory(&plain(&client.root), "sub").await.unwrap();
        put_file(&plain(&client.root), "sub/file", &pattern(100_000)).await;
        snapshot(&client.root, "one").await.unwrap();
        let response = operator.root.status_request().send().promise.await.unwrap();
        let status = response.get().unwrap().get_status().unwrap();
        assert!(status.get_unlocked());
        assert_eq!(status.get_trouble().unwrap(), "");
        assert_eq!((status.get_files(), status.get_snapshots()), (1, 1));
        assert_eq!(status.get_directories(), 3, "the top, the granted one, and what is in it");
        assert!(status.get_segments() > 0 && status.get_commits() > 0);
        assert!(status.get_live_bytes() >= 100_000 && status.get_bytes() >= status.get_live_bytes());
        assert_eq!(status.get_public_key().unwrap(), served.keys.public());
    })
    .unwrap();
}

#[test]
fn a_sound_store_is_found_clean() {
    vat::native::run(async {
        let served = served();
        let (client, operator) = (served.connect(Rights::ALL), operator(&served));
        for number in 0..20 {
            put_file(&plain(&client.root), &number.to_string(), &pattern(50_000)).await;
        }
        let (files, lost, clean, told) = check(&operator, false).await.unwrap();
        assert_eq!((files, lost, clean), (20, 0, true));
        assert!(told.done_bytes.get() >= 2 * 20 * 50_000, "every byte twice: as a frame, and as what it holds");
        let findings = told.findings.borrow();
        assert!(!findings.iter().any(|(severity, _)| *severity == finding::Severity::Lost), "{:?}", findings.len());
    })
    .unwrap();
}

#[test]
fn a_check_says_how_far_it_is() {
    vat::native::run(async {
        let served = served();
        let (client, operator) = (served.connect(Rights::ALL), operator(&served));
        put_file(&plain(&client.root), "large", &pattern(24 << 20)).await;
        let (_, _, clean, told) = check(&operator, false).await.unwrap();
        // Once in the segments, and once more when the file is opened.
        assert!(clean && told.done_bytes.get() >= 32 << 20, "{}", told.done_bytes.get());
    })
    .unwrap();
}

#[test]
fn an_operator_who_may_only_look_changes_nothing() {
    vat::native::run(async {
        let served = served();
        put_file(&plain(&served.connect(Rights::ALL).root), "file", b"x").await;
        let interface = store::Client::TYPE_ID;
        let client: Client<store::Client> = served.link(&Badge { interface, peer: Peer::Shell, ..badge(Rights::READ) });
        client.root.status_request().send().promise.await.unwrap();
        assert_eq!(word(client.root.compact_request().send().promise.await), is(Word::ReadOnly));
        assert_eq!(word(check(&client, true).await.map(drop)), is(Word::ReadOnly));
        let response = client.root.root_request().send().promise.await.unwrap();
        let top = plain(&response.get().unwrap().get_directory().unwrap());
        assert_eq!(content(&top, "granted/file").await, b"x");
        assert_eq!(word(remove(&top, "granted/file").await), is(Word::ReadOnly));
    })
    .unwrap();
}

#[test]
fn an_operator_reaches_everything_and_room_comes_back() {
    vat::native::run(async {
        let served = served();
        let (client, operator) = (served.connect(Rights::ALL), operator(&served));
        put_file(&plain(&client.root), "file", &pattern(1 << 20)).await;
        let response = operator.root.root_request().send().promise.await.unwrap();
        let top = plain(&response.get().unwrap().get_directory().unwrap());
        assert!(content(&top, "granted/file").await == pattern(1 << 20));
        remove(&top, "granted/file").await.unwrap();
        assert_eq!(names(&plain(&client.root)).await, [""; 0]);
        operator.root.compact_request().send().promise.await.unwrap();
    })
    .unwrap();
}

/// Changes a byte in every so many, as a failing disk may.
fn damage(served: &Served, every: usize) {
    for segment in std::fs::read_dir(served.folder.path().join("segments")).unwrap() {
        let path = segment.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let length = bytes.len();
        (every..length).step_by(every).for_each(|at| bytes[at] ^= 1);
        std::fs::write(&path, bytes).unwrap();
    }
}

/// A store with fifty files of 40,000 bytes, most of them damaged.
async fn damaged() -> (Served, Client<store::Client>) {
    let served = served();
    let client = served.connect(Rights::ALL);
    for number in 0..50 {
        put_file(&plain(&client.root), &number.to_string(), &pattern(40_000)).await;
    }
    plain(&client.root).sync_request().send().promise.await.unwrap();
    let operator = operator(&served);
    check(&operator, false).await.unwrap();
    damage(&served, 50_000);
    (served, operator)
}

#[test]
fn damage_is_found_and_named() {
    vat::native::run(async {
        let (_served, operator) = damaged().await;
        let (_, lost, clean, told) = check(&operator, false).await.unwrap();
        assert!(!clean && lost > 20, "{lost} lost");
        let findings = told.findings.borrow();
        let lost = findings.iter().filter(|(severity, _)| *severity == finding::Severity::Lost);
        assert!(lost.clone().count() > 20, "{}", findings.len());
        // Where on the disk, or of which file.
        assert!(
            lost.clone().all(|(_, text)| text.starts_with("segment ") || text.starts_with("/granted")),
            "{findings:?}"
        );
        assert!(lost.clone().any(|(_, text)| text.starts_with("/granted/7: ")), "{findings:?}");
    })
    .unwrap();
}

#[test]
fn after_a_repair_the_store_is_clean_and_serves_what_is_left() {
    vat::native::run(async {
        let (served, operator) = damaged().await;
        let (.., clean, told) = check(&operator, true).await.unwrap();
        assert!(clean, "{:?}", told.findings.borrow());
        let (_, lost, clean, _) = check(&operator, false).await.unwrap();
        assert_eq!((lost, clean), (0, true));
        let client = served.connect(Rights::ALL);
        for name in names(&plain(&client.root)).await {
            let bytes = content(&plain(&client.root), &name).await;
            let named = told.findings.borrow().iter().any(|(_, text)| text.starts_with(&format!("/granted/{name}: ")));
            assert!(named || bytes == pattern(40_000), "{name} is another than it was, and was not named");
        }
        put_file(&plain(&client.root), "new", b"new").await;
    })
    .unwrap();
}

/// Takes the first finding, and answers nothing.
struct Silent(tokio::sync::mpsc::UnboundedSender<()>);

impl reporter::Server for Silent {
    async fn found(self: Rc<Self>, _: reporter::FoundParams) -> Result<(), capnp::Error> {
        _ = self.0.send(());
        std::future::pending().await
    }

    async fn progress(self: Rc<Self>, _: reporter::ProgressParams) -> Result<(), capnp::Error> {
        Ok(())
    }
}

#[test]
fn a_check_ends_with_its_call_also_where_nobody_takes_what_it_finds() {
    vat::native::run(async {
        let (_served, operator) = damaged().await;
        // More often than an operator has threads.
        for _ in 0..8 {
            let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
            let mut request = operator.root.check_request();
            request.get().set_reporter(operator.exports.export(Silent(said)));
            let call = request.send().promise;
            heard.recv().await.unwrap();
            drop(call);
        }
        operator.root.status_request().send().promise.await.unwrap();
        let (_, lost, ..) = check(&operator, false).await.unwrap();
        assert!(lost > 20);
    })
    .unwrap();
}
