//! Where the kills come is drawn from a seed, so that a run that found something can be had again.

/// Draws numbers from a seed (SplitMix64: every seed is as good as any other).
pub struct Draw(u64);

impl Draw {
    /// The seed of this run with a mark that keeps the draws of one test apart from another's: `$LATCH_SEED`, else a fixed
    /// one. It is printed, and shown where the test fails.
    #[must_use]
    pub fn of(mark: u64) -> Self {
        let seed = std::env::var("LATCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_SEED);
        println!("LATCH_SEED={seed}");
        Self(seed ^ mark.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// From 0 up to but not including `end`.
    ///
    /// # Panics
    /// Where there is nothing below it.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % end as u64).expect("below a usize")
    }

    /// Another one, whose draws do not change what this one draws.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.below(usize::MAX) as u64)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What nobody asked otherwise: the same on every machine and every day, so that a test fails because of a change.
const DEFAULT_SEED: u64 = 20_261_120;

/// How many times as long as usual: `$LATCH_CRASH_ROUNDS`.
#[must_use]
pub fn rounds() -> usize {
    std::env::var("LATCH_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
