//! What leaves the store: given to readers and writers by its operator, and of use to them without it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::collections::HashMap;

use capnp::traits::HasTypeId;
use caps::sealed_node::{Expected, SealedNode, Verified, verify};
use caps::{
    Act, LocalSigner, NEVER_MS, NodeId, Path, Principal, PublicKey, Readable, ReaderSecret, Signer as _, SystemEntropy,
    directory, readcap, writecap,
};
use common::*;
use schema::storage_capnp::{caps as schema_caps, piece, store};
use vat::{Badge, Peer, Rights};

/// An operator of a store, with what has to live as long.
struct Operator {
    served: Served,
    granted: Client<schema::storage_capnp::stored_directory::Client>,
    _store: Client<store::Client>,
    caps: schema_caps::Client,
}

async fn operator() -> Operator {
    let served = served();
    let badge = Badge { interface: store::Client::TYPE_ID, peer: Peer::Shell, grant: 1, ..badge(Rights::ALL) };
    let store: Client<store::Client> = served.link(&badge);
    let caps = store.root.caps_request().send().promise.await.unwrap().get().unwrap().get_caps().unwrap();
    let granted = served.connect(Rights::ALL);
    Operator { served, granted, _store: store, caps }
}

impl Operator {
    fn root(&self) -> Principal {
        PublicKey(self.served.keys.public()).principal()
    }

    async fn put(&self, path: &str, bytes: &[u8]) {
        put_file(&plain(&self.granted.root), path, bytes).await;
    }

    async fn issue(&self, path: &str, reader: &ReaderSecret, expires_at_ms: u64) -> Result<Vec<u8>, capnp::Error> {
        let mut request = self.caps.issue_readcap_request();
        request.get().set_path(path.as_bytes());
        request.get().set_reader(&reader.public().0);
        request.get().set_expires_at_ms(expires_at_ms);
        Ok(request.send().promise.await?.get()?.get_readcap()?.to_vec())
    }

    async fn remove(&self, path: &str, reader: &ReaderSecret) -> Result<Vec<Vec<u8>>, capnp::Error> {
        let mut request = self.caps.remove_reader_request();
        request.get().set_path(path.as_bytes());
        request.get().set_reader(&reader.public().0);
        let answer = request.send().promise.await?;
        answer.get()?.get_through()?.iter().map(|path| Ok(path?.to_vec())).collect()
    }

    async fn readers(&self, path: &str) -> Vec<[u8; 32]> {
        let mut request = self.caps.readers_request();
        request.get().set_path(path.as_bytes());
        let answer = request.send().promise.await.unwrap();
        let readers = answer.get().unwrap().get_readers().unwrap();
        readers.iter().map(|reader| reader.get_key().unwrap().try_into().unwrap()).collect()
    }

    async fn export(&self, path: &str) -> Result<Host, capnp::Error> {
        let mut request = self.caps.export_request();
        request.get().set_path(path.as_bytes());
        let export = request.send().promise.await?.get()?.get_export()?;
        let mut host = Host::default();
        let mut content = Vec::new();
        loop {
            let answer = export.next_request().send().promise.await?;
            match answer.get()?.get_piece()?.which()? {
                piece::Which::Content(sealed) => content.extend_from_slice(sealed?),
                piece::Which::Metadata(metadata) => {
                    let node = SealedNode { metadata: metadata?.to_vec(), content: std::mem::take(&mut content) };
                    let id = NodeId(node.metadata[37..53].try_into().unwrap());
                    assert!(host.0.insert(id, node).is_none(), "a node comes once");
                }
                piece::Which::LeftOut(_) => panic!("something is left out"),
                piece::Which::End(()) => return Ok(host),
            }
        }
    }

    async fn snapshots(&self) -> usize {
        snapshots(&self.granted.root, 0, 0).await.unwrap().len()
    }
}

/// Somebody who holds sealed nodes and has no key.
#[derive(Default)]
struct Host(HashMap<NodeId, SealedNode>);

impl Host {
    fn verified(&self, root: &Principal, path: &Path) -> (&SealedNode, Verified) {
        let node = &self.0[&path.node()];
        let expected = Expected { root, path, moved_from: None, seen: None, now_ms: 0 };
        let verified = verify(&node.metadata, &expected).unwrap();
        verified.check_content(&node.content).unwrap();
        (node, verified)
    }

    /// As whoever can read it. Nothing where the key is of another generation.
    fn read(&self, readable: &Readable) -> Option<Vec<u8>> {
        let (node, verified) = self.verified(&readable.root, &readable.path);
        verified.check_content(&node.content).unwrap().open(readable).ok()
    }

    /// What is at a path of names below what can be read.
    fn find(&self, from: &Readable, names: &[&str]) -> Option<Readable> {
        names.iter().try_fold(from.clone(), |directory, name| {
            let entries = directory::decode(&self.read(&directory)?).unwrap();
            let entry = entries.iter().find(|entry| entry.name == name.as_bytes())?;
            readcap::narrow(&directory, &entry.key).ok()
        })
    }
}

fn open(readcap: &[u8], reader: &ReaderSecret) -> Readable {
    readcap::Readcap::verify(readcap, 0).unwrap().open(reader).unwrap()
}

fn reader() -> ReaderSecret {
    ReaderSecret::generate(&mut SystemEntropy).unwrap()
}

fn word<T>(result: Result<T, capnp::Error>) -> String {
    let text = result.err().expect("is refused").extra;
    text.trim_start_matches("remote exception: ").split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn a_reader_reads_elsewhere_what_was_given_and_nobody_else_does() {
    vat::native::run(async {
        let operator = operator().await;
        make_directory(&plain(&operator.granted.root), "sub").await.unwrap();
        let large = pattern(3_000_000);
        for (path, bytes) in [("sub/large", &large[..]), ("sub/empty", b""), ("a", b"text of a"), ("b", b"text of b")] {
            operator.put(path, bytes).await;
        }
        let (ada, bob) = (reader(), reader());
        let readcap = operator.issue("granted", &ada, 0).await.unwrap();
        let only_a = operator.issue("granted/a", &bob, 0).await.unwrap();
        let host = operator.export("granted").await.unwrap();
        assert_eq!(host.0.len(), 6);
        // Nothing is left of the export, as soon as it was let go of.
        while operator.snapshots().await > 0 {}

        let readable = open(&readcap, &ada);
        assert_eq!(readable.root, operator.root());
        assert!(host.find(&readable, &["sub", "large"]).and_then(|file| host.read(&file)).unwrap() == large);
        assert_eq!(host.find(&readable, &["sub", "empty"]).and_then(|file| host.read(&file)).unwrap(), b"");
        assert_eq!(host.find(&readable, &["a"]).and_then(|file| host.read(&file)).unwrap(), b"text of a");
        assert!(host.find(&readable, &["c"]).is_none());

        assert!(readcap::Readcap::verify(&readcap, 0).unwrap().open(&bob).is_err(), "it is for another");
        let readable = open(&only_a, &bob);
        assert_eq!(host.read(&readable).unwrap(), b"text of a");
        for (id, node) in &host.0 {
            if *id != readable.path.node() {
                let path =
                    Path::new(&[NodeId([9; 16]), NodeId(node.metadata[53..69].try_into().unwrap()), *id]).unwrap();
                let (_, verified) = host.verified(&operator.root(), &path);
                assert!(verified.find_key(&bob).is_none(), "no entry but on what was given");
                assert!(verified.check_content(&node.content).unwrap().open(&readable).is_err());
            }
        }
        // The whole store goes out as well, though nobody can be given it whole.
        let whole = operator.export("").await.unwrap();
        assert_eq!(whole.0.len(), 7);
        assert!(host.0.keys().all(|node| whole.0.contains_key(node)));
        // By way of the entry alone as well.
        let (_, verified) = host.verified(&operator.root(), &readable.path);
        assert_eq!(host.read(&verified.find_key(&bob).unwrap()).unwrap(), b"text of a");
    })
    .unwrap();
}

#[test]
fn a_reader_who_was_removed_reads_nothing_that_is_new() {
    vat::native::run(async {
        let operator = operator().await;
        make_directory(&plain(&operator.granted.root), "sub").await.unwrap();
        operator.put("sub/file", b"before").await;
        let (stays, goes) = (reader(), reader());
        let kept = open(&operator.issue("granted/sub", &stays, 0).await.unwrap(), &stays);
        let gone = open(&operator.issue("granted/sub", &goes, 0).await.unwrap(), &goes);
        let before = operator.export("granted/sub").await.unwrap();
        let of_before = before.find(&gone, &["file"]).unwrap();
        assert_eq!(before.read(&of_before).unwrap(), b"before");

        assert_eq!(operator.remove("granted/sub", &goes).await.unwrap(), [b""; 0]);
        assert_eq!(operator.readers("granted/sub").await, [stays.public().0]);
        assert_eq!(word(operator.remove("granted/sub", &goes).await), "unknown");
        operator.put("sub/new", b"after").await;
        let after = operator.export("granted").await.unwrap();

        // Not with what they have, nor with an entry; not the file either, which did not change.
        assert!(after.read(&gone).is_none() && after.read(&of_before).is_none());
        let (_, verified) = after.verified(&operator.root(), &gone.path);
        assert!(verified.find_key(&goes).is_none());
        assert_eq!(verified.generation(), gone.generation + 1);
        // Who stays has an entry for the new key.
        assert!(after.read(&kept).is_none());
        let kept = verified.find_key(&stays).unwrap();
        assert_eq!(after.find(&kept, &["new"]).and_then(|file| after.read(&file)).unwrap(), b"after");
        assert_eq!(after.find(&kept, &["file"]).and_then(|file| after.read(&file)).unwrap(), b"before");
        // The store itself reads all of it as ever.
        assert_eq!(content(&plain(&operator.granted.root), "sub/file").await, b"before");
    })
    .unwrap();
}

#[test]
fn who_still_reads_by_way_of_a_directory_above_is_told_of() {
    vat::native::run(async {
        let operator = operator().await;
        make_directory(&plain(&operator.granted.root), "sub").await.unwrap();
        operator.put("sub/file", b"x").await;
        let ada = reader();
        for path in ["granted", "granted/sub/file"] {
            operator.issue(path, &ada, 0).await.unwrap();
        }
        assert_eq!(operator.remove("granted/sub/file", &ada).await.unwrap(), [b"granted"]);
    })
    .unwrap();
}

#[test]
fn what_nobody_can_be_given_makes_no_reader() {
    vat::native::run(async {
        let operator = operator().await;
        operator.put("file", b"x").await;
        let ada = reader();
        assert_eq!(word(operator.issue("granted/file", &ada, 1).await), "badPath", "its time is over");
        assert_eq!(word(operator.issue("", &ada, 0).await), "badPath", "the whole store");
        assert_eq!(word(operator.issue("granted/none", &ada, 0).await), "notFound");
        assert_eq!(operator.readers("granted/file").await, [[0; 32]; 0], "nothing of that is remembered");
        let readcap = operator.issue("granted/file", &ada, u64::MAX - 1).await.unwrap();
        assert!(readcap::Readcap::verify(&readcap, u64::MAX - 2).is_ok());
        assert!(readcap::Readcap::verify(&readcap, u64::MAX - 1).is_err());
    })
    .unwrap();
}

#[test]
fn two_exports_have_growing_versions_and_their_entries_have_nothing_in_common() {
    const COMMON_BYTES: usize = 8;
    vat::native::run(async {
        let operator = operator().await;
        let ada = reader();
        for path in ["a", "b"] {
            operator.put(path, b"the same").await;
            operator.issue(&format!("granted/{path}"), &ada, 0).await.unwrap();
        }
        let (first, second) = (operator.export("granted").await.unwrap(), operator.export("granted").await.unwrap());
        let mut seen = std::collections::HashSet::new();
        let mut entries = 0;
        for (host, other) in [(&first, &second), (&second, &first)] {
            for (id, node) in &host.0 {
                let path = Path::new(&[NodeId(node.metadata[53..69].try_into().unwrap()), *id]).unwrap();
                let (_, verified) = host.verified(&operator.root(), &path);
                let (_, of_other) = other.verified(&operator.root(), &path);
                assert_ne!(verified.version(), of_other.version());
                for entry in verified.readers() {
                    entries += 1;
                    for window in entry.windows(COMMON_BYTES) {
                        assert!(seen.insert(window.to_vec()), "two entries have bytes in common");
                    }
                }
                let old = Expected {
                    root: &operator.root(),
                    path: &path,
                    moved_from: None,
                    seen: Some(&of_other.seen()),
                    now_ms: 0,
                };
                assert_eq!(verify(&node.metadata, &old).is_ok(), verified.version() > of_other.version());
            }
        }
        assert_eq!(entries, 4);
    })
    .unwrap();
}

#[test]
fn a_writecap_begins_with_the_stores_key_and_only_narrows() {
    vat::native::run(async {
        let operator = operator().await;
        operator.put("file", b"x").await;
        let holder = LocalSigner::from_seed(&[3; 32]);
        let mut request = operator.caps.issue_writecap_request();
        request.get().set_path(b"granted");
        request.get().set_holder(&holder.public_key().0);
        request.get().set_expires_at_ms(u64::MAX - 1);
        Rights { read: true, append: true, write: false }.write_to(request.get().init_rights());
        let answer = request.send().promise.await.unwrap();
        let chain = writecap::Chain::decode(answer.get().unwrap().get_writecap().unwrap()).unwrap();
        let ada = reader();
        let file = open(&operator.issue("granted/file", &ada, 0).await.unwrap(), &ada).path;
        let verify = |path, act, now_ms| writecap::verify(&chain, &operator.root(), path, act, now_ms);
        let authority = verify(&file, Act::Append, 0).unwrap();
        assert_eq!((authority.holder, authority.expires_ms), (holder.public_key(), u64::MAX - 1));
        assert!(verify(&file, Act::Write, 0).is_err());
        assert!(verify(&file, Act::Append, u64::MAX - 1).is_err());
        assert!(verify(&Path::new(&file.nodes()[..1]).unwrap(), Act::Append, 0).is_err(), "above what was given");
        let wider =
            writecap::Grant { holder: PublicKey([1; 32]), path: file, rights: caps::Rights::ALL, expires_ms: NEVER_MS };
        assert!(writecap::issue(&chain, wider, &holder).is_err());
    })
    .unwrap();
}

#[test]
fn exports_have_no_entry_for_readers_whose_time_is_over() {
    use storage_service::outside::{Outside, Piece};
    use storage_service::store::{Kind, OnDisk, Options, Store};

    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("index"));
    let files = std::sync::Arc::new(OnDisk::new(folder.path()).unwrap());
    let (store, _) = Store::open(files, std::sync::Arc::new(keys::TestKeys::fresh()), options).unwrap();
    let root = store.root();
    store.create(&root, b"file", Kind::File, &[]).unwrap();
    let outside = Outside::new(store, root);
    let path: &[&[u8]] = &[b"file"];
    let (short, long) = (reader(), reader());
    outside.issue_readcap(path, short.public(), 1_000, 500).unwrap();
    outside.issue_readcap(path, long.public(), NEVER_MS, 500).unwrap();
    let entries = |now_ms| {
        let mut export = outside.export(path, now_ms).unwrap();
        loop {
            if let Piece::Metadata(metadata) = export.next_piece().unwrap() {
                assert_eq!(export.next_piece().unwrap(), Piece::End);
                return u16::from_le_bytes([metadata[211], metadata[212]]);
            }
        }
    };
    assert_eq!((entries(999), entries(1_000)), (2, 1));
    assert_eq!(outside.readers(path).unwrap().len(), 2, "both are listed");
}

#[test]
fn who_fills_a_folder_does_not_keep_what_is_around_it_from_being_exported() {
    use caps::PATH_LIMIT_NODES;
    use storage_service::outside::{Outside, Piece};
    use storage_service::store::{Kind, OnDisk, Options, Store};

    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("index"));
    let files = std::sync::Arc::new(OnDisk::new(folder.path()).unwrap());
    let (store, _) = Store::open(files, std::sync::Arc::new(keys::TestKeys::fresh()), options).unwrap();
    let root = store.root();
    let mut deep = root.clone();
    for _ in 0..PATH_LIMIT_NODES + 6 {
        deep = store.create(&deep, b"d", Kind::Directory, &[]).unwrap();
    }
    for (name, size) in [(b"mostly-hole", 1 << 40), (b"little-hole", 1 << 20)] {
        let file = store.create(&root, name, Kind::File, &[]).unwrap();
        store.write(&file, 0, b"begin", &[]).unwrap();
        store.truncate(&file, size, &[]).unwrap();
    }
    let whole = store.create(&root, b"whole", Kind::File, &[]).unwrap();
    store.write(&whole, (64 << 20) - 8, &[1; 8], &[]).unwrap();
    for chunk in 0..9 {
        store.write(&whole, chunk << 20, &[1; 1 << 20], &[]).unwrap();
    }
    let outside = Outside::new(store, root);
    let (mut nodes, mut left_out) = (0, Vec::new());
    let mut export = outside.export(&[], 1).unwrap();
    loop {
        match export.next_piece().unwrap() {
            Piece::Content(_) => {}
            Piece::Metadata(_) => nodes += 1,
            Piece::LeftOut { path, .. } => left_out.push(String::from_utf8(path).unwrap()),
            Piece::End => break,
        }
    }
    left_out.sort();
    // The root and 63 below it are a path; the file with little of a hole and the one that is an eighth there are exported.
    let too_deep = vec!["d"; PATH_LIMIT_NODES].join("/");
    assert_eq!(left_out, [too_deep, "mostly-hole".to_owned()]);
    assert_eq!(nodes, PATH_LIMIT_NODES + 2);
}
