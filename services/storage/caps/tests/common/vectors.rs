//! The vectors, made from fixed keys and fixed chance. What each case should come to is written down here and not computed.

use super::raw::RawChain;
use super::{ATTRIBUTES, NOW_MS, Seeded, node, path, readable, reader, root, signer};
use caps::directory::{self, Entry, WrappedKey};
use caps::sealed_node::{Draft, Proofs, SealedNode, seal};
use caps::writecap::{Chain, Grant, issue_first};
use caps::{Entropy, Kind, LocalSigner, NEVER_MS, NoEntropy, NodeId, Path, Readable, Rights, Signer, readcap};
use serde_json::{Value, json};

const LATER_MS: u64 = NOW_MS + 1000;
const SIGNATURE_BYTES: usize = 64;

/// Every file of vectors: its name, and what is in it.
pub fn files() -> Vec<(&'static str, Value)> {
    vec![
        ("keys.json", keys()),
        ("directories.json", directories()),
        ("readcaps.json", readcaps()),
        ("writecaps.json", writecaps()),
        ("sealed-nodes.json", sealed_nodes()),
    ]
}

/// As it lies in the file.
pub fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Chance that is written down.
struct Recorded {
    chance: Seeded,
    taken: Vec<u8>,
}

impl Recorded {
    fn named(name: &str) -> Recorded {
        Recorded { chance: Seeded::named(name), taken: vec![] }
    }
}

impl Entropy for Recorded {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.chance.fill(bytes)?;
        self.taken.extend_from_slice(bytes);
        Ok(())
    }
}

fn path_json(path: &Path) -> Value {
    path.nodes().iter().map(|node| hex(node.0)).collect()
}

/// Numbers of 64 bits are texts: JSON's own are not large enough everywhere.
fn number(number: u64) -> Value {
    json!(number.to_string())
}

fn readable_json(of: &Readable) -> Value {
    json!({
        "root": hex(of.root.0), "path": path_json(&of.path), "generation": of.generation,
        "key": hex(of.key.as_bytes()), "expires_ms": number(of.expires_ms),
    })
}

fn seed(kind: &str, name: &str) -> String {
    hex(Seeded::named(&format!("{kind} {name}")).bytes::<32>())
}

fn keys() -> Value {
    let signers = ["root", "ada", "bob", "mallory"].map(|name| {
        let public = signer(name).public_key();
        json!({
            "name": name, "ed25519_seed": seed("signer", name), "public": hex(public.0),
            "principal": hex(public.principal().0),
        })
    });
    let readers = ["ada", "bob"].map(
        |name| json!({ "name": name, "x25519_private": seed("reader", name), "public": hex(reader(name).public().0) }),
    );
    let message = b"latchkey caps readcap\0and so on";
    let signature = json!({
        "signer": "root", "message": hex(message), "signature": hex(signer("root").sign(message).unwrap()),
        "signed_hash": hex(blake3::derive_key("latchkey 2026 signature: commits", message)),
    });
    json!({ "signers": signers, "readers": readers, "signature": signature })
}

fn wrapped(directory: &Readable, name: &str, generation: u32, entropy: &mut Recorded) -> (Readable, WrappedKey) {
    let child = Readable { path: directory.path.child(node(name)).unwrap(), ..readable(name, generation) };
    let key = WrappedKey::wrap(directory, node(name), generation, &child.key, entropy).unwrap();
    (child, key)
}

fn directories() -> Value {
    let home = readable("home", 2);
    let mut entropy = Recorded::named("vector directory");
    let (child, notes) = wrapped(&home, "notes", 5, &mut entropy);
    let (_, more) = wrapped(&home, "more", 1, &mut entropy);
    let entries = [
        Entry { name: b"notes.txt".to_vec(), kind: Kind::File, key: notes.clone() },
        Entry { name: b"more".to_vec(), kind: Kind::Directory, key: more },
    ];
    let content = directory::encode(&entries).unwrap();
    let at_name = |name: &[u8]| content.windows(name.len()).position(|window| window == name).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = content.clone();
        bytes[at] = to;
        bytes
    };
    let refused =
        |name: &str, bytes: Vec<u8>, error: &str| json!({ "name": name, "bytes": hex(bytes), "error": error });
    json!({
        "directory": readable_json(&home),
        "randomness": hex(&entropy.taken),
        "child": readable_json(&child),
        "wrapped_key": hex(notes.sealed),
        "entries": [
            { "name": "notes.txt", "kind": "file", "node": hex(node("notes").0), "generation": 5 },
            { "name": "more", "kind": "directory", "node": hex(node("more").0), "generation": 1 },
        ],
        "content": hex(&content),
        "refused": [
            refused("names out of order", changed(at_name(b"more"), b'z'), "BadValue(\"name\")"),
            refused("a slash in a name", changed(at_name(b"notes") + 5, b'/'), "BadValue(\"name\")"),
            refused("an unknown kind", changed(at_name(b"more") + 4, 3), "BadValue(\"kind\")"),
            refused("a newer format", changed(4, 2), "NewerFormat(2)"),
            refused("something else", changed(0, b'X'), "OtherKind"),
            refused("more entries than there are", changed(5, 3), "Truncated"),
            refused("fewer entries than there are", changed(5, 1), "TrailingBytes"),
        ],
    })
}

fn readcaps() -> Value {
    let notes = readable("home/notes", 3);
    let mut entropy = Recorded::named("vector readcap");
    let good = readcap::issue(&notes, &reader("ada").public(), LATER_MS, &signer("root"), &mut entropy).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let case = |name: &str, bytes: &[u8], reader: &str, now_ms: u64, outcome: &str| json!({ "name": name, "bytes": hex(bytes), "reader": reader, "now_ms": number(now_ms), "outcome": outcome });
    let last = good.len() - 1;
    json!({
        "issued": {
            "of": readable_json(&notes), "reader": "ada", "issuer": "root", "expires_ms": number(LATER_MS),
            "randomness": hex(&entropy.taken), "readcap": hex(&good),
        },
        "cases": [
            case("good", &good, "ada", NOW_MS, "opened"),
            case("a moment before its expiry", &good, "ada", LATER_MS - 1, "opened"),
            case("at its expiry", &good, "ada", LATER_MS, "Expired"),
            case("for another reader", &good, "bob", NOW_MS, "NotForThisReader"),
            case("changed signature", &changed(last, good[last] ^ 1), "ada", NOW_MS, "Forged"),
            case("later expiry", &changed(5 + 32 + 1 + 48 + 4 + 7, 255), "ada", NOW_MS, "Forged"),
            case("changed sealed key", &changed(last - 64, good[last - 64] ^ 1), "ada", NOW_MS, "Forged"),
            case("no generation", &changed(5 + 32 + 1 + 48, 0), "ada", NOW_MS, "Malformed(BadValue(\"generation\"))"),
            case("no path", &changed(5 + 32, 0), "ada", NOW_MS, "Malformed(BadValue(\"path\"))"),
            case("newer format", &changed(4, 2), "ada", NOW_MS, "Malformed(NewerFormat(2))"),
            case("truncated", &good[..last], "ada", NOW_MS, "Malformed(Truncated)"),
            case("longer", &[good.as_slice(), &[0]].concat(), "ada", NOW_MS, "Malformed(TrailingBytes)"),
        ],
    })
}

fn start() -> RawChain {
    let chain = RawChain::new(&signer("root"));
    let link = chain.next(&signer("ada"), 7, LATER_MS, &path("home")).signed(&signer("root"));
    chain.with(link)
}

fn two() -> RawChain {
    let chain = start();
    let link = chain.next(&signer("bob"), 3, NOW_MS + 500, &path("home/notes")).signed(&signer("ada"));
    chain.with(link)
}

fn writecaps() -> Value {
    let case = |name: &str, bytes: Vec<u8>, at: &str, act: &str, now_ms: u64, link: Option<u8>, outcome: &str| {
        json!({
            "name": name, "chain": hex(bytes), "root": hex(root().0), "path": path_json(&path(at)), "act": act,
            "now_ms": number(now_ms), "link": link, "outcome": outcome,
        })
    };
    let good = |name, at, act, now_ms, link, outcome| case(name, two().bytes(), at, act, now_ms, link, outcome);
    // what is wrong shows at the second link, whoever asks for what
    let second = |name: &str, chain: RawChain, outcome: &str| {
        case(name, chain.bytes(), "home/notes", "append", NOW_MS, Some(1), outcome)
    };
    let next = |rights, expires_ms, at| start().next(&signer("bob"), rights, expires_ms, &path(at));
    let by = |signer: &LocalSigner, link: super::raw::RawLink| start().with(link.signed(signer));
    let (ada, mallory) = (signer("ada"), signer("mallory"));
    let with_links = |links: Vec<super::raw::RawLink>| RawChain { root: two().root, links };
    let links = two().links;
    let elsewhere = {
        let chain = RawChain::new(&signer("root"));
        let link = chain.next(&ada, 7, NEVER_MS, &path("")).signed(&signer("root"));
        chain.with(link)
    };
    let changed = |at: usize, to: u8| {
        let mut bytes = two().bytes();
        bytes[at] = to;
        bytes
    };
    let whole =
        |name: &str, bytes: Vec<u8>, outcome: &str| case(name, bytes, "home/notes", "append", NOW_MS, None, outcome);
    let own_store = {
        let chain = RawChain::new(&mallory);
        let link = chain.next(&mallory, 7, NEVER_MS, &path("")).signed(&mallory);
        chain.with(link)
    };
    json!({ "cases": [
        good("good", "home/notes", "append", NOW_MS, None, "allowed"),
        good("good, to read", "home/notes", "read", NOW_MS, None, "allowed"),
        good("good, below", "home/notes/deep", "append", NOW_MS, None, "allowed"),
        good("more than its rights", "home/notes", "write", NOW_MS, Some(1), "NotAllowed"),
        good("beside its place", "home/other", "append", NOW_MS, Some(1), "NotCovered"),
        good("above its place", "home", "append", NOW_MS, Some(1), "NotCovered"),
        good("a moment before its expiry", "home/notes", "append", NOW_MS + 499, None, "allowed"),
        good("at its expiry", "home/notes", "append", NOW_MS + 500, Some(1), "Expired"),
        good("at the expiry of the link before", "home/notes", "append", LATER_MS, Some(0), "Expired"),
        second("signed by another", by(&mallory, next(3, LATER_MS, "home/notes")), "Forged"),
        second("issued by another", by(&mallory, super::raw::RawLink {
            issuer: mallory.public_key(), ..next(3, LATER_MS, "home/notes")
        }), "WrongIssuer"),
        second("widened path", by(&ada, next(3, LATER_MS, "")), "WidenedPath"),
        second("path beside", by(&ada, next(3, LATER_MS, "other/notes")), "WidenedPath"),
        second("widened expiry", by(&ada, next(3, LATER_MS + 1, "home/notes")), "WidenedExpiry"),
        case("widened rights", {
            let chain = two();
            let link = chain.next(&mallory, 7, NOW_MS + 500, &path("home/notes")).signed(&signer("bob"));
            chain.with(link).bytes()
        }, "home/notes", "append", NOW_MS, Some(2), "WidenedRights"),
        case("reordered", with_links(vec![links[1].clone(), links[0].clone()]).bytes(), "home/notes", "append", NOW_MS,
            Some(0), "OutOfOrder"),
        case("dropped", with_links(vec![links[1].clone()]).bytes(), "home/notes", "append", NOW_MS, Some(0), "OutOfOrder"),
        second("twice", with_links(vec![links[0].clone(), links[0].clone()]), "OutOfOrder"),
        second("mixed from two chains", with_links(vec![elsewhere.links[0].clone(), links[1].clone()]), "OtherChain"),
        whole("another store's", own_store.bytes(), "OtherRoot"),
        whole("no links", changed(37, 0), "Malformed(BadValue(\"links\"))"),
        whole("too many links", changed(37, 9), "TooLong"),
        whole("fewer links than there are", changed(37, 1), "Malformed(TrailingBytes)"),
        whole("newer format", changed(4, 2), "NewerFormat(2)"),
        whole("something else", changed(0, b'X'), "Malformed(OtherKind)"),
        case("write without append", changed(38 + 97, 4), "home/notes", "append", NOW_MS, Some(0),
            "Malformed(BadValue(\"rights\"))"),
        case("truncated", two().bytes()[..200].to_vec(), "home/notes", "append", NOW_MS, Some(0), "Malformed(Truncated)"),
    ] })
}

/// Plain content of any length: byte i is i mod 251.
fn plain(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

struct Sealing<'a> {
    name: &'a str,
    of: Readable,
    kind: Kind,
    version: u64,
    readers: &'a [&'a str],
    signer: &'a str,
    chain: Option<Chain>,
    bytes: usize,
}

impl Sealing<'_> {
    fn seal(&self) -> (SealedNode, Vec<u8>) {
        let readers: Vec<_> = self.readers.iter().map(|name| reader(name).public()).collect();
        let draft = Draft {
            readable: &self.of,
            kind: self.kind,
            version: self.version,
            attributes: ATTRIBUTES,
            readers: &readers,
            chain: self.chain.as_ref(),
        };
        let mut entropy = Recorded::named(&format!("vector node {}", self.name));
        let sealed = seal(&draft, &plain(self.bytes), &signer(self.signer), &mut entropy).unwrap();
        (sealed, entropy.taken)
    }

    fn json(&self) -> Value {
        let (sealed, randomness) = self.seal();
        let proofs = Proofs::new(&sealed.content);
        let count = (sealed.content.len() as u64).div_ceil(16 << 10);
        let proof = count.checked_sub(1).map(|last| {
            json!({
                "first": last, "end": count, "proof": hex(proofs.prove(last..count).unwrap()),
            })
        });
        json!({
            "name": self.name, "of": readable_json(&self.of), "kind": if self.kind == Kind::File { "file" } else { "directory" },
            "version": number(self.version), "readers": self.readers, "signer": self.signer,
            "chain": self.chain.as_ref().map(|chain| hex(chain.encode())), "plain_bytes": self.bytes,
            "modified_ns": ATTRIBUTES.modified_ns.to_string(), "executable": ATTRIBUTES.executable,
            "randomness": hex(randomness), "metadata": hex(&sealed.metadata),
            "content": if sealed.content.len() < 1000 { json!(hex(&sealed.content)) } else { Value::Null },
            "content_blake3": hex(blake3::hash(&sealed.content).as_bytes()), "last_sector": proof,
        })
    }
}

fn file<'a>(name: &'a str, generation: u32, version: u64) -> Sealing<'a> {
    let of = readable("home/notes", generation);
    Sealing { name, of, kind: Kind::File, version, readers: &[], signer: "root", chain: None, bytes: 100 }
}

fn by_ada() -> Sealing<'static> {
    let grant = Grant {
        holder: signer("ada").public_key(),
        path: path("home"),
        rights: Rights { read: true, append: true, write: true },
        expires_ms: LATER_MS,
    };
    let chain = issue_first(grant, &signer("root")).unwrap();
    Sealing { signer: "ada", chain: Some(chain), readers: &["ada", "bob"], ..file("by a writer", 1, 4) }
}

fn sealed_nodes() -> Value {
    let sealed = [
        Sealing { bytes: 0, ..file("empty", 1, 1) },
        Sealing { readers: &["ada"], ..file("small, with a reader", 1, 2) },
        Sealing { bytes: 16_368, ..file("one whole sector", 1, 3) },
        Sealing { bytes: 3 * 16_368 + 5, ..file("three sectors and five bytes", 2, 5) },
        Sealing { of: readable("", 1), kind: Kind::Directory, ..file("the root node", 1, 1) },
        by_ada(),
    ];
    let bytes = |of: &Sealing<'_>| of.seal().0.metadata;
    let case = |name: &str, metadata: &[u8], at: &str, now_ms: u64, seen: Option<&[u8]>, outcome: &str| {
        json!({
            "name": name, "metadata": hex(metadata), "root": hex(root().0), "path": path_json(&path(at)),
            "now_ms": number(now_ms), "seen": seen.map(hex), "outcome": outcome,
        })
    };
    let here = |name: &str, metadata: &[u8], outcome: &str| case(name, metadata, "home/notes", NOW_MS, None, outcome);
    let after = |name: &str, metadata: &[u8], seen: &[u8], outcome: &str| {
        case(name, metadata, "home/notes", NOW_MS, Some(seen), outcome)
    };
    let second = bytes(&file("second", 1, 2));
    let third = bytes(&file("third", 2, 3));
    let ada = bytes(&by_ada());
    let signed = |by: &str, body: Vec<u8>| {
        let message = [b"latchkey caps sealed node\0".as_slice(), &body].concat();
        [body.as_slice(), &signer(by).sign(&message).unwrap()].concat()
    };
    let body_with = |of: &[u8], at: usize, new: &[u8]| {
        let mut body = of[..of.len() - SIGNATURE_BYTES].to_vec();
        body[at..at + new.len()].copy_from_slice(new);
        body
    };
    const NODE: usize = 37;
    const SIGNER: usize = 154;
    let mallory = signer("mallory").public_key().0;
    let flipped = body_with(&second, 90, &[second[90] ^ 1]);
    let flipped = [flipped.as_slice(), &second[second.len() - SIGNATURE_BYTES..]].concat();
    json!({
        "sealed": sealed.iter().map(Sealing::json).collect::<Vec<_>>(),
        "cases": [
            here("good", &second, "verified"),
            after("the same again", &second, &second, "verified"),
            after("newer", &third, &second, "verified"),
            after("older", &second, &third, "RolledBack { seen: 3, found: 2 }"),
            after("two of one version", &bytes(&file("its twin", 1, 2)), &second, "Conflict"),
            after("newer under an older key", &bytes(&file("fourth", 1, 4)), &third, "KeyRolledBack"),
            case("another node's", &second, "home/other", NOW_MS, None, "OtherNode"),
            case("elsewhere", &second, "other/notes", NOW_MS, None, &format!("Elsewhere({})", hex(node("home").0))),
            here("changed salt", &flipped, "Forged"),
            here("by a writer", &ada, "verified"),
            case("by a writer whose time is over", &ada, "home/notes", LATER_MS, None,
                "Chain(ChainError { link: Some(0), fault: Expired })"),
            case("by a writer of another place", &ada, "other/notes", NOW_MS, None,
                "Chain(ChainError { link: Some(0), fault: NotCovered })"),
            here("with another's writecap", &signed("mallory", body_with(&ada, SIGNER, &mallory)), "OtherHolder"),
            here("by nobody", &signed("mallory", body_with(&second, SIGNER, &mallory)), "NoAuthority"),
            here("another store's", &signed("root", body_with(&second, 5, &[9; 32])), "OtherRoot"),
            here("no node", &signed("root", body_with(&second, NODE, &NodeId::NONE.0)), "Malformed(BadValue(\"node\"))"),
            here("no version", &signed("root", body_with(&second, 70, &[0; 8])), "Malformed(BadValue(\"version\"))"),
            here("too large", &signed("root", body_with(&second, 82, &[255; 8])), "Malformed(BadValue(\"size\"))"),
            here("newer format", &signed("root", body_with(&second, 4, &[2])), "Malformed(NewerFormat(2))"),
            here("truncated", &second[..second.len() - 1], "Malformed(Truncated)"),
            here("longer", &[second.as_slice(), &[0]].concat(), "Malformed(TrailingBytes)"),
        ],
    })
}
