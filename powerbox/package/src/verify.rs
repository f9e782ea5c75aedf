//! Checking a package, in the order that the crate's documentation gives.

use std::fs::File;
use std::io::{Read, Write};

use crate::header::{HEADER_BYTES, Header, PURPOSE};
use crate::manifest::Manifest;
use crate::refusal::Refusal;
use crate::signature;

/// The largest component. The search app, with a regular expression engine, has about one hundredth of it; a
/// compiler needs memory in proportion.
pub const COMPONENT_LIMIT_BYTES: u64 = 64 << 20;
/// How every WebAssembly component begins: magic, version 13, layer 1 (a core module says layer 0).
const COMPONENT_MAGIC: [u8; 8] = *b"\0asm\x0d\0\x01\0";
/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the author signed: known to be theirs, and within every rule.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The header.
    pub header: Header,
    /// The manifest.
    pub manifest: Manifest,
    /// What the package is known by.
    pub digest: [u8; 32],
}

impl Signed {
    /// Where the component begins in the file.
    #[must_use]
    pub fn component_offset(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.header.manifest_bytes)
    }
}

/// Whether these bytes begin as a WebAssembly component does.
#[must_use]
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(&COMPONENT_MAGIC)
}

/// Reads header and manifest from the start of a file of `file_bytes` bytes, and checks everything but the
/// component, which is the next thing in `source`.
pub fn read_signed(source: &mut impl Read, file_bytes: u64) -> Result<Signed, Refusal> {
    let mut header_bytes = [0; HEADER_BYTES];
    let got = fill(source, &mut header_bytes)?;
    if got < HEADER_BYTES {
        let begins_as_one = got > 0 && header_bytes[..got.min(8)] == crate::MAGIC[..got.min(8)];
        return Err(if begins_as_one {
            Refusal::Truncated { expected: HEADER_BYTES as u64, actual: got as u64 }
        } else {
            Refusal::NotAPackage
        });
    }
    let header = Header::decode(&header_bytes)?;
    let expected = header.file_bytes();
    match file_bytes.cmp(&expected) {
        std::cmp::Ordering::Less => return Err(Refusal::Truncated { expected, actual: file_bytes }),
        std::cmp::Ordering::Greater => return Err(Refusal::Trailing { expected, actual: file_bytes }),
        std::cmp::Ordering::Equal => {}
    }
    let mut manifest_bytes = vec![0; header.manifest_bytes as usize];
    let got = fill(source, &mut manifest_bytes)?;
    if got < manifest_bytes.len() {
        return Err(Refusal::Truncated { expected, actual: (HEADER_BYTES + got) as u64 });
    }
    let digest = header.digest(&manifest_bytes);
    // Strict: neither weak keys nor a second encoding of a signature is taken.
    if !signature::verify(PURPOSE, &header.author, &digest, &header.signature) {
        return Err(Refusal::Signature);
    }
    let manifest = Manifest::decode(&manifest_bytes)?;
    if manifest.author != header.author {
        return Err(Refusal::Manifest("it names another author than the one who signed it".into()));
    }
    Ok(Signed { header, manifest, digest })
}

/// Copies the component, which is next in `source`, to `sink`, and checks it on the way. What went to `sink` is worth
/// nothing unless this returns well.
pub fn copy_component(source: &mut impl Read, signed: &Signed, sink: &mut impl Write) -> Result<(), Refusal> {
    let mut hasher = blake3::Hasher::new();
    let mut left = signed.header.component_bytes;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut begins_well = None;
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let got = fill(source, &mut chunk[..want])?;
        if got < want {
            let expected = signed.header.file_bytes();
            return Err(Refusal::Truncated { expected, actual: expected - left + got as u64 });
        }
        begins_well.get_or_insert_with(|| is_component(&chunk[..got]));
        hasher.update(&chunk[..got]);
        sink.write_all(&chunk[..got])?;
        left -= got as u64;
    }
    if *hasher.finalize().as_bytes() != signed.manifest.component {
        return Err(Refusal::ComponentChanged);
    }
    if begins_well == Some(true) { Ok(()) } else { Err(Refusal::NotAComponent) }
}

/// Checks a whole file without keeping any of it.
pub fn verify(file: &File) -> Result<Signed, Refusal> {
    let mut source = file;
    let signed = read_signed(&mut source, file.metadata()?.len())?;
    copy_component(&mut source, &signed, &mut std::io::sink())?;
    Ok(signed)
}

/// Reads until `bytes` is full or the source ends; how many there were.
fn fill(source: &mut impl Read, bytes: &mut [u8]) -> Result<usize, Refusal> {
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
