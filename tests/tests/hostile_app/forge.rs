//! The hostile package under other words.

use ed25519_dalek::SigningKey;
use package::Manifest;
use std::fs::File;

/// The hostile app as a package of that name whose manifest was changed, well signed.
pub(crate) fn changed(name: &str, change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let path = tests::package("hostile");
    let signed = package::verify(&File::open(&path).expect("the package is there")).expect("the package is good");
    let offset = usize::try_from(signed.component_offset()).expect("packages fit memory");
    let component = std::fs::read(&path).expect("the package is there").split_off(offset);
    let key = key();
    let mut manifest = Manifest { name: name.to_owned(), author: key.verifying_key().to_bytes(), ..signed.manifest };
    change(&mut manifest);
    package::sign(&manifest, &component, &key).expect("the manifest fits a package")
}

/// The same package with other words in its manifest, of the same length, signed anew by hand.
pub(crate) fn exchanged(mut package: Vec<u8>, old: &str, new: &str) -> Vec<u8> {
    const SIGNED_HEADER_BYTES: usize = 56;
    const SIGNATURE_BYTES: usize = 64;
    assert_eq!(old.len(), new.len());
    let length = u32::from_le_bytes(package[12..16].try_into().expect("four bytes"));
    let manifest = package::HEADER_BYTES..package::HEADER_BYTES + usize::try_from(length).expect("it fits memory");
    let at = package[manifest.clone()].windows(old.len()).position(|part| part == old.as_bytes());
    let at = manifest.start + at.expect("the words are in the manifest");
    package[at..at + new.len()].copy_from_slice(new.as_bytes());
    let mut digest = blake3::Hasher::new_derive_key(package::DIGEST_CONTEXT);
    digest.update(&package[..SIGNED_HEADER_BYTES]).update(&package[manifest]);
    let signature = package::signature::sign(package::PURPOSE, &key(), digest.finalize().as_bytes());
    package[SIGNED_HEADER_BYTES..SIGNED_HEADER_BYTES + SIGNATURE_BYTES].copy_from_slice(&signature);
    package
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}
