//! The package of an app, `<name>.latch`: one signed file with everything that is needed to run it.
//!
//! ```text
//! offset  bytes  what
//!      0      8  magic: 89 'L' 'A' 'T' 'C' 'H' 0d 0a (a file that went through a text conversion does not begin so)
//!      8      4  format, 2                                    (numbers are little endian)
//!     12      4  length of the manifest, m: at most 64 KiB
//!     16      8  length of the component, c: at most 64 MiB
//!     24     32  the author's Ed25519 public key
//!     56     64  the author's signature of the digest (below), for the purpose "author" (module `signature`)
//!    120      m  manifest: schema/package.capnp, a canonical message of one segment
//!  120+m      c  component: a WebAssembly component; nothing follows it
//! ```
//!
//! The digest is BLAKE3 in key derivation mode, with [`DIGEST_CONTEXT`], over the first 56 bytes and the manifest.
//! The manifest holds the component's BLAKE3, so the signature covers all there is. It is also what a package is
//! known by. A reader checks in this order, and stops at the first fault: magic, format and lengths; signature;
//! manifest; component. So nothing that the author did not sign is ever parsed, and a file of any size that is not a
//! package is refused from its first 120 bytes.
#![forbid(unsafe_code)]

mod header;
mod manifest;
mod refusal;
mod sign;
pub mod signature;
mod verify;

pub use header::{DIGEST_CONTEXT, FORMAT, HEADER_BYTES, Header, MAGIC, PURPOSE};
pub use manifest::{
    Announced, Limits, MANIFEST_LIMIT_BYTES, Manifest, REQUESTS_LIMIT, WORLD, is_app_name, is_instance_name, is_label,
};
pub use refusal::Refusal;
pub use sign::{Draft, component_hash, sign};
pub use verify::{COMPONENT_LIMIT_BYTES, Signed, copy_component, is_component, read_signed, verify};
