//! Chance that can be repeated: the same seed rolls the same, on every machine and in every version.

/// Dice that roll the same again after the same seed.
#[derive(Debug, Default)]
pub(crate) struct Dice {
    seed: u64,
    rolled: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, rolled: 0 }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// At least 0, less than 1.
    pub(crate) fn roll(&mut self) -> f64 {
        self.rolled += 1;
        // The 53 bits that a float can tell apart.
        (mix(mix(self.seed) ^ self.rolled) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// SplitMix64.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
