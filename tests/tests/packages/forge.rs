//! Makes bad packages out of a good one.

use ed25519_dalek::SigningKey;
use package::{HEADER_BYTES, Header, Manifest};
use std::fs::File;
use std::path::Path;

/// A good package, taken apart, and a key to sign others with.
pub(crate) struct Forge {
    good: Vec<u8>,
    manifest: Manifest,
    component: Vec<u8>,
    key: SigningKey,
}

impl Forge {
    pub(crate) fn of(path: &Path) -> Self {
        let good = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let signed = package::verify(&File::open(path).expect("the package is there")).expect("the package is good");
        let offset = usize::try_from(signed.component_offset()).expect("packages fit memory");
        let component = good[offset..].to_vec();
        let key = SigningKey::from_bytes(&[7; 32]);
        Self { good, manifest: signed.manifest, component, key }
    }

    /// A package of another component, well signed: also of one that the signer itself would refuse, as a dishonest
    /// author would make it.
    pub(crate) fn signed(&self, component: &[u8]) -> Vec<u8> {
        let honest = package::sign(&self.manifest, &self.component, &self.key).expect("what was good is good");
        let length = honest[12..16].try_into().map(u32::from_le_bytes).expect("four bytes");
        let mut manifest = honest[HEADER_BYTES..HEADER_BYTES + length as usize].to_vec();
        let hash = package::component_hash(&self.component);
        let place =
            manifest.windows(hash.len()).position(|window| window == hash).expect("the hash is in the manifest");
        manifest[place..place + hash.len()].copy_from_slice(&package::component_hash(component));
        let mut header = Header {
            manifest_bytes: length,
            component_bytes: component.len() as u64,
            author: self.key.verifying_key().to_bytes(),
            signature: [0; 64],
        };
        header.signature = package::signature::sign(package::PURPOSE, &self.key, &header.digest(&manifest));
        [&header.encode()[..], &manifest, component].concat()
    }

    /// The good package with the signature of somebody else.
    pub(crate) fn signature_of_another(&self) -> Vec<u8> {
        let mut bytes = self.good.clone();
        let other = self.signed(&self.component);
        bytes[56..120].copy_from_slice(&other[56..120]);
        bytes
    }

    /// The good package without its end, at the edges of every part.
    pub(crate) fn truncations(&self) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
        let edges = [1, 8, 119, 120, 121, self.good.len() / 2, self.good.len() - 1];
        edges.into_iter().map(|at| (at, self.good[..at].to_vec()))
    }

    /// The good package with one byte changed, in every part of it.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
        let places = [0, 9, 13, 17, 30, 60, 125, self.good.len() / 2, self.good.len() - 1];
        places.into_iter().map(|at| {
            let mut bytes = self.good.clone();
            bytes[at] ^= 0x40;
            (at, bytes)
        })
    }

    pub(crate) fn component_cut_short(&self) -> Vec<u8> {
        self.component[..self.component.len() / 2].to_vec()
    }

    /// The good component with one more module that nothing uses, made to keep a compiler busy: its functions are as
    /// large as functions may be, and each value in them depends on all before.
    pub(crate) fn component_with_bomb(&self) -> Vec<u8> {
        const FUNCTIONS: usize = 6;
        const LOCALS: u8 = 100;
        /// WebAssembly engines take bodies of up to 7,654,321 bytes.
        const BODY_BYTES: usize = 7_000_000;

        let mut body = vec![1, LOCALS, 0x7f];
        let mut turn: u8 = 0;
        while body.len() < BODY_BYTES {
            let [a, b, c] = [1, 7, 31].map(|step| turn.wrapping_add(step) % LOCALS);
            // c = a * b + c; leave the block where it is not zero
            body.extend([0x02, 0x40, 0x20, a, 0x20, b, 0x6c, 0x20, c, 0x6a, 0x22, c, 0x0d, 0x00, 0x0b]);
            turn = turn.wrapping_add(1);
        }
        body.push(0x0b);
        let bodies = (0..FUNCTIONS).flat_map(|_| [leb(body.len()), body.clone()].concat());
        let bodies: Vec<u8> = leb(FUNCTIONS).into_iter().chain(bodies).collect();
        let types = [leb(FUNCTIONS), vec![0; FUNCTIONS]].concat();
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        for (id, contents) in [(1, vec![1, 0x60, 0, 0]), (3, types), (10, bodies)] {
            module.push(id);
            module.extend(leb(contents.len()));
            module.extend(contents);
        }
        /// A component's section that holds a core module.
        const CORE_MODULE: u8 = 1;
        [self.component.clone(), vec![CORE_MODULE], leb(module.len()), module].concat()
    }
}

/// Unsigned LEB128.
fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
