//! `File`.

use vat::Rights;

use super::{World, with};
use crate::limits::TRANSFER_LIMIT_BYTES;
use crate::problem::Word;
use crate::testing::calls::*;
use crate::testing::collector::pattern;

pub fn reading_says_where_the_file_ends(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        put_file(&all.root, "file", b"0123456789").await;
        let (file, _) = open_file(&client.root, "file", Rights::ALL).await.unwrap();
        for (offset, length, bytes, end) in [
            (0, 4, &b"0123"[..], false),
            (4, 6, b"456789", true),
            (4, 100, b"456789", true),
            (9, 1, b"9", true),
            (10, 5, b"", true),
            (0, 0, b"", false),
            (10, 0, b"", true),
            (u64::MAX, 10, b"", true),
            (i64::MAX as u64, u32::MAX, b"", true),
        ] {
            assert_eq!(read(&file, offset, length).await.unwrap(), (bytes.to_vec(), end), "{offset}+{length}");
        }
    });
}

pub fn a_read_is_at_most_a_mebibyte(make: fn() -> World) {
    with(make, Rights::READ, async |_, all, client| {
        let content = pattern(TRANSFER_LIMIT_BYTES + 10);
        put_file(&all.root, "file", &content).await;
        let (file, _) = open_file(&client.root, "file", Rights::ALL).await.unwrap();
        let (bytes, end) = read(&file, 0, u32::MAX).await.unwrap();
        assert!(bytes == content[..TRANSFER_LIMIT_BYTES] && !end);
        let (bytes, end) = read(&file, TRANSFER_LIMIT_BYTES as u64, u32::MAX).await.unwrap();
        assert!(bytes == content[TRANSFER_LIMIT_BYTES..] && end);
    });
}

pub fn writing_fills_gaps_with_zeros_and_truncating_cuts(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let file = create(&client.root, "file", true).await.unwrap().0;
        write(&file, 3, b"abc").await.unwrap();
        assert_eq!(all_of(&file).await, b"\0\0\0abc");
        write(&file, 1, b"x").await.unwrap();
        truncate(&file, 4).await.unwrap();
        truncate(&file, 6).await.unwrap();
        assert_eq!(all_of(&file).await, b"\0x\0a\0\0");
        sync(&file).await.unwrap();
        assert_eq!(stat_file(&file).await.unwrap().size, 6);
        for offset in [u64::MAX, i64::MAX as u64] {
            assert_eq!(word(write(&file, offset, b"xx").await), is(Word::TooLarge));
        }
        assert_eq!(word(truncate(&file, u64::MAX).await), is(Word::TooLarge));
        assert_eq!(word(write(&file, 0, &vec![0; TRANSFER_LIMIT_BYTES + 1]).await), is(Word::TooLarge));
        write(&file, 0, &pattern(TRANSFER_LIMIT_BYTES)).await.expect("a mebibyte is taken");
        assert!(all_of(&file).await == pattern(TRANSFER_LIMIT_BYTES));
        // Far behind the end, and back.
        write(&file, 5 << 20, b"far").await.unwrap();
        let (bytes, end) = read(&file, (5 << 20) - 3, 10).await.unwrap();
        assert!(bytes == b"\0\0\0far" && end);
        truncate(&file, 2).await.unwrap();
        assert_eq!(all_of(&file).await, &pattern(2)[..]);
    });
}

pub fn appends_go_to_the_end_in_the_order_they_were_made(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let file = create(&client.root, "log", true).await.unwrap().0;
        // All at once; some are long, so that one that overtakes another would be seen.
        let pieces: Vec<Vec<u8>> = (0..100).map(|turn| vec![turn; 1 + usize::from(turn) * 131 % 4_000]).collect();
        let calls: Vec<_> = pieces.iter().map(|piece| append(&file, piece)).collect();
        let late = read(&file, 0, 1 << 20);
        let (offsets, late) = futures::join!(futures::future::join_all(calls), late);
        let mut expected = 0;
        for (offset, piece) in offsets.into_iter().zip(&pieces) {
            assert_eq!(offset.unwrap(), expected);
            expected += piece.len() as u64;
        }
        assert!(all_of(&file).await == pieces.concat());
        assert!(late.unwrap().0 == pieces.concat(), "a read that was sent later sees them all");
        assert_eq!(append(&file, b"").await.unwrap(), expected);
    });
}

pub fn two_references_append_without_writing_over_each_other(make: fn() -> World) {
    with(make, Rights::ALL, async |_, all, client| {
        let one = create(&all.root, "log", true).await.unwrap().0;
        let other = open_file(&client.root, "log", Rights::ALL).await.unwrap().0;
        let calls: Vec<_> =
            (0..200_u8).map(|turn| append(if turn % 2 == 0 { &one } else { &other }, &[turn; 10])).collect();
        let offsets = futures::future::join_all(calls).await;
        let content = all_of(&one).await;
        assert_eq!(content.len(), 2_000);
        for (turn, offset) in (0..200_u8).zip(offsets) {
            let at = usize::try_from(offset.unwrap()).unwrap();
            assert_eq!(content[at..at + 10], [turn; 10]);
        }
    });
}

pub fn an_open_file_stays_itself_when_it_is_removed(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let file = put_file(&client.root, "file", b"still here").await;
        remove(&client.root, "file").await.unwrap();
        put_file(&client.root, "file", b"another").await;
        assert_eq!(all_of(&file).await, b"still here");
        append(&file, b"!").await.unwrap();
        assert_eq!(all_of(&file).await, b"still here!");
        assert_eq!(content(&client.root, "file").await, b"another");
    });
}

pub fn an_open_file_stays_itself_when_it_is_replaced(make: fn() -> World) {
    with(make, Rights::ALL, async |_, _, client| {
        let file = put_file(&client.root, "file", b"old").await;
        put_file(&client.root, "new", b"new").await;
        rename(&client.root, "new", "file", true).await.unwrap();
        write(&file, 0, b"OLD").await.unwrap();
        assert_eq!(all_of(&file).await, b"OLD");
        assert_eq!(content(&client.root, "file").await, b"new");
    });
}

/// Seeded: `LATCH_SEED` sets the seed, which is printed.
pub fn random_writes_are_read_as_in_a_model(make: fn() -> World) {
    const LONGEST: u64 = 200_000;
    let mut random = Random::seeded();
    with(make, Rights::ALL, async |_, _, client| {
        let file = create(&client.root, "file", true).await.unwrap().0;
        let mut model: Vec<u8> = Vec::new();
        for _ in 0..120 {
            let (at, length) = (random.below(LONGEST), random.below(40_000));
            let bytes = vec![random.below(256) as u8; length as usize];
            match random.below(4) {
                0 => {
                    truncate(&file, at).await.unwrap();
                    model.resize(at as usize, 0);
                }
                1 if model.len() as u64 + length <= LONGEST => {
                    assert_eq!(append(&file, &bytes).await.unwrap(), model.len() as u64);
                    model.extend(&bytes);
                }
                _ => {
                    write(&file, at, &bytes).await.unwrap();
                    if !bytes.is_empty() {
                        model.resize(model.len().max((at + length) as usize), 0);
                        model[at as usize..(at + length) as usize].copy_from_slice(&bytes);
                    }
                }
            }
            let (from, length) = (random.below(LONGEST), random.below(40_000) as usize);
            let (bytes, _) = read(&file, from, length as u32).await.unwrap();
            let from = (from as usize).min(model.len());
            assert!(bytes == model[from..model.len().min(from + length)], "at {from}");
        }
        assert!(all_of(&file).await == model);
    });
}

/// SplitMix64 (public domain).
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let set = std::env::var("LATCH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = set.unwrap_or_else(|| u64::from(std::process::id()) << 32 | u64::from(std::line!()));
        println!("LATCH_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
