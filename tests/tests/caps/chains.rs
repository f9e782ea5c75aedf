//! Writecaps: what the command refuses, and with which words.

use std::fs;

use caps::{LocalSigner, Signer as _};

use super::person::{Person, node, put, text};

const LINK_FIXED_BYTES: usize = 1 + 32 + 32 + 32 + 1 + 8 + 1;
const HEAD_BYTES: usize = 4 + 1 + 32 + 1;

/// The links of a chain, as bytes.
fn links(chain: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &chain[HEAD_BYTES..];
    let mut links = Vec::new();
    while !rest.is_empty() {
        let (link, more) = rest.split_at(LINK_FIXED_BYTES + 16 * usize::from(rest[LINK_FIXED_BYTES - 1]) + 64);
        links.push(link.to_vec());
        rest = more;
    }
    links
}

/// A chain of these links, which need not follow one another.
fn chain(of: &[u8], links: &[Vec<u8>]) -> Vec<u8> {
    [&of[..HEAD_BYTES - 1], &[links.len() as u8], &links.concat()].concat()
}

/// A link with other rights and expiry, signed as it should be by whoever issued it.
fn signed(link: &[u8], rights: u8, expires_ms: u64, path: &[u8], issuer: &LocalSigner) -> Vec<u8> {
    let body = [&link[..97], &[rights], &expires_ms.to_le_bytes()[..], path].concat();
    let signature = issuer.sign(&[b"latchkey caps writecap link\0", body.as_slice()].concat()).unwrap();
    [body.as_slice(), &signature].concat()
}

#[test]
fn chains_only_narrow_and_what_is_wrong_with_one_is_said() {
    let node = node();
    put(&node, "storage:/notes", "a.txt", b"x");
    let (ada, bob) = (Person::new(&node, "ada"), Person::new(&node, "bob"));
    let (first, second) = (ada.path("first.writecap"), bob.path("second.writecap"));
    let (for_ada, for_bob) = (ada.key("writer-key"), bob.key("writer-key"));
    let given = node.json([
        "cap",
        "write-issue",
        "storage:/notes",
        "--to",
        &for_ada,
        "--rights",
        "read,append",
        "--expires",
        "7d",
        "--out",
        text(&first),
    ]);
    let root = given["root"].as_str().unwrap().to_owned();
    assert_eq!(root, node.json(["store"])["root"].as_str().unwrap());
    assert_eq!((&given["rights"]["append"], &given["rights"]["write"]), (&true.into(), &false.into()));
    node.expect(["down"]);

    let narrow = |person: &Person, rights: &str, expires: &str, out: &str| {
        let words =
            ["write-narrow", text(&first), "--to", &for_bob, "--rights", rights, "--expires", expires, "--out", out];
        person.cap(&words)
    };
    assert!(narrow(&ada, "append", "1d", text(&second)).status.success());
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let wider = narrow(&ada, "write", "1d", "none");
    assert!(wider.status.code() == Some(1) && told(&wider).contains("it allows what the link before does not"));
    let longer = narrow(&ada, "append", "8d", "none");
    assert!(longer.status.code() == Some(1) && told(&longer).contains("it lasts longer than the link before"));
    let other = narrow(&bob, "append", "1d", "none");
    assert!(other.status.code() == Some(1) && told(&other).contains("only the holder of the chain can add to it"));

    let verify = |bytes: &[u8], more: &[&str]| {
        let file = bob.path("looked-at");
        fs::write(&file, bytes).unwrap();
        bob.cap(&[&["write-verify", text(&file), "--root", &root], more].concat())
    };
    let (first, second) = (fs::read(&first).unwrap(), fs::read(&second).unwrap());
    assert!(verify(&first, &["--act", "read"]).status.success());
    assert!(verify(&second, &["--act", "append"]).status.success());
    let refused = |bytes: &[u8], more: &[&str], why: &str| {
        let output = verify(bytes, more);
        assert_eq!(output.status.code(), Some(1), "{why}");
        assert!(told(&output).contains(why), "{why}: {}", told(&output));
    };
    refused(&second, &["--act", "read"], "link 2: it does not allow this");
    refused(&first, &["--act", "write"], "link 1: it does not allow this");
    refused(&second, &["--at", &format!("/{}", "01".repeat(16))], "link 2: it is for another place");

    // Forged: any byte of it.
    let links_of_second = links(&second);
    for at in (HEAD_BYTES..second.len()).step_by(7) {
        let mut forged = second.clone();
        forged[at] ^= 0x10;
        assert_eq!(verify(&forged, &[]).status.code(), Some(1), "byte {at}");
    }
    let mut forged = second.clone();
    *forged.last_mut().unwrap() ^= 1;
    refused(&forged, &[], "link 2: it was not signed by its issuer, or was changed since");

    // In another order, without one, twice.
    let [one, two] = links_of_second.as_slice() else { panic!("two links") };
    let reordered = chain(&second, &[two.clone(), one.clone()]);
    refused(&reordered, &[], "link 1: it stands at another place than it was made for");
    refused(&chain(&second, std::slice::from_ref(two)), &[], "link 1: it stands at another place");
    refused(&chain(&second, &[one.clone(), one.clone()]), &[], "link 2: it stands at another place");

    // Widened, and signed by who may add to the chain.
    let key = fs::read(ada.path("config/latch/writer.key")).unwrap();
    let ada_signs = LocalSigner::from_seed(key[5..].try_into().unwrap());
    let path = &two[LINK_FIXED_BYTES - 1..two.len() - 64];
    let expires_ms = u64::from_le_bytes(two[98..106].try_into().unwrap());
    let with = |link| chain(&second, &[one.clone(), link]);
    assert!(verify(&with(signed(two, 2, expires_ms, path, &ada_signs)), &[]).status.success(), "the same is no wider");
    refused(
        &with(signed(two, 7, expires_ms, path, &ada_signs)),
        &[],
        "link 2: it allows what the link before does not",
    );
    refused(&with(signed(two, 2, u64::MAX, path, &ada_signs)), &[], "link 2: it lasts longer than the link before");
    let above = [&[1], &path[1..17]].concat();
    refused(&with(signed(two, 2, expires_ms, &above, &ada_signs)), &[], "link 2: its place is not within");
    refused(&with(signed(two, 2, 1, path, &ada_signs)), &[], "link 2: its time is over");

    refused(&second[..second.len() - 1], &[], "it ends too early");
    refused(b"something else", &[], "these bytes are something else");
    let other = bob.cap(&["write-verify", text(&bob.path("second.writecap")), "--root", &"00".repeat(32)]);
    assert!(told(&other).contains("it begins with another store's key"));
    node.up();
}
