//! Making a package.

use ed25519_dalek::{Signer, SigningKey};

use crate::header::Header;
use crate::manifest::Manifest;
use crate::refusal::Refusal;
use crate::verify::{COMPONENT_LIMIT_BYTES, is_component};

/// The hash of a component, as a manifest names it.
#[must_use]
pub fn component_hash(component: &[u8]) -> [u8; 32] {
    *blake3::hash(component).as_bytes()
}

/// The bytes of a package. `manifest` is filled in with the key's public half and the component's hash, and must
/// otherwise be what [`Manifest::check`] accepts: what is built here is never refused by [`crate::verify`].
pub fn sign(manifest: &Manifest, component: &[u8], key: &SigningKey) -> Result<Vec<u8>, Refusal> {
    if component.len() as u64 > COMPONENT_LIMIT_BYTES {
        return Err(Refusal::ComponentTooLarge(component.len() as u64));
    }
    if !is_component(component) {
        return Err(Refusal::NotAComponent);
    }
    let author = key.verifying_key().to_bytes();
    let manifest = Manifest { author, component: component_hash(component), ..manifest.clone() };
    let manifest_bytes = manifest.encode()?;
    let mut header = Header {
        manifest_bytes: u32::try_from(manifest_bytes.len())
            .map_err(|_| Refusal::ManifestTooLarge(manifest_bytes.len() as u64))?,
        component_bytes: component.len() as u64,
        author,
        signature: [0; 64],
    };
    header.signature = key.sign(&header.digest(&manifest_bytes)).to_bytes();
    Ok([&header.encode()[..], &manifest_bytes, component].concat())
}
