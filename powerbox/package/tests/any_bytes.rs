//! Whatever bytes a file has: a package or a refusal, and never a panic. A hostile author can sign anything.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../kernel/vat/tests/common/mutate.rs"]
mod mutate;

use ed25519_dalek::SigningKey;
use mutate::Mutator;
use package::{Announced, HEADER_BYTES, Header, Manifest, WORLD};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0 and whatever else a component has";
const ROUNDS: usize = 2_000;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn good() -> Vec<u8> {
    let manifest = Manifest {
        name: "search".into(),
        version: "1.2.3".into(),
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
    };
    package::sign(&manifest, COMPONENT, &key()).unwrap()
}

#[test]
fn any_file_is_a_package_or_is_refused() {
    let packages = [good()];
    let mut mutator = Mutator::new();
    for _ in 0..ROUNDS {
        let bytes = mutator.change(&packages);
        let verified = package::read_signed(&mut &bytes[..], bytes.len() as u64);
        assert!(verified.is_err() || bytes.starts_with(&packages[0][..packages[0].len() - COMPONENT.len()]));
    }
}

#[test]
fn any_manifest_that_is_signed_is_one_or_is_refused() {
    let whole = good();
    let manifests = [whole[HEADER_BYTES..whole.len() - COMPONENT.len()].to_vec()];
    let mut mutator = Mutator::new();
    let mut taken = 0;
    for _ in 0..ROUNDS {
        let manifest = mutator.change(&manifests);
        let mut header = Header {
            manifest_bytes: u32::try_from(manifest.len()).unwrap(),
            component_bytes: COMPONENT.len() as u64,
            author: key().verifying_key().to_bytes(),
            signature: [0; 64],
        };
        header.signature = package::signature::sign(package::PURPOSE, &key(), &header.digest(&manifest));
        let bytes = [&header.encode()[..], &manifest, COMPONENT].concat();
        if let Ok(signed) = package::read_signed(&mut &bytes[..], bytes.len() as u64) {
            // What is taken holds to every rule of a manifest.
            signed.manifest.check().unwrap();
            taken += 1;
        }
    }
    assert!((1..ROUNDS).contains(&taken), "{taken} of {ROUNDS} were taken: the changes do not reach the parser");
}
