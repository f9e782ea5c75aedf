//! What a person sees who runs an app on a terminal: the question, their answer, and that nothing else answers for
//! them. The terminal is made by `script` (util-linux).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use tests::node::Node;
use tests::terminal::Terminal;

/// What stands where an answer is awaited.
const CUE: &str = "n / never] ";

/// What stands at the end of the last question before something is given.
const CONFIRM: &str = "[y/N] ";

/// A node with `hello` installed, and a folder with one file.
fn node() -> Node {
    let node = Node::start();
    std::fs::create_dir(node.scratch().join("given")).expect("room for a folder");
    std::fs::write(node.scratch().join("given/kept.txt"), "kept\n").expect("room for a file");
    node.expect(["install".as_ref(), tests::package("hello").as_os_str(), "--trust".as_ref()]);
    node
}

fn given(node: &Node) -> String {
    Path::new(node.scratch()).join("given").display().to_string()
}

#[test]
fn a_request_is_asked_on_the_terminal_and_a_path_answers_it() {
    let node = node();
    let mut terminal = Terminal::run(&node, "run hello");
    let question = terminal.wait_for(CUE);
    assert!(question.contains("hello asks for a Directory, read-only, as \"folder\""), "{question}");
    assert!(question.contains("in the app's own words: \"to show you what is in it\""), "{question}");
    assert!(question.contains("host:PATH"), "the provider is not named:\n{question}");
    terminal.type_in(&format!("{}\n", given(&node)));
    let asked = terminal.wait_for(CONFIRM);
    let named = format!("give hello the folder {} (read-only) as \"folder\"?", given(&node));
    assert!(asked.contains(&named), "{asked}");
    terminal.type_in("y\n");
    let (rest, code) = terminal.end();
    assert!(rest.contains("granted hello:folder") && rest.contains("kept.txt"), "{rest}");
    assert_eq!(code, Some(0), "{rest}");
}

#[test]
fn what_is_confirmed_and_said_is_what_is_given() {
    let node = node();
    let mut terminal = Terminal::run(&node, "run hello");
    terminal.wait_for(CUE);
    terminal.type_in(&format!("{},rw\n", given(&node)));
    let asked = terminal.wait_for(CONFIRM);
    assert!(asked.contains("(read-only: it asks for no more) as \"folder\"?"), "{asked}");
    terminal.type_in("y\n");
    let (rest, code) = terminal.end();
    assert!(rest.contains(", read-only: it asks for no more (#"), "{rest}");
    assert_eq!(code, Some(0), "{rest}");
    let held = node.json(["grants"]);
    assert_eq!(held[0]["rights"]["write"], false);
    let first = held[0]["id"].as_u64().expect("grants are numbered");
    assert!(rest.contains(&format!("(#{first}; latch revoke {first} takes it away)")), "{rest}");
    // A part of what is held is at most what is held, and a command says the same.
    node.expect(["run", "hello", "--name", "second", "--grant", &format!("folder=#{first}")]);
    let granted = node.expect(["grant", "second", &format!("folder=#{first},append")]);
    let said = format!("second:folder = a part of #{first}, read-only: it asks for no more (#");
    assert!(granted.contains(&said), "{granted}");
}

#[test]
fn a_grant_is_written_with_its_sign_and_taken_with_and_without_it() {
    let node = node();
    for name in ["first", "second", "third"] {
        let from = if name == "first" { format!("host:{}", given(&node)) } else { "first:folder".to_owned() };
        node.expect(["run", "hello", "--name", name, "--grant", &format!("folder={from}")]);
    }
    let listed = node.expect(["grants"]);
    assert!(listed.lines().skip(1).all(|line| line.trim_start().starts_with('#')), "{listed}");
    let grants = node.json(["grants"]);
    let first = grants.as_array().and_then(|rows| rows.iter().find(|row| row["holder"] == "first"));
    let first = first.and_then(|row| row["id"].as_u64()).expect("it is listed");
    for number in [format!("{first}"), format!("#{first}")] {
        assert_eq!(node.expect(["ls", &number]), "kept.txt\n");
        assert!(node.expect(["why", &number]).contains(&format!("#{first} granted to first")));
    }
    // What hangs below ends with it, and is counted.
    let revoked = node.expect(["revoke", &format!("#{first}")]);
    assert!(revoked.starts_with(&format!("revoked #{first} (first:folder), and 2 below it")), "{revoked}");
    assert_eq!(node.json(["grants"]).as_array().map(Vec::len), Some(0));
    // What a shell has taken for a comment is not there.
    let nothing = node.run(["revoke"]);
    let told = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.status.code() == Some(2) && told.contains("write grant #9 as 9, or as '#9'"), "{told}");
    let told = node.run(["approve", "#1", "host:/"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("#1 is a grant; a request is a number without #"), "{told}");
}

#[test]
fn a_name_that_is_nobodys_is_said_to_be() {
    let node = node();
    for listing in ["grants", "requests"] {
        let refused = node.refused([listing, "hallo"]);
        assert_eq!(refused, "latch: there is no instance `hallo`\n  next: latch ps --all\n");
        let refused = node.refused([listing, "hallo", "--json"]);
        assert!(refused.contains("there is no instance"), "{refused}");
    }
    assert!(node.refused(["grants", "#7"]).contains("that is the number of a grant\n  next: latch why 7"));
    node.expect(["run", "hello", "--grant", &format!("folder=host:{}", given(&node))]);
    node.expect(["revoke", "hello:folder"]);
    assert_eq!(node.expect(["grants", "hello"]), "hello holds nothing\n");
    assert_eq!(node.expect(["requests", "hello"]), "hello asks for nothing\n");
}

#[test]
fn who_names_the_state_is_told_commands_that_name_it() {
    let node = node();
    let state = node.state().display().to_string();
    let said = |words: &[&str]| {
        let mut command = node.latch(["--state", &state]);
        let output = command.args(words).env_remove("LATCH_STATE").output().expect("latch runs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let preset = format!("folder=host:{}", given(&node));
    let cases: [&[&str]; 10] = [
        &["ps"],
        &["grants", "nobody"],
        &["revoke", "7"],
        &["why", "nobody"],
        &["approve", "7", "host:/"],
        &["stop", "nobody"],
        &["run", "hello", "--grant", "other=host:/"],
        &["run", "hello", "--name", "other", "--grant", &preset, "--detach"],
        &["grant", "other", &preset],
        &["run", "nothing"],
    ];
    for words in cases {
        let said = said(words);
        assert!(said.contains(&format!("latch --state {state} ")), "{words:?}: {said}");
        let plain = ["`latch ", "next: latch ", "(latch ", "; latch "];
        let left_out = said.replace(&format!("latch --state {state} "), "");
        assert!(!plain.iter().any(|command| left_out.contains(command)), "{words:?}: {said}");
    }
}

#[test]
fn only_a_clear_answer_is_one() {
    let node = node();
    let mut terminal = Terminal::run(&node, "run hello");
    // Typed before the question was there, and just keys: neither grants anything.
    terminal.type_in("1\n");
    for keys in ["\n", "y\n", "/no/such/folder\n", "7\n", "given\n", "hello:folder\n"] {
        terminal.wait_for(CUE);
        terminal.type_in(keys);
    }
    terminal.wait_for(CUE);
    let grants = node.json(["grants"]);
    assert_eq!(grants.as_array().map(Vec::len), Some(0), "{grants}");
    terminal.type_in("n\n");
    let (rest, code) = terminal.end();
    assert_eq!(code, Some(3), "{rest}");
}

#[test]
fn a_number_gives_a_folder_whatever_its_name_hides() {
    let node = node();
    let odd = node.scratch().join("o\u{3164}d\u{202e}d, x:PATH");
    std::fs::rename(node.scratch().join("given"), &odd).expect("a folder takes any name");
    let grant = format!("folder=host:{}", odd.display().to_string().replace(',', "\\,"));
    node.expect(["run", "hello", "--name", "first", "--grant", &grant]);
    let mut terminal = Terminal::run(&node, "run hello --name second");
    let question = terminal.wait_for(CUE);
    assert!(question.contains("o\\u{3164}d\\u{202e}d, x:PATH"), "{question}");
    terminal.type_in("1\n");
    let asked = terminal.wait_for(CONFIRM);
    assert!(asked.contains("give second 'host:") && asked.contains("o\\u{3164}d"), "{asked}");
    terminal.type_in("y\n");
    let (rest, code) = terminal.end();
    assert!(rest.contains("granted second:folder") && rest.contains("kept.txt"), "{rest}");
    assert!(!rest.contains("any more"), "{rest}");
    assert_eq!(code, Some(0), "{rest}");
}

#[test]
fn an_answer_to_the_apps_own_question_gives_nothing() {
    let node = node();
    node.expect(["run", "hello", "--name", "first", "--grant", &format!("folder=host:{}", given(&node))]);
    let mut terminal = Terminal::run(&node, "run hello --name second");
    // A finger was on its way when the question came; wherever it lands, it gives nothing.
    terminal.wait_for("do not ask again");
    terminal.type_in("1\n");
    terminal.wait_for(CUE);
    terminal.type_in("\n");
    terminal.wait_for(CUE);
    terminal.type_in("1\n");
    terminal.wait_for(CONFIRM);
    terminal.type_in("1\n");
    assert!(terminal.wait_for(CUE).contains("nothing was given"));
    let grants = node.json(["grants"]);
    assert!(grants.as_array().is_some_and(|grants| grants.iter().all(|grant| grant["holder"] != "second")), "{grants}");
    terminal.type_in("n\n");
    assert_eq!(terminal.end().1, Some(3));
}

#[test]
fn a_link_on_the_way_is_shown_and_asked_for() {
    let node = node();
    std::os::unix::fs::symlink("given", node.scratch().join("docs")).expect("room for a link");
    let link = node.scratch().join("docs").display().to_string();
    let leads = format!("{link} has a symbolic link in it: it leads to {}", given(&node));
    // In the question of a run,
    let mut terminal = Terminal::run(&node, "run hello");
    terminal.wait_for(CUE);
    terminal.type_in("./docs\n");
    let asked = terminal.wait_for(CONFIRM);
    assert!(asked.contains(&leads) && asked.contains(&format!("the folder {} (", given(&node))), "{asked}");
    terminal.type_in("\n");
    assert!(terminal.wait_for(CUE).contains("nothing was given"));
    let id = node.json(["requests"])[0]["id"].as_u64().expect("requests are numbered").to_string();
    // without a terminal,
    let (offer, preset) = (format!("host:{link}"), format!("folder=host:{link}"));
    for words in [&["approve", &id, &offer][..], &["grant", "hello", &preset], &["run", "hello", "--grant", &preset]] {
        let refused = node.run(words);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        let next = format!("write host:{}, or `,force` after it", given(&node));
        assert!(!refused.status.success() && told.contains(&leads) && told.contains(&next), "{words:?}: {told}");
    }
    // and on one.
    for (key, code) in [("\n", 1), ("y\n", 0)] {
        let mut other = Terminal::run(&node, &format!("approve {id} {offer}"));
        let asked = other.wait_for(CONFIRM);
        assert!(asked.contains(&leads), "{asked}");
        other.type_in(key);
        let (said, ended) = other.end();
        assert_eq!(ended, Some(code), "{said}");
        let granted = said.contains(&format!("granted hello:folder = host:{},", given(&node)));
        assert_eq!(granted, code == 0, "{said}");
    }
    assert_eq!(terminal.end().1, Some(0));
}

#[test]
fn never_is_remembered() {
    let node = node();
    let mut terminal = Terminal::run(&node, "run hello");
    terminal.wait_for(CUE);
    terminal.type_in("never\n");
    assert_eq!(terminal.end().1, Some(3));
    // Nobody is asked this time.
    let (shown, code) = Terminal::run(&node, "run hello").end();
    assert!(!shown.contains(CUE), "asked again:\n{shown}");
    assert_eq!(code, Some(3), "{shown}");
}

#[test]
fn a_question_that_another_decides_is_taken_back() {
    let node = node();
    let mut terminal = Terminal::run(&node, "run hello");
    terminal.wait_for(CUE);
    let id = node.json(["requests"])[0]["id"].as_u64().expect("requests are numbered").to_string();
    node.expect(["approve", &id, &format!("host:{},ro", given(&node))]);
    let (rest, code) = terminal.end();
    // An app that is quicker than the question for what became of it has ended: then there is no more to tell.
    let told = ["(granted meanwhile: hello:folder", "(no answer is needed any more)"];
    assert!(told.iter().any(|words| rest.contains(words)) && rest.contains("kept.txt"), "{rest}");
    assert_eq!(code, Some(0), "{rest}");
}

#[test]
fn an_interrupt_while_asked_stops_the_app() {
    let node = node();
    let mut terminal = Terminal::run(&node, "run hello");
    terminal.wait_for(CUE);
    terminal.type_in("\u{3}");
    let (rest, code) = terminal.end();
    assert!(rest.contains("hello: the app was told to stop"), "{rest}");
    assert_eq!(code, Some(130), "what a shell shows for an interrupted program:\n{rest}");
    let running = node.json(["ps"]);
    assert_eq!(running.as_array().map(Vec::len), Some(0), "{running}");
    let ended = node.json(["ps", "--all"]);
    assert_eq!(ended[0]["state"], "exited 143", "the app itself was stopped in order: {ended}");
}

#[test]
fn an_interrupt_before_the_app_is_up_ends_with_the_same_code() {
    let node = node();
    let output = node.latch(["run", "hello"]).stderr(std::process::Stdio::piped()).spawn().map(|mut run| {
        let process = rustix::process::Pid::from_child(&run);
        rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it lives until it is waited for");
        run.wait().expect("it ends")
    });
    let status = output.expect("latch runs");
    let code = status.code().or(std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal));
    assert_eq!(code, Some(130));
}

#[test]
fn who_runs_an_app_without_what_was_revoked_is_told_how_to_give_it_back() {
    let node = node();
    let folder = format!("host:{}", given(&node));
    node.expect(["run", "hello", "--grant", &format!("folder={folder}")]);
    node.expect(["revoke", "hello:folder"]);
    let refused = node.run(["run", "hello"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{told}");
    let command = told.lines().find_map(|line| line.strip_prefix("  next: latch ")).expect("a command is named");
    node.expect(command.split(' '));
    assert!(node.expect(["run", "hello"]).contains("kept.txt"));
    let words = node.run(["run", "./no-such.latch"]);
    assert!(String::from_utf8_lossy(&words.stderr).contains("next: name a package that `latch build DIR`"));
}

#[test]
fn an_author_names_neither_themselves_nor_an_app_after_the_system() {
    let node = node();
    let installed = node.json(["install"]);
    assert_eq!(installed[0]["author_petname"], "", "only the person names an author: {installed}");
    for name in ["latch", "shell", "9"] {
        let refused = node.run(["run", "hello", "--name", name]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains("begins with a letter"), "{name}: {told}");
    }
}

#[test]
fn a_file_that_is_fetched_steers_no_terminal_and_replaces_nothing() {
    let node = node();
    let (source, local) = (node.scratch().join("given"), node.scratch().join("local"));
    std::fs::write(source.join("-"), "a\u{1b}]0;owned\u{7}b").expect("room for a file");
    std::fs::write(&local, "mine").expect("room for a file");
    let (offer, local_path) = (format!("host:{}", source.display()), local.display().to_string());
    let (shown, code) = Terminal::run(&node, &format!("get {offer} - -")).end();
    assert!(shown.contains("a\\x1b]0;owned\\x07b") && !shown.contains("\u{1b}]"), "{shown:?}");
    assert_eq!(code, Some(0), "{shown}");
    // A file of that name is fetched like any other.
    let (shown, code) = Terminal::run(&node, &format!("get {offer} -")).end();
    assert!(!shown.contains("owned") && code == Some(0), "{shown:?}");
    assert!(node.scratch().join("-").is_file());
    assert!(node.refused(["get", &offer, "kept.txt", &local_path]).contains("--replace takes its place"));
    assert_eq!(std::fs::read(&local).expect("it is there"), b"mine");
    node.expect(["get", &offer, "kept.txt", &local_path, "--replace"]);
    assert_eq!(std::fs::read(&local).expect("it is there"), b"kept\n");
}

#[test]
fn a_folder_with_a_long_path_is_given_and_the_node_goes_on() {
    let node = node();
    let long = node.scratch().join("☝".repeat(80)).join("n".repeat(200));
    std::fs::create_dir_all(&long).expect("room for a folder");
    std::fs::write(long.join("kept.txt"), "kept\n").expect("room for a file");
    let given = node.expect(["run", "hello", "--grant", &format!("folder=host:{}", long.display())]);
    assert!(given.contains("kept.txt"), "{given}");
    assert!(node.expect(["grants"]).contains(&"n".repeat(200)));
}

/// A name of a file that would begin a line of its own on a terminal of 80 columns.
fn long_name() -> String {
    format!("{}latch: nothing is granted", "n".repeat(80))
}

#[test]
fn nobodys_words_begin_a_line() {
    let node = node();
    let folder = node.scratch().join("given");
    std::fs::write(folder.join(long_name()), "").expect("room for a file");
    std::fs::write(folder.join("trail "), "").expect("room for a file");
    let target = format!("host:{}", given(&node));
    let (listed, _) = Terminal::of(&node, 80, &format!("ls {target}")).end();
    let lines: Vec<&str> = listed.split("\r\n").collect();
    assert!(lines.contains(&"'trail '") && lines.contains(&"kept.txt"), "{listed}");
    let (refused, code) = Terminal::of(&node, 0, &format!("cat {target} '{}x'", long_name())).end();
    assert_eq!(code, Some(1));
    // The second of a terminal that does not tell how wide it is.
    for shown in [&listed, &refused] {
        let words = shown.find("latch: nothing").expect("it is shown");
        let line = shown[..words].rfind("\r\n").map_or(0, |end| end + 2);
        assert!(shown[line..words].starts_with("        | "), "{shown}");
        assert!(shown.split("\r\n").all(|line| line.chars().count() <= 80), "{shown}");
    }
    let piped = node.expect(["ls", &target]);
    assert!(piped.lines().any(|line| line == long_name()) && piped.lines().any(|line| line == "trail "), "{piped}");
}

#[test]
fn what_a_file_leaves_on_the_terminal_ends_before_latch_speaks() {
    let node = node();
    let folder = node.scratch().join("given");
    std::fs::write(folder.join("red"), "\u{1b}[31mred").expect("room for a file");
    let (shown, code) = Terminal::run(&node, &format!("cat host:{} red missing", given(&node))).end();
    assert_eq!(code, Some(1));
    assert!(shown.contains("\u{1b}[31mred\u{1b}[0m\r\nlatch: cannot open missing"), "{shown:?}");

    std::fs::write(folder.join("reds"), "\u{1b}[31mred".repeat(8 << 20)).expect("room for a file");
    let mut terminal = Terminal::run(&node, &format!("cat host:{} reds", given(&node)));
    terminal.wait_for("red");
    terminal.type_in("\u{3}");
    let (shown, code) = terminal.end();
    assert_eq!(code, Some(130));
    let end = &shown[shown.len().saturating_sub(200)..];
    assert!(end.contains("\u{1b}[0m\r\nlatch: ended before it was done"), "{end:?}");
}

#[test]
fn a_transfer_that_is_interrupted_leaves_no_part_of_a_file() {
    let node = node();
    let target = format!("host:{}", given(&node));
    let mut put = node.latch(["put", "-", &target, "new.txt"]);
    let mut put = put.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("latch runs");
    put.stdin.as_mut().expect("its input is a pipe").write_all(b"half of it").expect("it takes it");
    let names = || {
        let entries = std::fs::read_dir(given(&node)).expect("it is there").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    tests::until("nothing is stored", || names().len() >= 2);
    let process = rustix::process::Pid::from_child(&put);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it waits for more");
    assert_eq!(put.wait().expect("it ends").code(), Some(130));
    assert_eq!(names(), ["kept.txt"]);
}
