//! The whole app against a directory in memory: real links, and whatever happens to them.

use crate::{EXIT_CUT, EXIT_DONE, EXIT_ERROR, EXIT_NONE};
use sdk::testing::{Node, Tree};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// Something to write to that a test can look at.
#[derive(Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard output that nobody reads.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn run_on(node: Node, words: &[&str], input: &[u8]) -> (u8, String, String) {
    let (output, errors) = (Page::default(), Page::default());
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let input = io::Cursor::new(input.to_vec());
    let code = node.run(crate::run(words, input, output.clone(), errors.clone()));
    (code, output.text(), errors.text())
}

fn run(tree: &Tree, words: &[&str]) -> (u8, String, String) {
    run_on(Node::new().grant("notes", tree), words, b"")
}

/// It worked, and said this.
fn said(tree: &Tree, words: &[&str]) -> String {
    let (code, output, errors) = run(tree, words);
    assert_eq!((code, errors.as_str()), (EXIT_DONE, ""), "{words:?}");
    output
}

/// It did not work, with this code, and said this.
fn refused(tree: &Tree, words: &[&str]) -> (u8, String) {
    let (code, output, errors) = run(tree, words);
    assert_eq!(output, "", "{words:?}");
    (code, errors)
}

#[test]
fn a_note_that_was_added_is_there() {
    let tree = Tree::new();
    assert_eq!(said(&tree, &["add", "Shopping list", "milk\nbread"]), "shopping-list: kept as version 1\n");
    assert_eq!(tree.content("shopping-list.txt").unwrap(), b"Shopping list\n\nmilk\nbread\n");
    assert_eq!(said(&tree, &["show", "shopping-list"]), "Shopping list\n\nmilk\nbread\n");
    assert_eq!(said(&tree, &["show", "Shopping list"]), "Shopping list\n\nmilk\nbread\n");
    assert_eq!(said(&tree, &["add", "Only a title"]), "only-a-title: kept as version 2\n");
    assert_eq!(said(&tree, &["show", "only-a-title"]), "Only a title\n");
    assert_eq!(tree.snapshot_labels(), ["notes: add shopping-list", "notes: add only-a-title"]);
    // what was written beside has taken its place
    assert_eq!(tree.content(".shopping-list.txt.new"), None);
}

#[test]
fn a_text_may_come_from_the_input() {
    let tree = Tree::new();
    let node = || Node::new().grant("notes", &tree);
    assert_eq!(run_on(node(), &["add", "a", "-"], "für dich\n\n".as_bytes()).0, EXIT_DONE);
    assert_eq!(tree.content("a.txt").unwrap(), "a\n\nfür dich\n".as_bytes());
    let (code, _, errors) = run_on(node(), &["edit", "a", "-"], b"\xff");
    assert_eq!((code, errors.as_str()), (EXIT_ERROR, "notes: the text is not UTF-8\n"));
    let most = vec![b'x'; 1 << 20];
    assert_eq!(run_on(node(), &["edit", "a", "-"], &most).0, EXIT_DONE);
    assert_eq!(tree.content("a.txt").unwrap().len(), (1 << 20) + 4);
    // one more than that: said before anybody is asked for anything
    let more = [most.as_slice(), b"x"].concat();
    let (code, _, errors) = run_on(Node::new(), &["edit", "a", "-"], &more);
    assert_eq!((code, errors.as_str()), (EXIT_ERROR, "notes: the text is longer than 1 MiB\n"));
}

#[test]
fn a_note_is_not_added_over_another() {
    let tree = Tree::new();
    said(&tree, &["add", "A note", "one"]);
    let (code, errors) = refused(&tree, &["add", "a NOTE!", "two"]);
    let told = "notes: there is a note 'a-note' already. Change it with: notes edit a-note TEXT\n";
    assert_eq!((code, errors.as_str()), (EXIT_ERROR, told));
    assert_eq!(tree.content("a-note.txt").unwrap(), b"A note\n\none\n");
    assert_eq!(tree.snapshot_labels().len(), 1);
}

#[test]
fn a_title_cannot_lead_anywhere_else() {
    let tree = Tree::new();
    assert_eq!(said(&tree, &["add", "../../etc/passwd", "x"]), "etc-passwd: kept as version 1\n");
    assert_eq!(said(&tree, &["show", "../../etc/passwd"]), "../../etc/passwd\n\nx\n");
    assert_eq!(
        refused(&tree, &["show", "../.."]),
        (EXIT_ERROR, "notes: a title needs a letter or a digit: '../..' has none\n".to_owned())
    );
    // a title is one line, whatever was in it
    said(&tree, &["add", "two\nlines", "x"]);
    assert_eq!(tree.content("two-lines.txt").unwrap(), b"two lines\n\nx\n");
}

#[test]
fn a_list_has_names_titles_and_nothing_that_is_no_note() {
    let tree = Tree::new().file("other.md", "x").file("Large.txt", "x").file(".b.txt.new", "x").folder("c.txt");
    assert_eq!(run(&tree, &["list"]), (EXIT_NONE, String::new(), String::new()));
    for title in ["Zebra", "Apples and pears", "Middle"] {
        said(&tree, &["add", title]);
    }
    let expected = "\
1970-01-01 00:00  apples-and-pears  Apples and pears
1970-01-01 00:00  middle            Middle
1970-01-01 00:00  zebra             Zebra
";
    assert_eq!(said(&tree, &["list"]), expected);
}

#[test]
fn what_has_all_words_is_found() {
    let tree = Tree::new();
    said(&tree, &["add", "One", "Milk and bread\nBUTTER\nnothing"]);
    said(&tree, &["add", "Two", "milk"]);
    assert_eq!(said(&tree, &["find", "milk"]), "one:3:Milk and bread\ntwo:3:milk\n");
    assert_eq!(said(&tree, &["find", "butter", "MILK"]), "one:3:Milk and bread\none:4:BUTTER\n");
    assert_eq!(said(&tree, &["find", "two"]), "two:1:Two\n");
    assert_eq!(run(&tree, &["find", "milk", "honey"]), (EXIT_NONE, String::new(), String::new()));
}

#[test]
fn history_shows_the_versions_of_one_note_and_show_gives_them() {
    let tree = Tree::new();
    said(&tree, &["add", "Diary", "one"]); // 1
    said(&tree, &["add", "Other", "x"]); // 2
    assert_eq!(said(&tree, &["edit", "Diary", "one and two"]), "diary: kept as version 3\n");
    assert_eq!(said(&tree, &["edit", "Diary", "one and two"]), "diary: nothing changed\n");
    said(&tree, &["remove", "Diary"]); // 4
    said(&tree, &["edit", "other", "y"]); // 5
    said(&tree, &["add", "Diary", "anew"]); // 6
    let expected = [
        "     6  2026-05-28 20:31        12 bytes\n",
        "     4  2026-05-28 20:29  removed\n",
        "     3  2026-05-28 20:28        19 bytes\n",
        "     1  2026-05-28 20:26        11 bytes\n",
    ]
    .concat();
    assert_eq!(said(&tree, &["history", "diary"]), expected);
    assert_eq!(said(&tree, &["show", "diary", "--at", "1"]), "Diary\n\none\n");
    assert_eq!(said(&tree, &["show", "diary", "--at", "2"]), "Diary\n\none\n");
    assert_eq!(said(&tree, &["show", "diary", "--at", "3"]), "Diary\n\none and two\n");
    assert_eq!(said(&tree, &["show", "diary"]), "Diary\n\nanew\n");
    let none = "notes: there was no note 'diary' in version 4; see: notes history diary\n";
    assert_eq!(refused(&tree, &["show", "diary", "--at", "4"]), (EXIT_NONE, none.to_owned()));
    let none = "notes: there is no version 99, or no longer\n";
    assert_eq!(refused(&tree, &["show", "diary", "--at", "99"]), (EXIT_NONE, none.to_owned()));
}

#[test]
fn a_note_that_is_not_there_is_said_not_to_be() {
    let tree = Tree::new();
    let none = "notes: there is no note 'x'; 'notes list' shows those that there are\n".to_owned();
    for words in [&["show", "x"] as &[&str], &["edit", "x", "y"], &["remove", "x"], &["history", "x"]] {
        assert_eq!(refused(&tree, words), (EXIT_NONE, none.clone()), "{words:?}");
    }
    assert_eq!(tree.snapshot_labels().len(), 0);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let tree = Tree::new();
    said(&tree, &["add", "a", "short"]);
    tree.set_quota(Some(30));
    let (code, errors) = refused(&tree, &["edit", "a", "much longer than what there is room for"]);
    let told = "notes: .a.txt.new: the quota of the grant is used up (30 bytes are all that is allowed)\n";
    assert_eq!((code, errors.as_str()), (EXIT_ERROR, told));
    assert_eq!(tree.content("a.txt").unwrap(), b"a\n\nshort\n");
    assert_eq!(tree.snapshot_labels().len(), 1);
    // what a run before left is no hindrance
    tree.set_quota(None);
    said(&tree, &["edit", "a", "much longer than what there was room for"]);
    assert_eq!(tree.content(".a.txt.new"), None);
}

#[test]
fn what_was_changed_and_is_in_no_version_is_told_as_that() {
    let tree = Tree::new();
    said(&tree, &["add", "a", "short"]);
    // it is taken back after each number of calls
    let outcomes: Vec<String> = (1..20)
        .map(|calls| {
            let node = Node::new().grant("notes", &tree).after_calls(calls, |hand| hand.revoke("notes", "by ada"));
            run_on(node, &["edit", "a", &format!("text {calls}")], b"").2
        })
        .collect();
    let told = "notes: 'a' was changed, but the change is not in a version yet, and may not be on the disk: ";
    assert!(outcomes.iter().any(|errors| errors.starts_with(told)), "{outcomes:?}");
    assert_eq!(outcomes.last().map(String::as_str), Some(""));
}

#[test]
fn only_our_own_oldest_snapshots_are_forgotten() {
    let tree = Tree::new();
    let node = Node::new().grant("notes", &tree);
    let code = node.run(async move {
        let directory: sdk::StoredDirectory = sdk::ask("notes", "to test").await?;
        directory.snapshot("before the holidays").await?;
        for number in 0..900 {
            directory.snapshot(&format!("notes: edit number-{number}")).await?;
        }
        Ok::<(), sdk::Error>(())
    });
    assert_eq!(code, 0);
    said(&tree, &["add", "One more"]);
    let labels = tree.snapshot_labels();
    assert_eq!(labels.len(), 901);
    assert_eq!(labels[..2], ["before the holidays", "notes: edit number-1"]);
    assert_eq!(labels[900], "notes: add one-more");
}

#[test]
fn without_a_directory_there_are_no_notes() {
    let (code, output, errors) = run_on(Node::new().deny("notes"), &["list"], b"");
    let told = "notes: there is no directory for the notes: notes: the request was denied\n";
    assert_eq!((code, output.as_str(), errors.as_str()), (EXIT_CUT, "", told));
}

#[test]
fn what_is_taken_back_ends_it_without_a_word_that_it_was_done() {
    for calls in 1..12 {
        let tree = Tree::new();
        let node = Node::new().grant("notes", &tree);
        let node = node.after_calls(calls, |hand| hand.revoke("notes", "by ada"));
        let (code, output, errors) = run_on(node, &["add", "a", "text"], b"");
        if code == EXIT_DONE {
            // it was done before; then it is there, and in a version
            assert_eq!(tree.content("a.txt").unwrap(), b"a\n\ntext\n");
            assert_eq!(tree.snapshot_labels().len(), 1);
            assert!(calls > 6, "{calls}");
        } else {
            let before = "notes: the directory was taken back: ";
            let after = "notes: 'a' was changed, but the change is not in a version yet, and may not be on the disk: ";
            let placed = tree.content("a.txt").is_some();
            let told = [if placed { after } else { before }, "notes: revoked: it was taken back (by ada)\n"].concat();
            // the answer to the renaming itself may be what was lost
            let lost = placed && errors.starts_with(before);
            assert!(lost || errors == told, "{calls}: {errors}");
            assert_eq!((code, output.as_str()), (EXIT_CUT, ""), "{calls}");
        }
    }
}

#[test]
fn help_and_usage_need_no_directory() {
    let (code, output, _) = run_on(Node::new(), &["--help"], b"");
    assert_eq!((code, output.as_str()), (EXIT_DONE, crate::HELP));
    let (code, output, errors) = run_on(Node::new(), &["shw"], b"");
    let told = "notes: there is no command 'shw'\nTry: notes --help\n";
    assert_eq!((code, output.as_str(), errors.as_str()), (EXIT_ERROR, "", told));
}

#[test]
fn it_ends_when_nobody_takes_the_output() {
    let tree = Tree::new();
    said(&tree, &["add", "a", "text"]);
    let errors = Page::default();
    let words = vec!["show".to_owned(), "a".to_owned()];
    let node = Node::new().grant("notes", &tree);
    let code = node.run(crate::run(words, io::empty(), Gone, errors.clone()));
    assert!(errors.text().starts_with("notes: writing the answer failed"), "{}", errors.text());
    assert_eq!(code, EXIT_ERROR);
}
