//! The vectors under `tests/vectors/caps`: they are what this crate makes, and they come to what they say.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use caps::readcap::Readcap;
use caps::sealed_node::{Expected, Seen, verify};
use caps::writecap::{self, Chain};
use caps::{Act, NEVER_MS, NodeId, Path, Principal, directory};
use common::reader;
use common::vectors::{files, text, unhex};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/caps")
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap()
}

fn cases(name: &str, list: &str) -> Vec<Value> {
    let cases = read(name)[list].as_array().unwrap().clone();
    assert!(cases.len() > 5, "{name}");
    cases
}

fn time(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn path(value: &Value) -> Path {
    let node = |node| NodeId(unhex(node).try_into().unwrap());
    Path::new(&value.as_array().unwrap().iter().map(node).collect::<Vec<_>>()).unwrap()
}

fn principal(value: &Value) -> Principal {
    Principal(unhex(value).try_into().unwrap())
}

#[test]
fn the_vectors_are_what_is_made() {
    for (name, value) in files() {
        let there = fs::read_to_string(folder().join(name)).unwrap();
        assert!(there == text(&value), "{name} is another: run the example make_vectors and look at what changed");
    }
}

#[test]
fn every_chain_comes_to_what_it_should() {
    for case in cases("writecaps.json", "cases") {
        let act = match case["act"].as_str().unwrap() {
            "read" => Act::Read,
            "append" => Act::Append,
            _ => Act::Write,
        };
        let judged = Chain::decode(&unhex(&case["chain"])).and_then(|chain| {
            writecap::verify(&chain, &principal(&case["root"]), &path(&case["path"]), act, time(&case["now_ms"]))
        });
        let (link, outcome) = match judged {
            Ok(_) => (None, "allowed".to_owned()),
            Err(error) => (error.link, format!("{:?}", error.fault)),
        };
        let expected = (case["link"].as_u64().map(|link| link as u8), case["outcome"].as_str().unwrap());
        assert_eq!((link, outcome.as_str()), expected, "{}", case["name"]);
    }
}

#[test]
fn every_readcap_comes_to_what_it_should() {
    let key = unhex(&read("readcaps.json")["issued"]["of"]["key"]);
    for case in cases("readcaps.json", "cases") {
        let opened = Readcap::verify(&unhex(&case["bytes"]), time(&case["now_ms"]))
            .and_then(|readcap| readcap.open(&reader(case["reader"].as_str().unwrap())));
        let outcome = match opened {
            Ok(readable) => {
                assert_eq!(readable.key.as_bytes().as_slice(), key);
                "opened".to_owned()
            }
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(outcome, case["outcome"].as_str().unwrap(), "{}", case["name"]);
    }
}

#[test]
fn every_directory_comes_to_what_it_should() {
    let vectors = read("directories.json");
    let entries = directory::decode(&unhex(&vectors["content"])).unwrap();
    assert_eq!(entries.len(), 2);
    let home = caps::Readable {
        root: principal(&vectors["directory"]["root"]),
        path: path(&vectors["directory"]["path"]),
        generation: 2,
        key: caps::NodeKey::from_bytes(unhex(&vectors["directory"]["key"]).try_into().unwrap()),
        expires_ms: NEVER_MS,
    };
    let child = caps::readcap::narrow(&home, &entries[1].key).unwrap();
    assert_eq!(child.key.as_bytes().as_slice(), unhex(&vectors["child"]["key"]));
    assert_eq!(child.path, path(&vectors["child"]["path"]));
    for case in cases("directories.json", "refused") {
        let error = directory::decode(&unhex(&case["bytes"])).unwrap_err();
        assert_eq!(format!("{error:?}"), case["error"].as_str().unwrap(), "{}", case["name"]);
    }
}

#[test]
fn every_sealed_node_comes_to_what_it_should() {
    for case in cases("sealed-nodes.json", "cases") {
        let (root, path) = (principal(&case["root"]), path(&case["path"]));
        let expected =
            |seen| Expected { root: &root, path: &path, moved_from: None, seen, now_ms: time(&case["now_ms"]) };
        let before = case["seen"].as_str().map(|_| verify(&unhex(&case["seen"]), &expected(None)).unwrap().seen());
        let outcome = match verify(&unhex(&case["metadata"]), &expected(before.as_ref() as Option<&Seen>)) {
            Ok(_) => "verified".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(outcome, case["outcome"].as_str().unwrap(), "{}", case["name"]);
    }
}

#[test]
fn every_sealed_node_opens_to_the_content_that_it_says() {
    for sealed in cases("sealed-nodes.json", "sealed") {
        let of = &sealed["of"];
        let (root, path) = (principal(&of["root"]), path(&of["path"]));
        let expected = Expected { root: &root, path: &path, moved_from: None, seen: None, now_ms: common::NOW_MS };
        let verified = verify(&unhex(&sealed["metadata"]), &expected).unwrap();
        assert_eq!(verified.content().as_slice(), unhex(&sealed["content_blake3"]));
        let key = caps::NodeKey::from_bytes(unhex(&of["key"]).try_into().unwrap());
        let generation = of["generation"].as_u64().unwrap() as u32;
        let readable = caps::Readable { root, path: path.clone(), generation, key, expires_ms: NEVER_MS };
        let attributes = verified.attributes(&readable).unwrap();
        assert_eq!(attributes.modified_ns.to_string(), sealed["modified_ns"].as_str().unwrap());
        assert_eq!(attributes.executable, sealed["executable"].as_bool().unwrap());
        let bytes = sealed["plain_bytes"].as_u64().unwrap() as usize;
        let plain: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
        if !sealed["content"].is_null() {
            let content = unhex(&sealed["content"]);
            assert_eq!(verified.check_content(&content).unwrap().open(&readable).unwrap(), plain);
        }
        let last = &sealed["last_sector"];
        if !last.is_null() {
            let range = last["first"].as_u64().unwrap()..last["end"].as_u64().unwrap();
            let checked = verified.check_range(range.clone(), &unhex(&last["proof"])).unwrap();
            assert_eq!(checked.open(&readable).unwrap(), plain[range.start as usize * 16_368..]);
        }
        for name in sealed["readers"].as_array().unwrap() {
            let found = verified.find_key(&reader(name.as_str().unwrap())).unwrap();
            assert_eq!(found.key.as_bytes(), readable.key.as_bytes());
        }
    }
}
