//! What a person does with keys, and is told.

use tests::node::Node;
use tests::person::contains;
use tests::terminal::Terminal;

const RIGHT: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

fn protection(node: &Node) -> (String, bool) {
    let shown = node.json(["keys"]);
    (shown["protection"].as_str().expect("a word").to_owned(), shown["unlocked"].as_bool().expect("yes or no"))
}

#[test]
fn keys_are_made_locked_opened_and_protected_anew() {
    let node = Node::start();
    assert_eq!(protection(&node), ("none".to_owned(), false));
    assert!(node.expect(["keys"]).contains("next: latch keys create"));
    node.create_keys(RIGHT);
    assert_eq!(protection(&node), ("passphrase".to_owned(), true));
    let told = node.refused(node.keys_words("create", RIGHT));
    assert!(told.contains("has keys already"), "{told}");
    node.expect(["keys", "lock"]);
    assert_eq!(protection(&node), ("passphrase".to_owned(), false));
    let told = node.refused(node.keys_words("unlock", WRONG));
    assert!(told.contains("another passphrase") && told.contains("next: "), "{told}");
    assert!(!protection(&node).1);
    node.unlock_keys(RIGHT);
    node.expect(node.keys_words("protect", "another passphrase"));
    node.expect(["keys", "lock"]);
    node.refused(node.keys_words("unlock", RIGHT));
    node.unlock_keys("another passphrase");
    assert!(protection(&node).1);
    // Who has no terminal and names no file is told of the option.
    let told = node.refused(["keys", "unlock"]);
    assert!(told.contains("--passphrase-file FILE"), "{told}");
}

#[test]
fn of_a_passphrase_that_is_none_or_short_it_is_said() {
    let node = Node::start();
    for none in ["", "   "] {
        assert!(node.refused(node.keys_words("create", none)).contains("is empty"));
    }
    let warned = |words: Vec<std::ffi::OsString>| {
        let output = node.run(words);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = warned(node.keys_words("create", "secret"));
    assert!(told.contains("of 6 characters is short") && told.contains("Good are 16 or more"), "{told}");
    assert_eq!(warned(node.keys_words("protect", RIGHT)), "");
    assert_eq!(warned(node.keys_words("unlock", RIGHT)), "");
}

#[test]
fn without_keys_the_node_works_and_the_store_says_what_to_do() {
    let node = Node::start();
    node.expect(["install".as_ref(), tests::package("hello").as_os_str(), "--trust".as_ref()]);
    let folder = node.scratch().join("given");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("kept.txt"), "kept\n").unwrap();
    let grant = format!("folder=host:{}", folder.display());
    assert!(node.expect(["run", "hello", "--grant", &grant]).contains("kept.txt"));
    let told = node.refused(["ls", "storage:/"]);
    assert!(told.contains("has no keys yet") && told.contains("next: latch keys"), "{told}");
    node.create_keys(RIGHT);
    node.store("storage:/", "file", b"content");
    assert_eq!(node.stored("storage:/", "file"), b"content");
}

#[test]
fn a_log_verifies_over_rotations() {
    let node = Node::start();
    node.create_keys(RIGHT);
    for number in 2..4 {
        assert!(node.expect(["keys", "rotate", "log"]).contains(&format!("is number {number} now")));
        node.expect(["down"]);
        node.up();
        node.unlock_keys(RIGHT);
    }
    let verified = node.json(["log", "--verify"]);
    assert!(verified["ok"] == true && verified["checkpoints"].as_u64() >= Some(2), "{verified}");
    let warned = |node: &Node| String::from_utf8(node.run(["log", "--verify"]).stderr).unwrap().contains("locked");
    assert!(!warned(&node));
    node.expect(["keys", "lock"]);
    assert!(warned(&node), "the file of locked keys proves nothing");
    node.unlock_keys(RIGHT);
    // The store goes on after its keys were exchanged, also with what it stored before.
    node.store("storage:/", "before", b"before");
    for purpose in ["commits", "store"] {
        node.expect(["keys", "rotate", purpose]);
    }
    node.store("storage:/", "after", b"after");
    node.expect(["down"]);
    node.up();
    node.unlock_keys(RIGHT);
    assert_eq!(
        (node.stored("storage:/", "before"), node.stored("storage:/", "after")),
        (b"before".into(), b"after".into())
    );
    assert_eq!(node.json(["keys"])["keys"].as_array().map(Vec::len), Some(5));
}

#[test]
fn packages_are_signed_by_the_nodes_keys_and_not_while_they_are_locked() {
    let node = Node::start();
    node.create_keys(RIGHT);
    let author = node.json(["keys"])["keys"].as_array().unwrap().iter().find(|key| key["purpose"] == "author").unwrap()
        ["public"]
        .as_str()
        .unwrap()
        .to_owned();
    let build = |node: &Node| {
        let (app, out) = (tests::checkout().join("apps/hello"), node.scratch().to_owned());
        let mut command = node.latch(["build".as_ref(), app.as_os_str(), "--out".as_ref(), out.as_os_str()]);
        command.current_dir(tests::checkout()).output().unwrap()
    };
    let built = build(&node);
    let told = String::from_utf8_lossy(&built.stderr).into_owned() + &String::from_utf8_lossy(&built.stdout);
    assert!(built.status.success(), "{told}");
    assert!(told.contains(&author[..8]), "signed by another than {author}: {told}");
    node.expect(["install".as_ref(), node.scratch().join("hello.latch").as_os_str(), "--trust".as_ref()]);
    node.expect(["keys", "lock"]);
    let refused = build(&node);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("unlock the keys") && told.contains("next: "), "{told}");
}

#[test]
fn nothing_secret_is_in_any_file_of_the_state() {
    let node = Node::start();
    node.create_keys(RIGHT);
    node.store("storage:/", "file", b"content");
    node.refused(node.keys_words("unlock", WRONG));
    node.expect(["down"]);
    let files = node.state_files();
    assert!(files.iter().any(|(path, _)| path.ends_with("keys/keyring")), "there is a file of keys");
    for (path, bytes) in &files {
        for secret in [RIGHT, WRONG] {
            assert!(!contains(bytes, secret.as_bytes()), "{} has a passphrase", path.display());
        }
        // A key by itself, as the node once had one for its log. What says whether the index is as it was left is a hash.
        assert!(bytes.len() != 32 || path.ends_with("index.marker"), "{} could be a plain key", path.display());
    }
    let keys = std::fs::read_dir(node.state().join("keys")).unwrap().count();
    assert_eq!(keys, 1, "nothing lies beside the file of keys");
}

#[test]
fn a_passphrase_is_typed_unseen_and_twice_where_it_is_new() {
    let node = Node::start();
    let cue = "passphrase for this node's keys: ";
    let mut terminal = Terminal::run(&node, "keys create");
    terminal.wait_for(cue);
    terminal.type_in("typed once\n");
    terminal.wait_for("the same again: ");
    terminal.type_in("typed otherwise\n");
    let (rest, code) = terminal.end();
    assert!(rest.contains("nothing was done") && rest.contains("not the same"), "{rest}");
    assert_eq!((code, protection(&node).0.as_str()), (Some(1), "none"));

    let mut terminal = Terminal::run(&node, "keys create");
    let mut shown = terminal.wait_for(cue);
    terminal.type_in("typed twice\n");
    shown += &terminal.wait_for("the same again: ");
    terminal.type_in("typed twice\n");
    let (rest, code) = terminal.end();
    assert_eq!(code, Some(0), "{rest}");
    assert!(!(shown + &rest).contains("typed"), "what was typed was shown");
    node.expect(["keys", "lock"]);
    node.unlock_keys("typed twice");

    node.expect(["keys", "lock"]);
    let mut terminal = Terminal::run(&node, "keys unlock");
    terminal.wait_for("passphrase of this node's keys: ");
    terminal.type_in("typed twice\n");
    let (rest, code) = terminal.end();
    assert!(code == Some(0) && !rest.contains("typed"), "{rest}");
    assert!(protection(&node).1);
}
