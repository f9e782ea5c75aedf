//! The guest's loop and its links at a door that a test plays.

use super::bound::{CREDIT_STEP_BYTES, OUTPUT_EARLY_BYTES};
use super::*;
use crate::door::{Badge, Carries, Lease, Peer, Role};
use crate::link::Ending;
use crate::transport::Transport;
use crate::words::{EndReason, Rights};
use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

/// What a test plays, and what it saw.
#[derive(Default)]
struct Play {
    /// What each `wait` brings, one after the other.
    turns: VecDeque<Vec<Event>>,
    /// What each `send` takes at most; all where none is left.
    takes: VecDeque<usize>,
    cut: BTreeSet<u32>,
    seen: Vec<String>,
    sent: Vec<u8>,
}

#[derive(Clone, Default)]
struct Stage(Rc<RefCell<Play>>);

impl Stage {
    fn new(turns: impl IntoIterator<Item = Vec<Event>>) -> Stage {
        let stage = Stage::default();
        stage.0.borrow_mut().turns.extend(turns);
        stage
    }

    fn see(&self, what: impl Into<String>) {
        self.0.borrow_mut().seen.push(what.into());
    }

    fn seen(&self) -> String {
        self.0.borrow().seen.join(", ")
    }

    fn door(&self) -> Box<dyn HostDoor> {
        Box::new(self.clone())
    }
}

impl HostDoor for Stage {
    fn wait(&mut self, timeout: Option<Duration>) -> Vec<Event> {
        self.see(if timeout.is_some() { "wait a while" } else { "wait" });
        let turn = self.0.borrow_mut().turns.pop_front();
        match (turn, timeout) {
            (Some(turn), _) => turn,
            (None, Some(time)) => {
                std::thread::sleep(time);
                Vec::new()
            }
            (None, None) => Vec::new(),
        }
    }

    fn send(&mut self, link: u32, bytes: &[u8]) -> usize {
        let mut play = self.0.borrow_mut();
        let count = play.takes.pop_front().unwrap_or(usize::MAX).min(bytes.len());
        play.sent.extend_from_slice(&bytes[..count]);
        play.seen.push(format!("send {count} of {} on {link}", bytes.len()));
        count
    }

    fn open_window(&mut self, link: u32, bytes: u32) {
        self.see(format!("credit {bytes} on {link}"));
    }

    fn closed(&mut self, link: u32) -> bool {
        self.0.borrow().cut.contains(&link)
    }

    fn close(&mut self, link: u32) {
        self.see(format!("close {link}"));
    }
}

fn opened(link: u32) -> Event {
    let badge = Badge {
        object: String::new(),
        accounts: Vec::new(),
        grant: 1,
        interface: 7,
        rights: Rights::ALL,
        expires_at_ms: 0,
        calls: Lease::UNLIMITED,
        bytes: Lease::UNLIMITED,
        methods: Vec::new(),
        peer: Peer::Service,
        holder: String::new(),
    };
    Event::Opened(Opened {
        link,
        role: Role::Client,
        carries: Carries::Grant,
        label: format!("label {link}"),
        badge: badge.encode().unwrap(),
        window: 0,
    })
}

fn bytes(link: u32, bytes: &[u8]) -> Event {
    Event::Bytes { link, bytes: bytes.to_vec() }
}

fn closed(link: u32, reason: EndReason) -> Event {
    Event::Closed { link, ending: Ending { reason, detail: String::new() } }
}

async fn stream(guest: &Guest) -> Stream {
    match guest.next().await {
        Arrival::Link(delivery) => delivery.stream,
        other => panic!("{other:?}"),
    }
}

async fn read(stream: &mut Stream, limit_bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; limit_bytes];
    let count = poll_fn(|context| stream.poll_read(context, &mut buffer)).await.unwrap();
    buffer.truncate(count);
    buffer
}

async fn write_all(stream: &mut Stream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|context| stream.poll_write(context, &[IoSlice::new(bytes)])).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

#[test]
fn a_link_carries_bytes_in_order_and_ends() {
    let first = vec![opened(3), bytes(3, b"ab"), bytes(3, b"cd")];
    let stage = Stage::new([first, vec![bytes(3, b"e"), closed(3, EndReason::Revoked)]]);
    run(stage.door(), async |guest: Guest| {
        let mut stream = stream(&guest).await;
        let watch = stream.watch();
        assert_eq!(read(&mut stream, 3).await, b"abc", "pieces are joined and cut as asked");
        assert_eq!(read(&mut stream, 9).await, b"d");
        assert_eq!(watch.ending(), None);
        assert_eq!(read(&mut stream, 9).await, b"e", "what came before the end is read");
        assert_eq!(read(&mut stream, 9).await, b"");
        assert_eq!(watch.ending().unwrap().reason, EndReason::Revoked);
        assert!(watch.is_hung_up());
        let error = write_all(&mut stream, b"x").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    })
    .unwrap();
}

#[test]
fn everything_that_was_written_in_a_turn_goes_out_at_once() {
    let stage = Stage::new([vec![opened(1), opened(2)]]);
    run(stage.door(), async |guest: Guest| {
        let (mut one, mut two) = (stream(&guest).await, stream(&guest).await);
        for _ in 0..10 {
            write_all(&mut one, b"1").await.unwrap();
            write_all(&mut two, b"22").await.unwrap();
        }
        guest.sleep(Duration::from_millis(1)).await;
    })
    .unwrap();
    let credit = format!("credit {INPUT_WINDOW_BYTES} on");
    assert_eq!(
        stage.seen(),
        format!("wait, {credit} 1, {credit} 2, send 10 of 10 on 1, send 20 of 20 on 2, wait a while, close 1, close 2")
    );
}

#[test]
fn much_output_goes_out_early_and_a_full_link_makes_its_writer_wait() {
    let stage = Stage::new([vec![opened(1)], vec![Event::Room(1)]]);
    stage.0.borrow_mut().takes.extend([0]);
    let content: Vec<u8> = (0..OUTPUT_LIMIT_BYTES + 10).map(|number| (number % 251) as u8).collect();
    let written = content.clone();
    run(stage.door(), async move |guest: Guest| {
        let mut stream = stream(&guest).await;
        for piece in written.chunks(1000) {
            write_all(&mut stream, piece).await.unwrap();
        }
    })
    .unwrap();
    let (seen, early) = (stage.seen(), OUTPUT_EARLY_BYTES.next_multiple_of(1000));
    assert!(
        seen.contains(&format!("send 0 of {early} on 1, wait, send {OUTPUT_LIMIT_BYTES} of {OUTPUT_LIMIT_BYTES} on 1")),
        "{seen}"
    );
    assert!(stage.0.borrow().sent == content, "all of it in order");
}

#[test]
fn credit_is_given_back_as_input_is_read_and_not_before() {
    let piece = vec![7; CREDIT_STEP_BYTES as usize];
    let stage = Stage::new([vec![opened(1), bytes(1, &piece)], vec![bytes(1, b"x")], vec![bytes(1, b"y")]]);
    run(stage.door(), async |guest: Guest| {
        let mut stream = stream(&guest).await;
        guest.sleep(Duration::ZERO).await;
        read(&mut stream, 10).await;
        read(&mut stream, 10).await;
        let mut left = CREDIT_STEP_BYTES as usize - 20;
        while left > 0 {
            left -= read(&mut stream, left).await.len();
        }
        assert_eq!(read(&mut stream, 9).await, b"x");
        assert_eq!(read(&mut stream, 9).await, b"y");
    })
    .unwrap();
    let seen = stage.seen();
    assert_eq!(seen.matches("credit").count(), 2, "{seen}");
    assert!(seen.contains(&format!("credit {CREDIT_STEP_BYTES} on 1, wait")), "{seen}");
}

#[test]
fn a_cut_is_seen_before_anything_is_read() {
    let stage = Stage::new([vec![opened(1), bytes(1, b"waiting")]]);
    let play = stage.clone();
    run(stage.door(), async move |guest: Guest| {
        let stream = stream(&guest).await;
        assert!(!stream.is_hung_up());
        play.0.borrow_mut().cut.insert(1);
        assert!(stream.is_hung_up());
        play.0.borrow_mut().cut.clear();
        assert!(stream.is_hung_up(), "what was cut stays cut");
    })
    .unwrap();
}

#[test]
fn what_comes_for_a_link_that_was_let_go_of_is_dropped() {
    let stage = Stage::new([vec![opened(1)], vec![bytes(1, b"late"), closed(1, EndReason::Closed), Event::Stop]]);
    run(stage.door(), async |guest: Guest| {
        drop(stream(&guest).await);
        assert!(matches!(guest.next().await, Arrival::Stop));
    })
    .unwrap();
    assert!(stage.seen().contains("close 1"), "{}", stage.seen());
}

#[test]
fn a_link_that_is_let_go_of_sends_its_last_output_first() {
    let stage = Stage::new([vec![opened(1)], vec![Event::Room(1)], vec![Event::Stop]]);
    stage.0.borrow_mut().takes.extend([2]);
    run(stage.door(), async |guest: Guest| {
        let mut stream = stream(&guest).await;
        write_all(&mut stream, b"last").await.unwrap();
        drop(stream);
        assert!(matches!(guest.next().await, Arrival::Stop));
    })
    .unwrap();
    assert!(stage.seen().ends_with("send 2 of 4 on 1, wait, send 2 of 2 on 1, close 1, wait"), "{}", stage.seen());
}

#[test]
fn a_badge_that_cannot_be_read_makes_no_link() {
    let Event::Opened(opened) = opened(1) else { unreachable!() };
    let broken = Event::Opened(Opened { badge: vec![1, 2, 3], ..opened });
    let stage = Stage::new([vec![broken, Event::Stop]]);
    run(stage.door(), async |guest: Guest| assert!(matches!(guest.next().await, Arrival::Stop))).unwrap();
    assert_eq!(stage.seen(), "wait, close 1");
}

#[test]
fn arrivals_keep_their_order() {
    let notice = HostNotice {
        label: "a".to_owned(),
        ending: Ending { reason: EndReason::Restarted, detail: "again".to_owned() },
    };
    let stage = Stage::new([vec![Event::Notice(notice.clone()), opened(2), Event::Stop]]);
    run(stage.door(), async move |guest: Guest| {
        assert!(matches!(guest.next().await, Arrival::Notice(seen) if seen == notice));
        assert!(matches!(guest.next().await, Arrival::Link(delivery) if delivery.label == "label 2"));
        assert!(matches!(guest.next().await, Arrival::Stop));
    })
    .unwrap();
}

#[test]
fn where_nothing_can_happen_any_more_the_loop_ends() {
    let stage = Stage::new([vec![opened(1)]]);
    let ended = run(stage.door(), async |guest: Guest| {
        let mut stream = stream(&guest).await;
        read(&mut stream, 1).await
    });
    assert_eq!(ended, Err(Stalled));
    assert_eq!(stage.seen(), format!("wait, credit {INPUT_WINDOW_BYTES} on 1, wait"));
}

#[test]
fn the_door_is_waited_at_no_longer_than_the_earliest_timer() {
    let stage = Stage::new([]);
    run(stage.door(), async |guest: Guest| {
        // a timer that is dropped is not waited for
        assert_eq!(futures::future::poll_immediate(guest.sleep(Duration::from_secs(3600))).await, None);
        guest.sleep(Duration::from_millis(2)).await;
    })
    .unwrap();
    assert_eq!(stage.seen(), "wait a while");
}

#[test]
fn tasks_run_beside_the_main_one_and_end_with_it() {
    let stage = Stage::new([]);
    let seen = stage.clone();
    run(stage.door(), async move |guest: Guest| {
        let task = seen.clone();
        guest.spawn(async move { task.see("beside") });
        guest.spawn(std::future::pending());
        guest.sleep(Duration::ZERO).await;
        guest.sleep(Duration::from_millis(1)).await;
    })
    .unwrap();
    assert_eq!(stage.seen(), "beside, wait a while");
}
