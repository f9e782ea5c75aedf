//! The sandbox and its compiler, each started alone at a door whose other side is this test: what a guest can do to
//! its sandbox, and what a component can do to the compiler.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it cannot go on")]

#[path = "sandbox/bomb.rs"]
mod bomb;
#[path = "sandbox/fake_kernel.rs"]
mod fake_kernel;
#[path = "sandbox/guest.rs"]
mod guest;

use guest::{Compiled, Guest, OUTPUT_BYTES, compile, component, start_detached};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileExt;
use vat::door::{Carries, Role};
use vat::words::EndReason;

/// The guest went over a limit.
const EXCEEDED: i32 = 124;
/// The guest trapped.
const TRAPPED: i32 = 134;
/// The guest did not hear that it is to stop.
const STOPPED: i32 = 143;
/// The guest could not be started.
const REFUSED: i32 = 126;

#[test]
fn an_exit_code_passes_through_whole() {
    for code in [0, 1, 3, 125, 255] {
        for way in ["exit", "return"] {
            let ended = Guest::start(&[way, &code.to_string()]).end();
            assert_eq!((ended.code, ended.last_word), (code, None), "{way} {code}");
        }
    }
}

#[test]
fn a_panic_is_seen_and_is_a_trap() {
    let ended = Guest::start(&["panic"]).end();
    assert_eq!(ended.code, TRAPPED);
    assert!(ended.error.contains("as I was told"), "{}", ended.error);
    assert!(ended.last_word.unwrap().starts_with("trapped: "));
}

#[test]
fn a_guest_finds_nothing_but_its_arguments() {
    let ended = Guest::start(&["look-around"]).end();
    let expected = "arguments [\"hostile\", \"look-around\"]\nenvironment 0\n/ false\n. false\n.. false\n\
                    /etc/passwd false\n/proc/self/fd false\nsocket false\n";
    assert_eq!((ended.code, ended.output.as_str()), (0, expected), "{}", ended.error);
}

#[test]
fn standard_streams_carry_everything_in_order() {
    let mut guest = Guest::start(&["cat"]);
    let text = "a line of some length\n".repeat(50_000);
    let mut input = guest.input.take().unwrap();
    let writing = std::thread::spawn({
        let text = text.clone();
        move || {
            input.write_all(text.as_bytes()).unwrap();
            input.shutdown(Shutdown::Write).unwrap();
            input
        }
    });
    let ended = guest.end();
    drop(writing.join());
    assert_eq!(ended.code, 0);
    assert!(ended.output == text, "{} of {} bytes came back", ended.output.len(), text.len());
    assert_eq!(ended.error, format!("{} bytes\n", text.len()));
}

#[test]
fn a_guest_that_computes_for_ever_is_ended_and_a_polite_one_is_not() {
    let ended = Guest::start(&["endless-loop"]).end();
    assert_eq!(ended.code, EXCEEDED);
    assert_eq!(ended.last_word.unwrap(), "computed for more than 1 s without asking its door");
    let ended = Guest::start(&["long-but-polite"]).end();
    assert_eq!((ended.code, ended.output.as_str()), (0, "done\n"));
}

#[test]
fn memory_is_bounded_and_the_bound_is_the_reason_given() {
    let ended = Guest::start(&["memory"]).end();
    assert_eq!(ended.code, EXCEEDED, "{}", ended.error);
    assert_eq!(ended.last_word.unwrap(), "used more than 32 MiB of memory");
    let ended = Guest::start(&["memory-in-one-piece"]).end();
    assert_eq!((ended.code, ended.last_word), (7, None), "who can live without more memory may");
}

#[test]
fn the_stack_is_bounded() {
    let ended = Guest::start(&["stack"]).end();
    assert!(ended.code == EXCEEDED || ended.code == TRAPPED, "{ended:?}");
    assert!(ended.last_word.is_some());
}

#[test]
fn a_flood_of_output_waits_for_its_reader() {
    let mut guest = Guest::start(&["output-flood"]);
    let mut some = [0; 1 << 16];
    for _ in 0..16 {
        guest.output.read_exact(&mut some).unwrap();
    }
    // The reader goes away: the guest's own writes fail, and it ends.
    let Guest { mut process, output, error, .. } = guest;
    drop((output, error));
    assert_eq!(process.end(), 0);
}

#[test]
fn detached_output_keeps_the_newest_within_its_bound() {
    let files = [fake_kernel::memory(b""), fake_kernel::memory(b"")];
    let mut process = start_detached(&["output-then-done"], &files);
    assert_eq!(process.end(), 0, "{:?}", process.last_word);
    let mut parts: Vec<(u64, Vec<u8>)> = files
        .iter()
        .map(|file| {
            let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            let rest = bytes.split_off(8);
            (u64::from_le_bytes(bytes.try_into().unwrap()), rest)
        })
        .collect();
    parts.sort();
    let kept = String::from_utf8(parts.concat_parts()).unwrap();
    let all: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    assert!(all.ends_with(&kept) && kept.len() as u64 >= OUTPUT_BYTES / 2 && kept.len() as u64 <= OUTPUT_BYTES);
    assert_eq!(parts[0].0, (all.len() - kept.len()) as u64, "what is gone is counted");
}

trait Parts {
    fn concat_parts(&self) -> Vec<u8>;
}

impl Parts for Vec<(u64, Vec<u8>)> {
    fn concat_parts(&self) -> Vec<u8> {
        self.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }
}

#[test]
fn bytes_pass_both_ways_unchanged_on_many_links_at_once() {
    let mut guest = Guest::start(&["echo"]);
    let links: Vec<_> = (0..20).map(|n| guest.process.link(Role::Client, Carries::Grant, &format!("l{n}"))).collect();
    (0..20).for_each(|n| assert_eq!(guest.line(), format!("opened l{n} Role::Client")));
    let threads: Vec<_> = links
        .into_iter()
        .enumerate()
        .map(|(number, link)| {
            std::thread::spawn(move || {
                let sent: Vec<u8> = (0..3_000_000_usize).map(|at| (at * 31 + number) as u8).collect();
                let mut writing = link.try_clone().unwrap();
                let copy = sent.clone();
                let writer = std::thread::spawn(move || writing.write_all(&copy).unwrap());
                let mut back = vec![0; sent.len()];
                (&link).read_exact(&mut back).unwrap();
                writer.join().unwrap();
                assert!(back == sent, "link {number}");
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let ended = guest.end();
    assert_eq!((ended.code, ended.confirmed), (0, vec![]));
    assert_eq!(ended.output, "closed closed\n".repeat(20));
}

#[test]
fn a_guest_that_serves_confirms_a_cut_once_it_was_told() {
    let mut guest = Guest::start(&["echo"]);
    let link = guest.process.link(Role::Server, Carries::Grant, "");
    let number = guest.process.last_link();
    assert_eq!(guest.line(), "opened  Role::Server");
    guest.process.notice(number, "", EndReason::Revoked, "as the owner wished");
    assert_eq!(guest.line(), "notice  revoked as the owner wished");
    link.shutdown(Shutdown::Both).unwrap();
    let ended = guest.end();
    assert_eq!((ended.code, ended.confirmed), (0, vec![number]));
    assert_eq!(ended.output, "closed revoked\n");
}

#[test]
fn a_guest_without_credit_sees_the_end_and_not_a_byte() {
    for (role, confirmed) in [(Role::Client, vec![]), (Role::Server, vec![4])] {
        let mut guest = Guest::start(&["never-a-window"]);
        let mut link = guest.process.link(role, Carries::Grant, "folder");
        assert_eq!(guest.line(), "link 1");
        if role == Role::Server {
            link.write_all(b"calls that are never to be started").unwrap();
        }
        drop(link);
        let ended = guest.end();
        assert_eq!((ended.code, ended.output.as_str()), (0, "closed 1 closed\n"));
        assert_eq!(ended.confirmed, confirmed);
    }
}

#[test]
fn nobody_can_be_made_to_hold_more_than_a_batch_for_a_guest() {
    let mut guest = Guest::start(&["huge-window"]);
    let mut link = guest.process.link(Role::Client, Carries::Grant, "folder");
    let piece = vec![7; 1 << 20];
    (0..64).for_each(|_| link.write_all(&piece).unwrap());
    drop(link);
    let ended = guest.end();
    let words: Vec<u64> = ended.output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!((ended.code, words[0]), (0, 64 << 20));
    assert!(words[1] <= 2 << 20, "{} bytes at once", words[1]);
}

#[test]
fn links_that_were_never_given_do_not_exist() {
    let mut guest = Guest::start(&["unknown-links"]);
    // One that it has but does not know by number is not among them: it comes after.
    let ended_before = guest.line();
    assert_eq!(ended_before, "nothing there");
    assert_eq!(guest.end().code, 0);
}

#[test]
fn a_flood_of_sends_is_taken_only_as_far_as_somebody_reads() {
    let mut guest = Guest::start(&["flood-of-sends"]);
    let mut link = guest.process.link(Role::Client, Carries::Grant, "folder");
    let taken: u64 = guest.line().strip_prefix("taken ").unwrap().parse().unwrap();
    assert!(taken < 2 << 20, "{taken} bytes were taken and nobody has read one");
    let mut some = vec![0; 1 << 20];
    link.read_exact(&mut some).unwrap();
    assert!(some.iter().all(|byte| *byte == 0x5a));
    assert!(guest.line().starts_with("room, took "));
    drop(link);
    assert_eq!(guest.end().code, 0);
}

#[test]
fn what_was_sent_goes_out_while_the_guest_waits_for_something_else() {
    let mut guest = Guest::start(&["send-and-turn-away"]);
    let mut link = guest.process.link(Role::Client, Carries::Grant, "folder");
    let taken: usize = guest.line().strip_prefix("taken ").unwrap().parse().unwrap();
    let mut all = vec![0; taken];
    link.read_exact(&mut all).unwrap();
    drop(guest.input.take());
    assert_eq!(guest.end().code, 0);
}

#[test]
fn letting_go_in_the_middle_sends_what_was_sent_and_then_the_end() {
    let mut guest = Guest::start(&["drop-mid-call"]);
    let mut link = guest.process.link(Role::Client, Carries::Grant, "folder");
    let mut all = Vec::new();
    link.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"half a mess");
    assert_eq!(guest.end().code, 0);
}

#[test]
fn a_guest_that_sleeps_is_ended_when_it_is_to_stop() {
    let mut guest = Guest::start(&["never-at-its-door"]);
    assert_eq!(guest.line(), "not looking");
    guest.process.stop();
    let ended = guest.end();
    assert_eq!(ended.code, STOPPED);
    assert!(ended.last_word.unwrap().starts_with("was told to stop while it waited for something else"));
}

#[test]
fn a_guest_that_waits_for_input_is_woken_when_it_is_to_stop() {
    let mut guest = Guest::start(&["echo-lines"]);
    guest.input.as_mut().unwrap().write_all(b"one\ntw").unwrap();
    assert_eq!(guest.line(), "one");
    guest.process.stop();
    // Half a line is not passed off as the end of the input.
    let ended = guest.end();
    assert_eq!((ended.code, ended.output.as_str(), ended.last_word), (0, "input failed\nstop\n", None));
}

#[test]
fn a_guest_whose_output_nobody_reads_is_ended_when_it_is_to_stop() {
    let mut guest = Guest::start(&["output-flood"]);
    guest.output.read_exact(&mut [0; 1 << 16]).unwrap();
    guest.process.stop();
    assert_eq!(guest.process.end(), STOPPED, "{:?}", guest.process.last_word);
}

#[test]
fn what_is_written_without_asking_is_bounded() {
    let mut guest = Guest::start(&["write-without-asking"]);
    let mut output = Vec::new();
    guest.output.read_to_end(&mut output).unwrap();
    assert_eq!(guest.process.end(), TRAPPED);
    let last = guest.process.last_word.take().unwrap();
    assert_eq!(last, "trapped: wrote more to a standard stream than it was allowed to at once");
    // Of what one socket and one chunk hold, nothing more was taken.
    assert!(output.len() < 2 << 20, "{} bytes were taken and nobody had read one", output.len());
}

#[test]
fn a_guest_that_looks_is_told_to_stop() {
    let mut guest = Guest::start(&["echo"]);
    let _link = guest.process.link(Role::Client, Carries::Grant, "folder");
    assert_eq!(guest.line(), "opened folder Role::Client");
    guest.process.stop();
    let ended = guest.end();
    assert_eq!((ended.code, ended.output.as_str()), (0, "stop\n"));
}

#[test]
fn files_that_are_not_there_can_be_tried_for_without_end() {
    let ended = Guest::start(&["resources"]).end();
    assert_eq!((ended.code, ended.output.as_str()), (0, "0 files\n"));
}

#[test]
fn the_sandbox_confines_itself_and_says_how() {
    let mut guest = Guest::start(&["exit", "0"]);
    guest.process.hear().unwrap();
    assert!(guest.process.confined.contains(&"seccomp".to_owned()), "{:?}", guest.process.confined);
    assert!(guest.process.confined.contains(&"no capabilities".to_owned()));
    assert_eq!(guest.end().code, 0);
}

#[test]
fn code_that_is_not_sealed_or_not_code_is_not_run() {
    let mut compiled = compile(&component("hostile"));
    let ended = Guest::start_compiled(&compiled.file, &["exit", "0"]).end();
    assert_eq!(ended.code, REFUSED);
    assert!(ended.last_word.unwrap().contains("not sealed"));
    for junk in [&fake_kernel::content(&mut compiled.file)[..5_000], b"junk", b""] {
        let file = fake_kernel::memory(junk);
        fake_kernel::seal(&file);
        let ended = Guest::start_compiled(&file, &["exit", "0"]).end();
        assert_eq!(ended.code, REFUSED, "{:?}", ended.last_word);
    }
}

#[test]
fn only_components_of_the_world_of_apps_are_compiled() {
    let refused = |component: &[u8], word: &str| {
        let Compiled { code, last_word, mut file } = compile(component);
        assert_eq!(code, 3, "{last_word:?}");
        assert!(last_word.as_deref().unwrap_or_default().starts_with(word), "{last_word:?}");
        assert!(fake_kernel::content(&mut file).is_empty(), "something was written");
    };
    refused(b"", "not a component");
    refused(&vec![0x5a; 1 << 20], "not a component");
    refused(b"\0asm\x0d\0\x01\0", "wrong world: does not export wasi:cli/run");
    let whole = component("hostile");
    refused(&whole[..whole.len() / 2], "not a component");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 0xff;
    let Compiled { code, .. } = compile(&changed);
    assert!(code == 0 || code == 3, "a changed byte is another program or none, never a crash: {code}");
}

#[test]
fn too_much_to_compile_is_refused() {
    let Compiled { code, last_word, .. } = compile(&vec![0; (64 << 20) + 1]);
    assert_eq!((code, last_word.as_deref()), (4, Some("too large: over 64 MiB")));
}

#[test]
fn a_component_that_no_compiler_gets_done_with_is_given_up() {
    let Compiled { code, last_word, mut file } = compile(&bomb::with_bomb(&component("hostile")));
    let word = last_word.unwrap_or_default();
    assert_eq!(code, 4, "{word}");
    assert!(word.starts_with("too large or too intricate: compiling it took more than "), "{word}");
    assert!(fake_kernel::content(&mut file).is_empty(), "something was written");
}

#[test]
fn the_sandbox_has_no_compiler_in_it() {
    let has_compiler = |binary: &str| {
        let bytes = std::fs::read(tests::binaries().join(binary)).unwrap();
        let name = b"cranelift-codegen-";
        bytes.windows(name.len()).any(|window| window == name)
    };
    assert!(has_compiler("latch-compile"), "the mark by which a compiler is known is not where it must be");
    assert!(!has_compiler("latch-sandbox"));
}

#[test]
fn the_compiler_says_what_it_compiles_for() {
    let mut compiled = fake_kernel::memory(b"");
    let hash = |compiled: &mut std::fs::File| {
        let resources = [("compiled", std::os::fd::AsFd::as_fd(compiled))];
        assert_eq!(fake_kernel::Process::start("latch-compile", guest::compile_setup(true), &resources).end(), 0);
        String::from_utf8(fake_kernel::content(compiled)).unwrap()
    };
    let first = hash(&mut compiled);
    assert_eq!(first.len(), 17);
    assert!(first.trim_end().bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(hash(&mut fake_kernel::memory(b"")), first, "it is the same in another process");
}
