//! The ways to misbehave. Links are plain bytes here; what they carry is up to whoever holds the other end.

use crate::bindings::latchkey::door::door::{self, Event};
use std::hint::black_box;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a way does; the exit code, where it comes back.
type Way = fn() -> ExitCode;

const WAYS: &[(&str, Way)] = &[
    ("endless-loop", endless_loop),
    ("long-but-polite", long_but_polite),
    ("memory", memory),
    ("memory-in-one-piece", memory_in_one_piece),
    ("stack", stack),
    ("panic", panic),
    ("output-flood", output_flood),
    ("output-then-done", output_then_done),
    ("write-without-asking", crate::raw_output::write_without_asking),
    ("echo-lines", echo_lines),
    ("never-at-its-door", never_at_its_door),
    ("never-a-window", never_a_window),
    ("huge-window", huge_window),
    ("unknown-links", unknown_links),
    ("flood-of-sends", flood_of_sends),
    ("drop-mid-call", drop_mid_call),
    ("send-and-turn-away", send_and_turn_away),
    ("echo", echo),
    ("cat", cat),
    ("resources", resources),
    ("look-around", look_around),
];

pub(crate) fn find(name: &str) -> Option<fn() -> ExitCode> {
    WAYS.iter().find(|(known, _)| *known == name).map(|(_, way)| *way)
}

fn endless_loop() -> ExitCode {
    crate::say("begun");
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

/// Longer in all than any turn may be, but it asks its door all the while.
fn long_but_polite() -> ExitCode {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2_500) {
        let piece = Instant::now();
        while piece.elapsed() < Duration::from_millis(50) {
            black_box(());
        }
        door::wait(Some(0));
    }
    println!("done");
    ExitCode::SUCCESS
}

fn memory() -> ExitCode {
    crate::say("begun");
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
    }
}

fn memory_in_one_piece() -> ExitCode {
    let mut piece: Vec<u8> = Vec::new();
    if piece.try_reserve_exact(3 << 30).is_err() {
        println!("refused, and I can live with that");
        return ExitCode::from(7);
    }
    ExitCode::SUCCESS
}

fn stack() -> ExitCode {
    fn deeper(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        if black_box(depth) == u64::MAX { 0 } else { deeper(depth + 1) + frame[7] }
    }
    println!("{}", deeper(0));
    ExitCode::SUCCESS
}

fn panic() -> ExitCode {
    panic!("as I was told");
}

fn output_flood() -> ExitCode {
    let line = [b'x'; 4_096];
    while std::io::stdout().write_all(&line).is_ok() {}
    ExitCode::SUCCESS
}

fn output_then_done() -> ExitCode {
    for number in 0..20_000 {
        println!("line {number}");
    }
    ExitCode::SUCCESS
}

/// Busy with something that suspends it, so that no turn ends it.
fn never_at_its_door() -> ExitCode {
    println!("not looking");
    loop {
        std::thread::sleep(Duration::from_secs(3_600));
    }
}

/// Takes its first link and lets nothing come.
fn never_a_window() -> ExitCode {
    let link = first_link();
    println!("link {link}");
    loop {
        for event in door::wait(None) {
            match event {
                Event::Bytes(chunk) => println!("{} bytes without credit", chunk.bytes.len()),
                Event::Closed(ending) => {
                    println!("closed {} {}", ending.link, ending.reason);
                    door::wait(Some(0));
                    return ExitCode::SUCCESS;
                }
                Event::Stop => return ExitCode::SUCCESS,
                _ => {}
            }
        }
    }
}

/// More credit than can be counted, and then nothing is ever read from what comes.
fn huge_window() -> ExitCode {
    let link = first_link();
    for _ in 0..1_000 {
        door::open_window(link, u32::MAX);
    }
    let mut most = 0;
    let mut total = 0;
    loop {
        let mut batch = 0;
        for event in door::wait(None) {
            match event {
                Event::Bytes(chunk) => batch += chunk.bytes.len(),
                Event::Closed(_) => {
                    println!("total {total} most {most}");
                    return ExitCode::SUCCESS;
                }
                _ => {}
            }
        }
        total += batch;
        most = most.max(batch);
    }
}

fn unknown_links() -> ExitCode {
    for number in (0..10_000).chain(u32::MAX - 10..=u32::MAX) {
        assert_eq!(door::send(number, b"let me in"), 0);
        assert!(door::closed(number));
        door::open_window(number, u32::MAX);
        door::close(number);
    }
    println!("nothing there");
    ExitCode::SUCCESS
}

/// Sends for ever to somebody who may not read.
fn flood_of_sends() -> ExitCode {
    let link = first_link();
    let piece = vec![0x5a; 1 << 20];
    let mut taken = 0_u64;
    for _ in 0..100 {
        taken += u64::from(door::send(link, &piece));
    }
    println!("taken {taken}");
    loop {
        for event in door::wait(None) {
            match event {
                Event::Room(link) => println!("room, took {}", door::send(link, &piece)),
                Event::Closed(_) | Event::Stop => return ExitCode::SUCCESS,
                _ => {}
            }
        }
    }
}

/// Sends more than the socket takes, and then waits for something else than its door.
fn send_and_turn_away() -> ExitCode {
    let link = first_link();
    println!("taken {}", door::send(link, &vec![0x5a; 1 << 20]));
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).expect("input");
    ExitCode::SUCCESS
}

/// Lets go of its link with half a message sent.
fn drop_mid_call() -> ExitCode {
    let link = first_link();
    door::send(link, b"half a mess");
    door::close(link);
    assert_eq!(door::send(link, b"age"), 0);
    ExitCode::SUCCESS
}

/// Well behaved: gives back what comes on every link, until its last one ends.
fn echo() -> ExitCode {
    let mut links = 0;
    let mut waiting: Vec<(u32, Vec<u8>)> = Vec::new();
    loop {
        for event in door::wait(None) {
            match event {
                Event::Opened(delivery) => {
                    links += 1;
                    println!("opened {} {:?}", delivery.label, delivery.role);
                    door::open_window(delivery.link, 1 << 20);
                }
                Event::Bytes(chunk) => {
                    door::open_window(chunk.link, chunk.bytes.len() as u32);
                    waiting.push((chunk.link, chunk.bytes));
                }
                Event::Closed(ending) => {
                    links -= 1;
                    println!("closed {}", ending.reason);
                    waiting.retain(|(link, _)| *link != ending.link);
                }
                Event::Notice(notice) => println!("notice {} {} {}", notice.label, notice.reason, notice.detail),
                Event::Room(_) => {}
                Event::Stop => {
                    println!("stop");
                    return ExitCode::SUCCESS;
                }
            }
            if links == 0 {
                // Once more at the door, so that what was told is confirmed.
                door::wait(Some(0));
                return ExitCode::SUCCESS;
            }
        }
        for (link, bytes) in &mut waiting {
            let taken = door::send(*link, bytes) as usize;
            bytes.drain(..taken);
        }
        waiting.retain(|(_, bytes)| !bytes.is_empty());
    }
}

/// Well behaved: standard input to standard output.
fn cat() -> ExitCode {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).expect("input");
    std::io::stdout().write_all(&text).expect("output");
    eprintln!("{} bytes", text.len());
    ExitCode::SUCCESS
}

/// Well behaved: says the lines of its input, and looks at its door when that fails.
fn echo_lines() -> ExitCode {
    for line in std::io::stdin().lines() {
        match line {
            Ok(line) => crate::say(&line),
            Err(_) => {
                println!("input failed");
                break;
            }
        }
    }
    if door::wait(None).iter().any(|event| matches!(event, Event::Stop)) {
        println!("stop");
    }
    ExitCode::SUCCESS
}

/// Asks for more random bytes than anybody needs.
fn resources() -> ExitCode {
    let mut kept = Vec::new();
    for _ in 0..100_000 {
        match std::fs::File::open("/etc/passwd") {
            Ok(file) => kept.push(file),
            Err(_) => continue,
        }
    }
    println!("{} files", kept.len());
    ExitCode::SUCCESS
}

/// What a guest finds: nothing.
fn look_around() -> ExitCode {
    println!("arguments {:?}", std::env::args().collect::<Vec<_>>());
    println!("environment {}", std::env::vars().count());
    for path in ["/", ".", "..", "/etc/passwd", "/proc/self/fd"] {
        println!("{path} {}", std::fs::metadata(path).is_ok() || std::fs::read_dir(path).is_ok());
    }
    println!("socket {}", std::net::TcpStream::connect("127.0.0.1:80").is_ok());
    ExitCode::SUCCESS
}

/// Waits for a link and takes it.
fn first_link() -> u32 {
    loop {
        for event in door::wait(None) {
            if let Event::Opened(delivery) = event {
                return delivery.link;
            }
        }
    }
}
