//! Making a package.

use ed25519_dalek::SigningKey;

use crate::header::{Header, PURPOSE};
use crate::manifest::Manifest;
use crate::refusal::Refusal;
use crate::signature;
use crate::verify::{COMPONENT_LIMIT_BYTES, is_component};

/// The hash of a component, as a manifest names it.
#[must_use]
pub fn component_hash(component: &[u8]) -> [u8; 32] {
    *blake3::hash(component).as_bytes()
}

/// A package that lacks its signature.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    header: Header,
    manifest: Vec<u8>,
    component: &'a [u8],
}

impl<'a> Draft<'a> {
    /// `manifest` is filled in with the author's public key and the component's hash, and must otherwise be what
    /// [`Manifest::check`] accepts: what is built here is never refused by [`crate::verify`].
    pub fn new(manifest: &Manifest, component: &'a [u8], author: [u8; 32]) -> Result<Self, Refusal> {
        if component.len() as u64 > COMPONENT_LIMIT_BYTES {
            return Err(Refusal::ComponentTooLarge(component.len() as u64));
        }
        if !is_component(component) {
            return Err(Refusal::NotAComponent);
        }
        let manifest = Manifest { author, component: component_hash(component), ..manifest.clone() };
        let manifest = manifest.encode()?;
        let header = Header {
            manifest_bytes: u32::try_from(manifest.len())
                .map_err(|_| Refusal::ManifestTooLarge(manifest.len() as u64))?,
            component_bytes: component.len() as u64,
            author,
            signature: [0; 64],
        };
        Ok(Self { header, manifest, component })
    }

    /// What the author signs.
    #[must_use]
    pub fn message(&self) -> [u8; 32] {
        self.header.digest(&self.manifest)
    }

    /// The bytes of the package.
    #[must_use]
    pub fn signed(self, signature: [u8; 64]) -> Vec<u8> {
        let header = Header { signature, ..self.header };
        [&header.encode()[..], &self.manifest, self.component].concat()
    }
}

/// The bytes of a package, signed with a key that is at hand.
pub fn sign(manifest: &Manifest, component: &[u8], key: &SigningKey) -> Result<Vec<u8>, Refusal> {
    let draft = Draft::new(manifest, component, key.verifying_key().to_bytes())?;
    let signature = signature::sign(PURPOSE, key, &draft.message());
    Ok(draft.signed(signature))
}
