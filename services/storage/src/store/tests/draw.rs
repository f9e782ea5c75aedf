//! Numbers from a seed.

/// What nobody asked otherwise: the same on every machine and every day.
const DEFAULT_SEED: u64 = 20_261_128;

/// The seed of this run, which is printed.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("LATCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SEED);
    println!("LATCH_SEED={seed}");
    seed
}

/// Draws numbers from a seed (SplitMix64: every seed is as good as any other).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    /// From 0 up to but not including `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % end as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}
