//! Chains of writecaps: what they allow, and every way in which they do not.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use caps::writecap::{
    Authority, Chain, ChainError, ChainFault, Grant, IssueError, LINK_LIMIT, issue, issue_first, verify,
};
use caps::{Act, DecodeError, LocalSigner, NEVER_MS, NotSigned, PublicKey, Rights, Signature, Signer};
use common::raw::{RawChain, RawLink};
use common::{NOW_MS, Seeded, path, root, signer};

const READ_WRITE: u8 = 7;
const APPEND: u8 = 2;
const LATER_MS: u64 = NOW_MS + 1000;

fn grant(holder: &LocalSigner, at: &str, rights: Rights, expires_ms: u64) -> Grant {
    Grant { holder: holder.public_key(), path: path(at), rights, expires_ms }
}

/// The root gives "home" to ada, who gives "home/notes" to bob.
fn two() -> RawChain {
    let (ada, bob) = (signer("ada"), signer("bob"));
    let chain = RawChain::new(&signer("root"));
    let chain = chain.clone().with(chain.next(&ada, READ_WRITE, NEVER_MS, &path("home")).signed(&signer("root")));
    chain.clone().with(chain.next(&bob, READ_WRITE, LATER_MS, &path("home/notes")).signed(&ada))
}

fn judge(bytes: &[u8], at: &str, act: Act) -> Result<Authority, ChainError> {
    Chain::decode(bytes).and_then(|chain| verify(&chain, &root(), &path(at), act, NOW_MS))
}

fn fault(bytes: &[u8]) -> (Option<u8>, ChainFault) {
    let error = judge(bytes, "home/notes", Act::Write).unwrap_err();
    (error.link, error.fault)
}

#[test]
fn a_chain_lets_its_last_holder_write_at_its_place_and_below() {
    let (ada, bob) = (signer("ada"), signer("bob"));
    let chain = issue_first(grant(&ada, "home", Rights::ALL, NEVER_MS), &signer("root")).unwrap();
    let narrower = Rights { read: false, append: true, write: false };
    let chain = issue(&chain, grant(&bob, "home/notes", narrower, LATER_MS), &ada).unwrap();
    let bytes = chain.encode();
    assert_eq!(Chain::decode(&bytes).unwrap(), chain);
    let expected =
        Authority { holder: bob.public_key(), path: path("home/notes"), rights: narrower, expires_ms: LATER_MS };
    assert_eq!(judge(&bytes, "home/notes", Act::Append), Ok(expected.clone()));
    assert_eq!(judge(&bytes, "home/notes/deep/below", Act::Append), Ok(expected));
    let refused = |at, act| judge(&bytes, at, act).unwrap_err();
    let at_last = |fault| ChainError { link: Some(1), fault };
    assert_eq!(refused("home/notes", Act::Write), at_last(ChainFault::NotAllowed));
    assert_eq!(refused("home/notes", Act::Read), at_last(ChainFault::NotAllowed));
    assert_eq!(refused("home", Act::Append), at_last(ChainFault::NotCovered));
    assert_eq!(refused("home/other", Act::Append), at_last(ChainFault::NotCovered));
}

#[test]
fn what_is_issued_is_what_the_format_says() {
    let (ada, bob) = (signer("ada"), signer("bob"));
    let chain = issue_first(grant(&ada, "home", Rights::ALL, NEVER_MS), &signer("root")).unwrap();
    let chain = issue(&chain, grant(&bob, "home/notes", Rights::ALL, LATER_MS), &ada).unwrap();
    assert_eq!(chain.encode(), two().bytes());
    assert!(judge(&two().bytes(), "home/notes", Act::Write).is_ok());
}

#[test]
fn write_implies_append() {
    let write = Rights { read: false, append: false, write: true };
    let chain = issue_first(grant(&signer("ada"), "home", write, NEVER_MS), &signer("root")).unwrap();
    assert!(judge(&chain.encode(), "home", Act::Append).is_ok());
    assert_eq!(chain.encode()[4 + 1 + 32 + 1 + 1 + 32 + 32 + 32], 6);
}

#[test]
fn a_chain_is_over_at_the_millisecond_of_its_expiry() {
    let chain = Chain::decode(&two().bytes()).unwrap();
    let at = |now_ms| verify(&chain, &root(), &path("home/notes"), Act::Write, now_ms);
    assert!(at(LATER_MS - 1).is_ok());
    assert_eq!(at(LATER_MS), Err(ChainError { link: Some(1), fault: ChainFault::Expired }));
    let first = issue_first(grant(&signer("ada"), "home", Rights::ALL, NEVER_MS), &signer("root")).unwrap();
    assert!(verify(&first, &root(), &path("home"), Act::Write, u64::MAX).is_ok());
}

#[test]
fn an_expired_link_ends_all_that_follow() {
    let (ada, bob) = (signer("ada"), signer("bob"));
    let chain = RawChain::new(&signer("root"));
    let chain = chain.clone().with(chain.next(&ada, READ_WRITE, NOW_MS, &path("home")).signed(&signer("root")));
    let chain = chain.clone().with(chain.next(&bob, READ_WRITE, NOW_MS, &path("home")).signed(&ada));
    assert_eq!(fault(&chain.bytes()), (Some(0), ChainFault::Expired));
}

#[test]
fn a_link_by_somebody_else_is_refused() {
    let mallory = signer("mallory");
    // signed by another than it says
    let mut chain = two();
    chain.links[1] = chain.links[1].clone().signed(&mallory);
    assert_eq!(fault(&chain.bytes()), (Some(1), ChainFault::Forged));
    // says truly who signed it, who is nobody
    let mut chain = two();
    chain.links[1].issuer = mallory.public_key();
    chain.links[1] = chain.links[1].clone().signed(&mallory);
    assert_eq!(fault(&chain.bytes()), (Some(1), ChainFault::WrongIssuer));
    // the same at the first link
    let chain = RawChain::new(&signer("root"));
    let link = RawLink { issuer: mallory.public_key(), ..chain.next(&mallory, 7, NEVER_MS, &path("")) };
    assert_eq!(fault(&chain.with(link.signed(&mallory)).bytes()), (Some(0), ChainFault::WrongIssuer));
    // a chain of mallory's own store
    let chain = RawChain::new(&mallory);
    let chain = chain.clone().with(chain.next(&mallory, 7, NEVER_MS, &path("")).signed(&mallory));
    assert_eq!(fault(&chain.bytes()), (None, ChainFault::OtherRoot));
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // with the neutral element as the key, any message has a signature that only a lax verifier takes
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let chain = RawChain::new(&signer("root"));
    let mut link = chain.next(&signer("ada"), READ_WRITE, NEVER_MS, &path("home"));
    link.holder = PublicKey(neutral);
    let chain = chain.with(link.signed(&signer("root")));
    let mut forged = chain.next(&signer("mallory"), READ_WRITE, NEVER_MS, &path("home"));
    forged.signature = signature;
    assert_eq!(fault(&chain.with(forged).bytes()), (Some(1), ChainFault::Forged));
}

#[test]
fn a_link_that_widens_is_refused_though_it_is_signed() {
    let (ada, bob, carol) = (signer("ada"), signer("bob"), signer("carol"));
    let start = RawChain::new(&signer("root"));
    let start = start.clone().with(start.next(&ada, 3, LATER_MS, &path("home/notes")).signed(&signer("root")));
    let start = start.clone().with(start.next(&bob, APPEND, LATER_MS, &path("home/notes")).signed(&ada));
    let next = |rights, expires_ms, at| {
        let link = start.next(&carol, rights, expires_ms, &path(at)).signed(&bob);
        let error = judge(&start.clone().with(link).bytes(), "home/notes", Act::Append);
        error.map(|_| ()).map_err(|error| (error.link, error.fault))
    };
    assert_eq!(next(APPEND, LATER_MS, "home/notes"), Ok(()));
    assert_eq!(next(APPEND, LATER_MS, "home"), Err((Some(2), ChainFault::WidenedPath)));
    assert_eq!(next(APPEND, LATER_MS, "home/other"), Err((Some(2), ChainFault::WidenedPath)));
    // 3 was ada's, and is no longer bob's
    assert_eq!(next(3, LATER_MS, "home/notes"), Err((Some(2), ChainFault::WidenedRights)));
    assert_eq!(next(6, LATER_MS, "home/notes"), Err((Some(2), ChainFault::WidenedRights)));
    assert_eq!(next(APPEND, LATER_MS + 1, "home/notes"), Err((Some(2), ChainFault::WidenedExpiry)));
    assert_eq!(next(APPEND, NEVER_MS, "home/notes"), Err((Some(2), ChainFault::WidenedExpiry)));
}

#[test]
fn nobody_can_issue_what_would_be_refused() {
    let (ada, bob) = (signer("ada"), signer("bob"));
    let some = Rights { read: true, append: true, write: false };
    let chain = issue_first(grant(&ada, "home", some, LATER_MS), &signer("root")).unwrap();
    let refused = |grant, by: &LocalSigner| issue(&chain, grant, by).unwrap_err();
    let because = IssueError::Refused;
    assert_eq!(refused(grant(&bob, "home", some, LATER_MS), &bob), IssueError::NotTheHolder);
    assert_eq!(refused(grant(&bob, "home", some, LATER_MS), &signer("root")), IssueError::NotTheHolder);
    assert_eq!(refused(grant(&bob, "", some, LATER_MS), &ada), because(ChainFault::WidenedPath));
    assert_eq!(refused(grant(&bob, "home", Rights::ALL, LATER_MS), &ada), because(ChainFault::WidenedRights));
    assert_eq!(refused(grant(&bob, "home", some, NEVER_MS), &ada), because(ChainFault::WidenedExpiry));
    let none = Rights { read: false, append: false, write: false };
    let bad = ChainFault::Malformed(DecodeError::BadValue("rights"));
    assert_eq!(refused(grant(&bob, "home", none, LATER_MS), &ada), because(bad));
}

#[test]
fn links_cannot_be_reordered_dropped_or_mixed() {
    let (ada, bob, carol) = (signer("ada"), signer("bob"), signer("carol"));
    let three = two();
    let three = three.clone().with(three.next(&carol, APPEND, LATER_MS, &path("home/notes")).signed(&bob));
    let with = |order: &[usize]| {
        let links = order.iter().map(|at| three.links[*at].clone()).collect();
        fault(&RawChain { root: three.root, links }.bytes())
    };
    assert_eq!(with(&[0, 1, 2]), (Some(2), ChainFault::NotAllowed)); // carol may append only
    assert_eq!(with(&[1, 0, 2]), (Some(0), ChainFault::OutOfOrder));
    assert_eq!(with(&[0, 2, 1]), (Some(1), ChainFault::OutOfOrder));
    assert_eq!(with(&[0, 2]), (Some(1), ChainFault::OutOfOrder));
    assert_eq!(with(&[1, 2]), (Some(0), ChainFault::OutOfOrder));
    assert_eq!(with(&[0, 0, 1]), (Some(1), ChainFault::OutOfOrder));
    // two true chains through the same people: bob's link of one does not follow ada's of the other
    let other = RawChain::new(&signer("root"));
    let other = other.clone().with(other.next(&ada, READ_WRITE, NEVER_MS, &path("")).signed(&signer("root")));
    let mixed = RawChain { root: other.root, links: vec![other.links[0].clone(), two().links[1].clone()] };
    assert_eq!(fault(&mixed.bytes()), (Some(1), ChainFault::OtherChain));
}

#[test]
fn a_chain_has_a_longest_length() {
    let people: Vec<LocalSigner> = (0..=LINK_LIMIT).map(|number| signer(&format!("person {number}"))).collect();
    let give = |to: &LocalSigner| grant(to, "home", Rights::ALL, NEVER_MS);
    let mut chain = issue_first(give(&people[0]), &signer("root")).unwrap();
    for pair in people.windows(2).take(LINK_LIMIT - 1) {
        chain = issue(&chain, give(&pair[1]), &pair[0]).unwrap();
    }
    assert!(judge(&chain.encode(), "home", Act::Write).is_ok());
    let refused = issue(&chain, give(&people[LINK_LIMIT]), &people[LINK_LIMIT - 1]);
    assert_eq!(refused, Err(IssueError::Refused(ChainFault::TooLong)));
    // by hand
    let mut raw = RawChain::new(&signer("root"));
    let mut by = signer("root");
    for person in &people {
        raw = raw.clone().with(raw.next(person, READ_WRITE, NEVER_MS, &path("home")).signed(&by));
        by = signer(&format!("person {}", raw.links.len() - 1));
    }
    assert_eq!(fault(&raw.bytes()), (None, ChainFault::TooLong));
    assert_eq!(fault(&vec![b'L'; 1 << 20]), (None, ChainFault::TooLong));
}

#[test]
fn what_is_no_chain_is_said_to_be_none() {
    let good = two().bytes();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        fault(&bytes)
    };
    let bad = |link, field| (link, ChainFault::Malformed(DecodeError::BadValue(field)));
    const LINK: usize = 4 + 1 + 32 + 1;
    assert_eq!(changed(0, b'X'), (None, ChainFault::Malformed(DecodeError::OtherKind)));
    assert_eq!(changed(4, 2), (None, ChainFault::NewerFormat(2)));
    assert_eq!(changed(4, 0), bad(None, "format"));
    assert_eq!(changed(4 + 1 + 32, 0), bad(None, "links"));
    assert_eq!(changed(4 + 1 + 32, 1), (None, ChainFault::Malformed(DecodeError::TrailingBytes)));
    // rights: none, unknown, and write without append
    for rights in [0, 8, 15, 4, 5] {
        assert_eq!(changed(LINK + 1 + 96, rights), bad(Some(0), "rights"));
    }
    assert_eq!(changed(LINK + 1 + 96 + 1 + 8, 0), bad(Some(0), "path"));
    assert_eq!(changed(LINK + 1 + 96 + 1 + 8, 65), bad(Some(0), "path"));
    for length in 0..good.len() {
        let (_, fault) = fault(&good[..length]);
        assert_eq!(fault, ChainFault::Malformed(DecodeError::Truncated), "{length}");
    }
}

#[test]
fn any_changed_byte_is_refused() {
    let good = two().bytes();
    let mut chance = Seeded::from_environment("writecap");
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << chance.below(8);
        assert!(judge(&bytes, "home/notes", Act::Write).is_err(), "byte {at}");
        bytes[at] = good[at].wrapping_add(1 + chance.below(255) as u8);
        assert!(judge(&bytes, "home/notes", Act::Write).is_err(), "byte {at}");
    }
}

#[test]
fn whatever_can_be_read_is_written_as_it_was() {
    let good = two().bytes();
    let mut chance = Seeded::from_environment("writecap canonical");
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        let at = chance.below(bytes.len());
        match chance.below(8) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, chance.below(256) as u8),
            2 => bytes.truncate(at),
            _ => bytes[at] = chance.below(256) as u8,
        }
        if let Ok(chain) = Chain::decode(&bytes) {
            read += 1;
            assert_eq!(chain.encode(), bytes);
        }
    }
    assert!(read > 5_000, "{read}");
}

#[test]
fn a_path_has_nodes_and_not_too_many() {
    use caps::{NodeId, PATH_LIMIT_NODES, Path, PathError};
    assert_eq!(Path::new(&[]), Err(PathError::Empty));
    assert_eq!(Path::new(&[NodeId::NONE]), Err(PathError::NoNode));
    let deepest = vec![NodeId([1; 16]); PATH_LIMIT_NODES];
    assert_eq!(Path::new(&deepest).unwrap().child(NodeId([1; 16])), Err(PathError::TooDeep));
}

/// The key was rotated between asking for its public half and signing.
struct Rotated;

impl Signer for Rotated {
    fn public_key(&self) -> PublicKey {
        signer("root").public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, NotSigned> {
        signer("the next one").sign(message)
    }
}

struct Locked;

impl Signer for Locked {
    fn public_key(&self) -> PublicKey {
        signer("root").public_key()
    }

    fn sign(&self, _: &[u8]) -> Result<Signature, NotSigned> {
        Err(NotSigned::Locked)
    }
}

#[test]
fn what_the_signer_says_is_looked_at() {
    let grant = grant(&signer("ada"), "home", Rights::ALL, NEVER_MS);
    assert_eq!(issue_first(grant.clone(), &Rotated), Err(IssueError::NotSigned(NotSigned::OtherKey)));
    assert_eq!(issue_first(grant, &Locked), Err(IssueError::NotSigned(NotSigned::Locked)));
}
