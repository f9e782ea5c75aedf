//! Who signs a package: the keys of the person's node, in their own process, or a key in a file that was named.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use schema::keys_capnp::signer;

use super::key;
use crate::failure::{Failure, Outcome};
use crate::keys;
use crate::node::Node;
use crate::state::State;

/// What signs, ready to.
pub(super) enum Signing {
    /// The node's keys, with their public half. The node is held for as long as its object is used.
    Node { _node: Box<Node>, signer: signer::Client, author: [u8; 32] },
    /// A key that is at hand, and where it was made, if it was just now.
    File { signing: Box<SigningKey>, made: Option<PathBuf> },
}

impl Signing {
    /// Finds it.
    ///
    /// # Errors
    /// There is none, or it cannot be used now.
    pub(super) async fn of(state: &Outcome<State>, file: Option<&Path>) -> Outcome<Self> {
        if let Some(file) = file {
            let key = key::load_or_make(file)?;
            let made = key.made.then(|| file.to_path_buf());
            return Ok(Self::File { signing: Box::new(key.signing), made });
        }
        let none = |failure: Failure| {
            failure
                .during("nothing signs what would be built")
                .next("latch keys, which shows them; or sign with a key of your own in a file: latch build --key FILE")
        };
        let found = async {
            let node = Node::connect(state.as_ref().map_err(Clone::clone)?).await?;
            let signer = keys::author(&node).await?;
            let answer = keys::ask(signer.public_key_request().send()).await?;
            let author = answer.get()?.get_key()?.try_into();
            let author = author.map_err(|_| Failure::new("what the keys gave is no public key"))?;
            Ok(Self::Node { _node: Box::new(node), signer, author })
        };
        found.await.map_err(none)
    }

    /// The public half.
    pub(super) fn author(&self) -> [u8; 32] {
        match self {
            Self::Node { author, .. } => *author,
            Self::File { signing, .. } => signing.verifying_key().to_bytes(),
        }
    }

    /// Where a key was made, if one was.
    pub(super) fn made(&self) -> Option<PathBuf> {
        match self {
            Self::Node { .. } => None,
            Self::File { made, .. } => made.clone(),
        }
    }

    /// Signs a package's message.
    pub(super) async fn sign(&self, message: &[u8]) -> Outcome<[u8; 64]> {
        match self {
            Self::File { signing, .. } => Ok(package::signature::sign(package::PURPOSE, signing, message)),
            Self::Node { signer, author, .. } => {
                let mut request = signer.sign_request();
                request.get().set_message(message);
                let answer = keys::ask(request.send()).await?;
                let signature = answer.get()?.get_signature()?.try_into().ok();
                // A key that was rotated meanwhile is another author's.
                let signature = signature
                    .filter(|signature| package::signature::verify(package::PURPOSE, author, message, signature));
                signature.ok_or_else(|| {
                    Failure::new("the keys signed with another key than they said").next("latch build, once more")
                })
            }
        }
    }
}
