//! Readers.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use caps::readcap::{Readcap, issue};
use caps::{LocalSigner, ReaderSecret, SystemEntropy};
use serde_json::Value;
use tests::node::Node;

use super::person::{Person, node, put, text};

/// Some bytes that are different everywhere.
fn large() -> Vec<u8> {
    (0..2_000_000u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).take(3_000_001).collect()
}

struct Scene {
    node: Node,
    ada: Person,
    bob: Person,
    hosted: PathBuf,
}

fn scene() -> Scene {
    let node = node();
    put(&node, "storage:/notes", "a.txt", b"secret words of a");
    put(&node, "storage:/notes/sub", "large", &large());
    put(&node, "storage:/notes/sub", "empty", b"");
    let (ada, bob) = (Person::new(&node, "ada"), Person::new(&node, "bob"));
    let hosted = node.scratch().join("hosted");
    Scene { node, ada, bob, hosted }
}

impl Scene {
    fn issue(&self, place: &str, to: &Person, more: &[&str]) -> (Value, PathBuf) {
        let file = to.path(&format!("{}.readcap", place.replace(['/', ':'], "-")));
        let _ = fs::remove_file(&file);
        let key = to.key("reader-key");
        let words = [&["cap", "issue", place, "--for", &key, "--out", text(&file)], more].concat();
        (self.node.json(words), file)
    }

    fn export(&self, place: &str) -> String {
        let made = self.node.json(["cap", "export", place, "--out", text(&self.hosted)]);
        made["root"].as_str().unwrap().to_owned()
    }

    fn open<'a>(&'a self, readcap: &'a Path) -> Vec<&'a str> {
        vec!["open", text(readcap), "--from", text(&self.hosted)]
    }

    /// The files in the hosted folder whose names end so.
    fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let all = fs::read_dir(&self.hosted).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| text(path).ends_with(suffix)).collect()
    }
}

#[test]
fn what_was_given_is_read_elsewhere_by_the_reader_and_nobody_else() {
    let scene = scene();
    let Scene { node, ada, bob, .. } = &scene;
    let key_file = ada.path("config/latch/reader.key");
    let (issued, readcap) = scene.issue("storage:/notes", ada, &[]);
    assert_eq!(fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let root = scene.export("storage:/notes");
    assert_eq!(issued["root"], root.as_str());
    assert_eq!(node.json(["store"])["root"], root.as_str());
    assert_eq!(ada.json(&["verify", text(&readcap), "--root", &root])["by_root"], true);

    // Who hosts it sees that it is whole, and no name and no content.
    let verified = bob.json(&["verify", text(&scene.hosted), "--root", &root]);
    assert_eq!((&verified["nodes"], verified["refused"].as_array().unwrap().len()), (&5.into(), 0));
    for file in scene.files("") {
        let bytes = fs::read(&file).unwrap();
        for secret in ["secret words", "a.txt", "large", "notes"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file:?}: {secret}");
            assert!(!text(file.strip_prefix(&scene.hosted).unwrap()).contains(secret));
        }
    }

    // Without the node, even.
    node.expect(["down"]);
    let listed = ada.json(&[&scene.open(&readcap)[..], &[]].concat());
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.txt", "sub", "sub/empty", "sub/large"]);
    assert_eq!(ada.expect(&[&scene.open(&readcap)[..], &["--path", "a.txt"]].concat()), b"secret words of a");
    let out = ada.path("out");
    ada.expect(&[&scene.open(&readcap)[..], &["--out", "out"]].concat());
    assert!(fs::read(out.join("sub/large")).unwrap() == large());
    assert_eq!(fs::read(out.join("sub/empty")).unwrap(), b"");
    assert!(ada.refused(&[&scene.open(&readcap)[..], &["--out", "out"]].concat()).contains("is there already"));

    // Another person's key opens nothing, whatever they have.
    bob.key("reader-key");
    assert!(bob.refused(&scene.open(&readcap)).contains("the readcap is for another reader"));

    // Ada gives Bob a part of it.
    let part = bob.path("part.readcap");
    let for_bob = bob.key("reader-key");
    ada.expect(&[
        "narrow",
        text(&readcap),
        "--from",
        text(&scene.hosted),
        "--path",
        "sub/large",
        "--for",
        &for_bob,
        "--out",
        text(&part),
    ]);
    assert!(bob.expect(&scene.open(&part)) == large());
    assert!(bob.json(&["verify", text(&part), "--root", &root])["by_root"] == false);
    assert!(bob.refused(&[&scene.open(&part)[..], &["--path", "a.txt"]].concat()).contains("nothing called"));
    node.up();
}

#[test]
fn a_host_that_changes_cuts_or_exchanges_anything_is_found_out() {
    let scene = scene();
    let Scene { ada, .. } = &scene;
    let (_, readcap) = scene.issue("storage:/notes", ada, &[]);
    let root = scene.export("storage:/notes");
    let verify = ["verify", text(&scene.hosted), "--root", &root];
    let large_file = scene.files(".content").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let whole = fs::read(&large_file).unwrap();
    let refused = |bytes: &[u8], why: &str| {
        fs::write(&large_file, bytes).unwrap();
        let verification = ada.cap(&verify);
        assert_eq!(verification.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&verification.stdout).contains(why), "{why}");
        let out = [&scene.open(&readcap)[..], &["--path", "sub/large", "--out", "out"]].concat();
        assert!(ada.refused(&out).contains(why), "{why}");
        assert!(!ada.path("out").exists(), "nothing is left of what was refused");
    };
    let mut changed = whole.clone();
    changed[1_000_000] ^= 1;
    refused(&changed, "the content is not what was signed");
    refused(&whole[..whole.len() - 1], "the content has another length");
    fs::write(&large_file, &whole).unwrap();
    for node in scene.files(".node") {
        let whole = fs::read(&node).unwrap();
        let mut changed = whole.clone();
        changed[130] ^= 1;
        fs::write(&node, changed).unwrap();
        assert!(String::from_utf8_lossy(&ada.cap(&verify).stdout).contains("was not signed by its signer"));
        fs::write(&node, whole).unwrap();
    }
    ada.expect(&verify);
    let other = "00".repeat(32);
    assert!(
        String::from_utf8_lossy(&ada.cap(&["verify", text(&scene.hosted), "--root", &other]).stdout)
            .contains("another store")
    );
    assert!(ada.refused(&[&scene.open(&readcap)[..], &["--root", &other]].concat()).contains("it is for the store"));
}

#[test]
fn what_a_host_planted_in_the_folder_makes_nobody_wait_and_is_written_over_by_no_export() {
    let scene = scene();
    let Scene { ada, .. } = &scene;
    let (_, readcap) = scene.issue("storage:/notes", ada, &[]);
    let root = scene.export("storage:/notes");
    let verify = ["verify", text(&scene.hosted), "--root", &root];
    let node = scene.files(".node").pop().unwrap();
    let whole = fs::read(&node).unwrap();
    // Whoever opens a FIFO waits for a writer that never comes.
    fs::remove_file(&node).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &node, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(ada.refused(&verify).contains("no plain file"));
    ada.refused(&scene.open(&readcap));
    fs::remove_file(&node).unwrap();
    fs::write(&node, whole).unwrap();
    ada.expect(&verify);
    // An export writes beside each file of the host's, and follows no link that waits there.
    let victim = scene.hosted.with_file_name("victim");
    fs::write(&victim, "as it was").unwrap();
    for file in scene.files("") {
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&victim, &file).unwrap();
    }
    scene.export("storage:/notes");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    ada.expect(&verify);
}

#[test]
fn a_reader_who_was_removed_reads_nothing_of_what_is_exported_later() {
    let scene = scene();
    let Scene { node, ada, bob, .. } = &scene;
    let (_, of_ada) = scene.issue("storage:/notes", ada, &[]);
    let (_, of_bob) = scene.issue("storage:/notes", bob, &[]);
    scene.export("storage:/notes");
    let at_a = |readcap| [&scene.open(readcap)[..], &["--path", "a.txt"]].concat();
    assert_eq!(bob.expect(&at_a(&of_bob)), b"secret words of a");
    let before = node.scratch().join("before");
    copy(&scene.hosted, &before);

    let key = bob.key("reader-key");
    assert_eq!(node.json(["cap", "readers", "storage:/notes"]).as_array().unwrap().len(), 2);
    node.expect(["cap", "revoke-reader", "storage:/notes", &key]);
    let readers = node.json(["cap", "readers", "storage:/notes"]);
    assert_eq!((readers.as_array().unwrap().len(), &readers[0]["reader"]), (1, &ada.key("reader-key").into()));
    put(node, "storage:/notes", "a.txt", b"words after that");
    let root = scene.export("storage:/notes");
    bob.expect(&["verify", text(&scene.hosted), "--root", &root]);

    assert!(bob.refused(&at_a(&of_bob)).contains("its key was exchanged since, and you are not among its readers"));
    // Not by way of what he had of it either.
    let mixed = node.scratch().join("mixed");
    copy(&scene.hosted, &mixed);
    let directory = node.json([
        "cap",
        "issue",
        "storage:/notes",
        "--for",
        &ada.key("reader-key"),
        "--out",
        text(&ada.path("again")),
    ]);
    let top = directory["node"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    for old in fs::read_dir(&before).unwrap().map(|entry| entry.unwrap().path()) {
        let name = old.file_name().unwrap().to_str().unwrap();
        if name.starts_with(&top) {
            fs::copy(&old, mixed.join(name)).unwrap();
        }
    }
    let of_before = ["open", text(&of_bob), "--from", text(&mixed)];
    let told = bob.refused(&[&of_before[..], &["--path", "sub/large"]].concat());
    assert!(told.contains("its key was exchanged after this folder was exported"), "{told}");
    let told = bob.refused(&[&of_before[..], &["--path", "a.txt"]].concat());
    assert!(told.contains("is not in this folder"), "it was replaced, and is another node now: {told}");
    // What he has of before is his. Who stays reads on, with what she was given first.
    assert_eq!(bob.expect(&["open", text(&of_bob), "--from", text(&before), "--path", "a.txt"]), b"secret words of a");
    assert_eq!(ada.expect(&at_a(&of_ada)), b"words after that");
    assert!(node.refused(["cap", "revoke-reader", "storage:/notes", &key]).contains("this key is no reader of it"));
}

#[test]
fn a_cap_whose_time_is_over_is_refused() {
    let scene = scene();
    let Scene { ada, .. } = &scene;
    let (issued, readcap) = scene.issue("storage:/notes/a.txt", ada, &["--expires", "30d"]);
    let root = scene.export("storage:/notes");
    assert!(issued["expires_at_ms"].as_u64().unwrap() > 0);
    assert_eq!(ada.expect(&scene.open(&readcap)), b"secret words of a");
    // The same for a time that is over, as nobody who issues one does: made by hand from what Ada was given.
    let key = fs::read(ada.path("config/latch/reader.key")).unwrap();
    let ada_reads = ReaderSecret::from_bytes(key[5..].try_into().unwrap());
    let readable = Readcap::verify(&fs::read(&readcap).unwrap(), 0).unwrap().open(&ada_reads).unwrap();
    let signer = LocalSigner::from_seed(&[1; 32]);
    let over = issue(&readable, &ada_reads.public(), 1, &signer, &mut SystemEntropy).unwrap();
    fs::write(&readcap, over).unwrap();
    assert!(ada.refused(&scene.open(&readcap)).contains("the readcap's time is over"));
    assert!(ada.refused(&["verify", text(&readcap), "--root", &root]).contains("the readcap's time is over"));
    assert!(
        scene
            .node
            .refused(["cap", "issue", "storage:/", "--for", &ada.key("reader-key")])
            .contains("name what is in it")
    );
}

#[test]
fn what_was_removed_from_the_store_is_hosted_no_longer() {
    let scene = scene();
    put(&scene.node, "storage:/other", "b.txt", b"of another place");
    let root = scene.export("storage:/other");
    scene.export("storage:/notes");
    let nodes = scene.files(".node").len();
    scene.node.expect(["rm", "storage:/notes", "sub/large"]);
    scene.export("storage:/notes");
    assert_eq!((scene.files(".node").len(), scene.files(".content").len()), (nodes - 1, nodes - 2));
    assert_eq!(scene.ada.json(&["verify", text(&scene.hosted), "--root", &root])["nodes"], nodes as u64 - 1);
}

#[test]
fn two_exports_tell_nobody_that_they_have_the_same_reader() {
    const COMMON_BYTES: usize = 8;
    let scene = scene();
    let Scene { ada, .. } = &scene;
    for place in ["storage:/notes/a.txt", "storage:/notes/sub"] {
        scene.issue(place, ada, &[]);
    }
    let mut seen = HashSet::new();
    for _ in 0..2 {
        scene.export("storage:/notes");
        let entries = entries(&scene);
        assert_eq!(entries.len(), 2);
        for window in entries.iter().flat_map(|entry| entry.windows(COMMON_BYTES)) {
            assert!(seen.insert(window.to_vec()), "two entries have bytes in common");
        }
    }
    // Nothing of who reads is in the clear in the state either.
    let key = ada.key("reader-key");
    let key: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&key[at..at + 2], 16).unwrap()).collect();
    assert!(!anywhere(&scene.node.state(), &key));
}

/// The entries of readers of all that is hosted, cut out of the metadata as `FORMAT.md` says.
fn entries(scene: &Scene) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    for node in scene.files(".node") {
        let metadata = fs::read(node).unwrap();
        let count = usize::from(u16::from_le_bytes([metadata[211], metadata[212]]));
        entries.extend(metadata[213..213 + 80 * count].chunks(80).map(<[u8]>::to_vec));
    }
    entries
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Whether these bytes are in any file below.
fn anywhere(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        let kind = path.symlink_metadata().unwrap();
        if kind.is_dir() {
            return anywhere(&path, bytes);
        }
        kind.is_file() && fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}
