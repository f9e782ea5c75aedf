//! Measures the store by itself, without RPC: `measure FOLDER [FILES]`, and of a folder that has a store what it takes to open
//! it and find files in it. What is printed is of this machine and this moment.
#![allow(clippy::unwrap_used, reason = "an example that measures")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey};
use storage_service::store::{Keys, KeysError, Kind, Node, OnDisk, Options, SIGNATURE_CONTEXT, Store};
use zeroize::Zeroizing;

const CHUNK: usize = 1 << 20;
const STREAM_CHUNKS: usize = 512;
const RANDOM: usize = 20_000;
const BLOCK: usize = 4_096;
const PER_DIRECTORY: usize = 1_000;

/// Keys that seal nothing: what is measured is the store.
struct OpenKeys(SigningKey);

impl Keys for OpenKeys {
    fn unseal_root(&self, sealed: &[u8], _: &[u8]) -> Result<(Zeroizing<Vec<u8>>, bool), KeysError> {
        Ok((Zeroizing::new(sealed.to_vec()), true))
    }

    fn seal_root(&self, secret: &[u8], _: &[u8]) -> Result<Vec<u8>, KeysError> {
        Ok(secret.to_vec())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], KeysError> {
        Ok(self.0.sign(&blake3::derive_key(SIGNATURE_CONTEXT, message)).to_bytes())
    }

    fn public_key(&self) -> Result<[u8; 32], KeysError> {
        Ok(self.0.verifying_key().to_bytes())
    }

    fn public_keys(&self) -> Result<Vec<[u8; 32]>, KeysError> {
        Ok(vec![self.0.verifying_key().to_bytes()])
    }
}

fn open(folder: &Path) -> Store {
    let keys = Arc::new(OpenKeys(SigningKey::from_bytes(&[1; 32])));
    let (store, opened) =
        Store::open(Arc::new(OnDisk::new(folder).unwrap()), keys, Options::new(folder.join("index"))).unwrap();
    assert!(opened.damage.is_empty(), "{opened:?}");
    store
}

fn say(what: &str, bytes: usize, count: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    let (mib, rate) = (bytes as f64 / 1_048_576.0 / seconds, count as f64 / seconds);
    println!("{what:28} {mib:8.0} MiB/s {rate:10.0} /s {:8.2} s  memory {} MiB", seconds, memory_mib());
}

fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

/// The same arithmetic without a store: each sector sealed, and all hashed once.
fn arithmetic() {
    let cipher = XChaCha20Poly1305::new(&[7; 32].into());
    let mut bytes = vec![3; CHUNK];
    let begin = Instant::now();
    for _ in 0..STREAM_CHUNKS {
        for sector in bytes.chunks_mut(16_384) {
            cipher.encrypt_inout_detached(&XNonce::from([1; 24]), &[], sector.into()).unwrap();
        }
        std::hint::black_box(blake3::hash(&bytes));
    }
    say("seal and hash alone", CHUNK * STREAM_CHUNKS, STREAM_CHUNKS, begin.elapsed());
}

fn stream(store: &Store, file: &Node) {
    let bytes: Vec<u8> = (0..CHUNK).map(|at| (at % 251) as u8).collect();
    let begin = Instant::now();
    for chunk in 0..STREAM_CHUNKS {
        store.write(file, (chunk * CHUNK) as u64, &bytes, &[]).unwrap();
    }
    say("write 1 MiB, in order", CHUNK * STREAM_CHUNKS, STREAM_CHUNKS, begin.elapsed());
    store.sync().unwrap();
    say("the same with sync", CHUNK * STREAM_CHUNKS, STREAM_CHUNKS, begin.elapsed());
    let mut read = vec![0; CHUNK];
    let begin = Instant::now();
    for chunk in 0..STREAM_CHUNKS {
        assert_eq!(store.read(file, (chunk * CHUNK) as u64, &mut read).unwrap(), CHUNK);
    }
    say("read 1 MiB, in order", CHUNK * STREAM_CHUNKS, STREAM_CHUNKS, begin.elapsed());
    assert!(read == bytes);
}

fn random(store: &Store, file: &Node) {
    let mut at = 1_u64;
    let mut next = || {
        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (at >> 33) % ((STREAM_CHUNKS * CHUNK / BLOCK) as u64) * BLOCK as u64
    };
    let mut block = vec![0; BLOCK];
    let begin = Instant::now();
    for _ in 0..RANDOM {
        store.read(file, next(), &mut block).unwrap();
    }
    say("read 4 KiB, at random", RANDOM * BLOCK, RANDOM, begin.elapsed());
    let begin = Instant::now();
    for _ in 0..RANDOM {
        store.write(file, next(), &block, &[]).unwrap();
    }
    say("write 4 KiB, at random", RANDOM * BLOCK, RANDOM, begin.elapsed());
}

fn metadata(store: &Store, files: usize) {
    let root = store.root();
    let begin = Instant::now();
    for directory in 0..files.div_ceil(PER_DIRECTORY) {
        let name = format!("d{directory}");
        let directory = store.create(&root, name.as_bytes(), Kind::Directory, &[]).unwrap();
        for file in 0..PER_DIRECTORY {
            store.create(&directory, format!("f{file}").as_bytes(), Kind::File, &[]).unwrap();
        }
    }
    store.sync().unwrap();
    say("make files", 0, files, begin.elapsed());
    find(store, files);
}

fn find(store: &Store, files: usize) {
    let root = store.root();
    let begin = Instant::now();
    for file in 0..RANDOM.min(files) {
        let directory = store.find(&root, format!("d{}", file * 7 % files / PER_DIRECTORY).as_bytes()).unwrap();
        store.stat(&store.find(&directory, format!("f{}", file % PER_DIRECTORY).as_bytes()).unwrap()).unwrap();
    }
    say("find and stat, two names", 0, RANDOM.min(files), begin.elapsed());
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap();
    let files = arguments.next().map_or(20_000, |count| count.parse().unwrap());
    let folder = Path::new(&folder);
    if folder.join("segments").exists() {
        let begin = Instant::now();
        let store = open(folder);
        say("open", 0, 1, begin.elapsed());
        find(&store, files);
        store.abandon();
        return;
    }
    arithmetic();
    let store = open(folder);
    let file = store.create(&store.root(), b"stream", Kind::File, &[]).unwrap();
    stream(&store, &file);
    if files == 0 {
        return;
    }
    random(&store, &file);
    metadata(&store, files);
    drop(file);
    let begin = Instant::now();
    drop(store);
    say("close", 0, 1, begin.elapsed());
    let begin = Instant::now();
    let store = open(folder);
    say("open after a close", 0, 1, begin.elapsed());
    store.abandon();
    let begin = Instant::now();
    let store = open(folder);
    say("open after a kill", 0, 1, begin.elapsed());
    store.abandon();
    std::fs::remove_dir_all(folder.join("index")).unwrap();
    let begin = Instant::now();
    let store = open(folder);
    say("open without its index", 0, 1, begin.elapsed());
    drop(store);
}
