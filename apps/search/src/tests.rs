//! The whole app against a folder in memory: real links, and whatever happens to them.

use crate::arguments::{self, Command};
use crate::{EXIT_CUT, EXIT_ERROR, EXIT_MATCH, EXIT_NO_MATCH};
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
        Ok(())
    }
}

fn options(line: &str) -> arguments::Options {
    match arguments::parse(line.split_whitespace().map(str::to_owned)).unwrap() {
        Command::Search(options) => options,
        other => panic!("{other:?}"),
    }
}

fn search_on(node: Node, line: &str) -> (u8, String, String) {
    let (output, errors) = (Page::default(), Page::default());
    let code = node.run(crate::search(options(line), output.clone(), errors.clone()));
    (code, output.text(), errors.text())
}

fn search(tree: &Tree, line: &str) -> (u8, String, String) {
    search_on(Node::new().grant("folder", tree), line)
}

fn garden() -> Tree {
    Tree::new()
        .file("a.txt", "one\na needle\nthree\n")
        .file("b/deep/x.rs", "needle\n")
        .file("b/y.rs", "no match\n")
        .file("b/z.rs", "one\ntwo needles and a needle\nthree\nfour\nneedle")
        .file(".hidden", "needle\n")
        .file("binary", b"needle\n\0needle\n")
        .link("link")
}

#[test]
fn finds_what_is_there_in_order_with_numbers() {
    let (code, output, errors) = search(&garden(), "needle");
    assert_eq!(output, "a.txt:2:a needle\nb/deep/x.rs:1:needle\nb/z.rs:2:two needles and a needle\nb/z.rs:5:needle\n");
    assert_eq!((code, errors.as_str()), (EXIT_MATCH, ""));
}

#[test]
fn options_choose_what_is_searched_and_shown() {
    let cases = [
        ("needle -g *.rs -l", "b/deep/x.rs\nb/z.rs\n"),
        ("needle -g !b", "a.txt:2:a needle\n"),
        ("needle -c", "a.txt:1\nb/deep/x.rs:1\nb/z.rs:2\n"),
        ("needle -l --hidden", ".hidden\na.txt\nb/deep/x.rs\nb/z.rs\n"),
        ("needle -l --max-depth 1", "a.txt\n"),
        ("needle -l --max-depth 2", "a.txt\nb/z.rs\n"),
        ("NEEDLE -il -w", "a.txt\nb/deep/x.rs\nb/z.rs\n"),
        ("^needle$ -N", "b/deep/x.rs:needle\nb/z.rs:needle\n"),
        ("needle b/deep", "b/deep/x.rs:1:needle\n"),
        ("needle b/deep/ a.txt", "b/deep/x.rs:1:needle\na.txt:2:a needle\n"),
        ("needle b -g b/deep/*", "b/deep/x.rs:1:needle\n"),
        (
            "three -A1 -B1",
            "a.txt-2-a needle\na.txt:3:three\n--\nb/z.rs-2-two needles and a needle\nb/z.rs:3:three\nb/z.rs-4-four\n",
        ),
    ];
    for (line, expected) in cases {
        let (code, output, errors) = search(&garden(), line);
        assert_eq!((output.as_str(), errors.as_str(), code), (expected, "", EXIT_MATCH), "{line}");
    }
}

#[test]
fn nothing_found_is_not_an_error() {
    assert_eq!(search(&garden(), "nowhere"), (EXIT_NO_MATCH, String::new(), String::new()));
    assert_eq!(search(&Tree::new(), "x").0, EXIT_NO_MATCH);
}

#[test]
fn what_cannot_be_read_is_told_and_the_search_goes_on() {
    let tree = garden().unreadable("b/secret");
    let (code, output, errors) = search(&tree, "needle -l");
    assert_eq!(output, "a.txt\nb/deep/x.rs\nb/z.rs\n");
    assert_eq!(errors, "search: b/secret: not permitted (its owner must not)\n");
    assert_eq!(code, EXIT_ERROR);
    let (code, _, errors) = search(&garden(), "needle nowhere ../outside");
    assert!(errors.contains("search: nowhere: not found"), "{errors}");
    assert!(errors.contains("search: ../outside: not a path inside the folder"), "{errors}");
    assert_eq!(code, EXIT_ERROR);
}

#[test]
fn bad_patterns_are_told_before_anybody_is_asked() {
    // the node would refuse the request: it is not made
    let (code, _, errors) = search_on(Node::new(), "(");
    assert!(errors.starts_with("search: ") && errors.contains("unclosed group"), "{errors}");
    assert_eq!(code, EXIT_ERROR);
    assert!(search_on(Node::new(), "x -g a[").2.contains("--glob 'a['"));
}

#[test]
fn without_a_folder_there_is_no_search() {
    let (code, _, errors) = search_on(Node::new().deny("folder"), "x");
    assert_eq!(errors, "search: there is no folder to search in: folder: the request was denied\n");
    assert_eq!(code, EXIT_CUT);
}

#[test]
fn many_files_come_out_in_order_whatever_their_size() {
    let mut tree = Tree::new();
    let mut expected = String::new();
    for number in 0..300 {
        let path = format!("{:02}/{number:03}", number / 10);
        // every tenth file is long and comes in many pieces
        let lines = if number % 10 == 0 { 20_000 } else { 3 };
        let content = (0..lines).map(|line| format!("line {line} of {number}\n")).collect::<String>();
        tree = tree.file(&path, format!("{content}needle {number}\n"));
        expected.push_str(&format!("{path}:{}:needle {number}\n", lines + 1));
    }
    let (code, output, errors) = search(&tree, "needle");
    assert_eq!(output, expected);
    assert_eq!((code, errors.as_str()), (EXIT_MATCH, ""));
}

#[test]
fn a_cut_in_the_middle_ends_it_with_what_was_found_and_says_why() {
    for at_once in [true, false] {
        let tree = (0..500).fold(Tree::new(), |tree, number| tree.file(format!("{number:03}"), "needle\n"));
        let node = Node::new().grant("folder", &tree).after_calls(500, move |hand| {
            if at_once { hand.revoke("folder", "by ada") } else { hand.revoke_and_tell_later("folder", "by ada") }
        });
        let (code, output, errors) = search_on(node, "needle");
        let found = output.lines().count();
        assert!(found > 0 && found < 500, "{found}");
        for (number, line) in output.lines().enumerate() {
            assert_eq!(line, format!("{number:03}:1:needle"));
        }
        let said = format!(
            "search: the folder was taken back: folder: revoked: it was taken back (by ada); {found} files searched, {found} matches so far\n"
        );
        assert_eq!((code, errors), (EXIT_CUT, said));
    }
}

#[test]
fn it_ends_when_nobody_takes_the_output() {
    let errors = Page::default();
    let node = Node::new().grant("folder", &garden());
    let code = node.run(crate::search(options("needle"), Gone, errors.clone()));
    assert!(errors.text().starts_with("search: writing the results failed"), "{}", errors.text());
    assert_eq!(code, EXIT_ERROR);
}

#[test]
fn a_long_line_is_searched_in_pieces_and_that_is_said() {
    let tree = Tree::new().file("long", [vec![b'x'; 900 << 10], b"needle\n".to_vec()].concat());
    let (code, output, errors) = search(&tree, "needle");
    assert!(output.ends_with("needle\n"));
    assert!(errors.contains("long: has lines longer than 256 KiB"), "{errors}");
    assert_eq!(code, EXIT_MATCH);
}
