//! Every way in which a file is not a package, and that a good one is taken.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Cursor, Seek, Write};

use ed25519_dalek::SigningKey;
use package::{Announced, HEADER_BYTES, Manifest, Refusal, WORLD};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 and whatever else a component has";

fn manifest() -> Manifest {
    Manifest {
        name: "search".into(),
        version: "1.2.3-rc.1+build".into(),
        author_name: "Ada".into(),
        world: WORLD.into(),
        description: "Finds text".into(),
        requests: vec![Announced {
            label: "dir".into(),
            interface: 0xdd5a_f006_25ae_a914,
            rights: vat::words::Rights::READ,
            reason: "to search in it".into(),
        }],
        ..Manifest::default()
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn good() -> Vec<u8> {
    package::sign(&manifest(), COMPONENT, &key()).unwrap()
}

fn verify(bytes: &[u8]) -> Result<package::Signed, Refusal> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    package::verify(&file)
}

/// Signs whatever bytes are given as the manifest, as a hostile author would.
fn sign_raw(manifest: &[u8], component: &[u8]) -> Vec<u8> {
    let mut header = package::Header {
        manifest_bytes: u32::try_from(manifest.len()).unwrap(),
        component_bytes: component.len() as u64,
        author: key().verifying_key().to_bytes(),
        signature: [0; 64],
    };
    header.signature = package::signature::sign(package::PURPOSE, &key(), &header.digest(manifest));
    [&header.encode()[..], manifest, component].concat()
}

#[test]
fn what_was_signed_is_read_back() {
    let signed = verify(&good()).unwrap();
    let expected = Manifest {
        author: key().verifying_key().to_bytes(),
        component: package::component_hash(COMPONENT),
        ..manifest()
    };
    assert_eq!(signed.manifest, expected);
    assert_eq!(&good()[usize::try_from(signed.component_offset()).unwrap()..], COMPONENT);
}

#[test]
fn every_changed_byte_is_found() {
    let good = good();
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 1;
        assert!(verify(&changed).is_err(), "byte {index}");
    }
}

#[test]
fn every_truncation_is_found() {
    let good = good();
    for length in 0..good.len() {
        let refusal = verify(&good[..length]).unwrap_err();
        match refusal {
            Refusal::Truncated { .. } => {}
            Refusal::NotAPackage if length == 0 => {}
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn an_addition_is_found() {
    assert!(matches!(verify(&[&good()[..], b"x"].concat()), Err(Refusal::Trailing { .. })));
}

#[test]
fn another_key_does_not_pass_for_the_author() {
    let mut changed = good();
    changed[24..56].copy_from_slice(&SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes());
    assert!(matches!(verify(&changed), Err(Refusal::Signature)));
}

#[test]
fn a_weak_key_signs_nothing() {
    let mut changed = good();
    // The neutral element: with it, some signatures hold for any message.
    changed[24..56].copy_from_slice(&[&[1][..], &[0; 31]].concat());
    changed[56..120].copy_from_slice(&[&[1][..], &[0; 63]].concat());
    assert!(matches!(verify(&changed), Err(Refusal::Signature)));
}

#[test]
fn junk_of_any_size_is_refused_from_its_header() {
    /// Fails when more than the header is read of it.
    struct Junk(usize);
    impl std::io::Read for Junk {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            assert!(self.0 + into.len() <= HEADER_BYTES, "read on after {} bytes", self.0);
            into.fill(0xa5);
            self.0 += into.len();
            Ok(into.len())
        }
    }
    assert!(matches!(package::read_signed(&mut Junk(0), 100 << 20), Err(Refusal::NotAPackage)));
}

#[test]
fn lengths_out_of_bounds_are_refused_from_the_header() {
    let mut long_manifest = good();
    long_manifest[12..16].copy_from_slice(&(64 * 1024 + 1_u32).to_le_bytes());
    assert!(matches!(verify(&long_manifest), Err(Refusal::ManifestTooLarge(_))));
    let mut long_component = good();
    long_component[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(verify(&long_component), Err(Refusal::ComponentTooLarge(_))));
    let mut other_format = good();
    other_format[8] = 3;
    assert!(matches!(verify(&other_format), Err(Refusal::Format(3))));
}

#[test]
fn a_core_module_is_not_a_component() {
    let module = b"\0asm\x01\0\0\0";
    assert!(matches!(package::sign(&manifest(), module, &key()), Err(Refusal::NotAComponent)));
    let good = good();
    let bytes = {
        let signed = verify(&good).unwrap();
        let forged = Manifest { component: package::component_hash(module), ..signed.manifest };
        let mut message = capnp::message::Builder::new_default();
        forged.write_to(message.init_root());
        let mut canonical = capnp::message::Builder::new_default();
        canonical
            .set_root_canonical(message.get_root_as_reader::<schema::package_capnp::manifest::Reader<'_>>().unwrap())
            .unwrap();
        sign_raw(&capnp::serialize::write_message_to_words(&canonical), module)
    };
    assert!(matches!(verify(&bytes), Err(Refusal::NotAComponent)));
}

#[test]
fn a_signed_manifest_is_still_not_trusted() {
    for junk in [&b""[..], b"junk", &[0xff; 64], &[0; 4096]] {
        let refusal = verify(&sign_raw(junk, COMPONENT)).unwrap_err();
        assert!(matches!(refusal, Refusal::Manifest(_)), "{junk:?}: {refusal:?}");
    }
}

#[test]
fn a_manifest_that_breaks_a_rule_is_not_signed() {
    let break_a_rule: [fn(&mut Manifest); 12] = [
        |manifest| manifest.name = "Search".into(),
        |manifest| manifest.name = "-x".into(),
        |manifest| manifest.name = "9".into(),
        |manifest| manifest.name = "latch".into(),
        |manifest| manifest.name = "shell".into(),
        |manifest| manifest.version = "1.2".into(),
        |manifest| manifest.version = "1.2.03".into(),
        |manifest| manifest.world = "wasi:cli/command@0.2.0".into(),
        |manifest| manifest.requests.push(manifest.requests[0].clone()),
        |manifest| manifest.requests[0].label = "Dir\u{1b}".into(),
        |manifest| manifest.requests[0].interface = 0,
        |manifest| manifest.description = "x".repeat(201),
    ];
    for (index, change) in break_a_rule.into_iter().enumerate() {
        let mut broken = manifest();
        change(&mut broken);
        assert!(matches!(package::sign(&broken, COMPONENT, &key()), Err(Refusal::Manifest(_))), "rule {index}");
    }
}

#[test]
fn random_damage_never_passes() {
    let good = good();
    // A small generator of its own, so that a failure repeats from the seed that it names.
    for seed in 1..2_000_u64 {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap()
        };
        let mut damaged = good.clone();
        for _ in 0..=next() % 4 {
            let index = next() % damaged.len();
            damaged[index] = u8::try_from(next() % 256).unwrap();
        }
        if damaged != good {
            assert!(verify(&Cursor::new(&damaged).into_inner()[..]).is_err(), "seed {seed}");
        }
    }
}
