//! Bytes as somebody hostile sends them: good ones, changed at random. The seed is printed, so that a run that found
//! something can be had again.
#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]

/// What nobody asked otherwise: the same on every machine and every day, so that a test fails because of a change.
const DEFAULT_SEED: u64 = 20_261_121;

/// Words in which implementations go wrong.
const WORDS: [u32; 10] =
    [0, 1, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_fffe, u32::MAX, 0x0001_0000, 0x2000_0001];

/// Changes bytes.
pub struct Mutator(u64);

impl Mutator {
    /// By `$LATCH_SEED`, or by the seed of every day.
    pub fn new() -> Mutator {
        let seed = std::env::var("LATCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SEED);
        println!("LATCH_SEED={seed}");
        Mutator(seed)
    }

    /// From 0 up to but not including `end` (SplitMix64: every seed is as good as any other).
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed % end as u64) as usize
    }

    /// One of these, changed in one to four places.
    pub fn change(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = good[self.below(good.len())].clone();
        for _ in 0..=self.below(4) {
            self.change_once(&mut bytes, good);
        }
        bytes
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, good: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        match self.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.below(256) as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            // A whole word, where words are: lengths, offsets, ids.
            3 if bytes.len() >= 4 => {
                let at = self.below(bytes.len() / 4) * 4;
                bytes[at..at + 4].copy_from_slice(&WORDS[self.below(WORDS.len())].to_le_bytes());
            }
            4 if bytes.len() >= 16 => {
                let (from, to) = (self.below(bytes.len() / 8) * 8, self.below(bytes.len() / 8) * 8);
                bytes.copy_within(from..from + 8, to);
            }
            5 => {
                let other = &good[self.below(good.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.below(other.len())..]);
            }
            _ => bytes.extend(std::iter::repeat_n(0, self.below(64))),
        }
    }
}
