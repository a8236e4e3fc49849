//! What a value has to be.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::glob::{Glob, is_pattern};
use crate::time;

/// What a value has to be.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// One of these texts, or something one of these patterns fits.
    Texts { exact: Texts, globs: Vec<Glob> },
    /// A number from one to the other.
    Numbers { min: f64, max: f64 },
    /// A moment that each of these is true of.
    Dates(Vec<Date>),
    /// Anything at all, rather than nothing.
    Known,
}

/// Something to say of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Date {
    /// This moment or later.
    After(u64),
    /// Earlier than this moment.
    Before(u64),
    /// At least so long ago.
    OlderThan(u64),
    /// Not that long ago, or still to come.
    NewerThan(u64),
    /// Still to come, but in less than that.
    Within(u64),
}

impl Wanted {
    /// Any of these texts and patterns.
    pub(super) fn any_of(texts: impl ExactSizeIterator<Item = &'static str>) -> Self {
        let mut exact = Texts::with_capacity_and_hasher(texts.len(), BuildHasherDefault::default());
        let mut globs = Vec::new();
        for text in texts {
            match is_pattern(text) {
                true => globs.push(Glob::new(text)),
                false => _ = exact.insert(Caseless(text)),
            }
        }
        Self::Texts { exact, globs }
    }

    /// Whether what fits at one time may not fit at another.
    pub(super) fn looks_at_the_time(&self) -> bool {
        match self {
            Self::Texts { .. } | Self::Numbers { .. } | Self::Known => false,
            Self::Dates(wanted) => wanted.iter().any(|date| match date {
                Date::After(_) | Date::Before(_) => false,
                Date::OlderThan(_) | Date::NewerThan(_) | Date::Within(_) => true,
            }),
        }
    }

    pub(super) fn fits_text(&self, text: &str, now: u64) -> bool {
        match self {
            Self::Texts { exact, globs } => {
                contains(exact, text) || globs.iter().any(|glob| glob.matches(text))
            }
            Self::Numbers { min, max } => {
                number(text.trim()).is_some_and(|number| *min <= number && number <= *max)
            }
            Self::Known => !text.is_empty(),
            Self::Dates(_) => self.fits_date(time::parse(text.trim()), now),
        }
    }

    pub(super) fn fits_date(&self, date: Option<u64>, now: u64) -> bool {
        match self {
            Self::Dates(wanted) => date.is_some_and(|date| wanted.iter().all(|it| it.fits(date, now))),
            Self::Known => date.is_some(),
            Self::Texts { .. } | Self::Numbers { .. } => false,
        }
    }
}

/// `12`, `-3` or `4.5`. What else a programmer may call a number is text to everybody else: an asset tag
/// `1E3`, a room `INF`.
fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
    if text.bytes().all(plain) { text.parse().ok() } else { None }
}

impl Date {
    fn fits(self, date: u64, now: u64) -> bool {
        match self {
            Self::After(moment) => date >= moment,
            Self::Before(moment) => date < moment,
            Self::OlderThan(span) => date.saturating_add(span) <= now,
            Self::NewerThan(span) => date.saturating_add(span) > now,
            Self::Within(span) => date >= now && date < now.saturating_add(span),
        }
    }
}

/// Texts to be found in one look, whatever the case of A–Z: a rule may list thousands of serial
/// numbers, and is read anew for each call.
type Texts = HashSet<Caseless<'static>, BuildHasherDefault<Fnv>>;

/// Whether a text is among these, which live longer than it.
fn contains<'a>(texts: &HashSet<Caseless<'a>, BuildHasherDefault<Fnv>>, text: &'a str) -> bool {
    texts.contains(&Caseless(text))
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Caseless<'a>(&'a str);

impl PartialEq for Caseless<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for Caseless<'_> {}

impl Hash for Caseless<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for byte in self.0.bytes() {
            hasher.write_u8(byte.to_ascii_lowercase());
        }
    }
}

/// Fowler, Noll and Vo's hash: a multiplication for each byte, which suits short texts. Nobody
/// gains by making an operator's own list slow.
#[derive(Clone, Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
