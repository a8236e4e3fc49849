//! When a plugin that keeps failing is left alone, and for how long.
//!
//! A plugin that fails on everything costs every run the time of its limits and tells people
//! nothing new. After a few batches in a row it rests, for that token and no other; then one batch is tried, and if that fails
//! too it rests for twice as long. One answer is enough to be trusted again.

use std::time::Duration;

use jiff::Timestamp;

/// So many batches of a token in a row, across runs, are failed on entirely before a plugin rests.
pub const PATIENCE: u32 = 3;
/// The first rest; each that follows is twice as long.
pub const SHORTEST: Duration = Duration::from_secs(15 * 60);
/// No rest is longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// How a plugin did lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Batches in a row that it failed on entirely.
    pub failures: u32,
    /// How often it has rested since it worked last.
    pub rests: u32,
    /// When the last of these rests ends, or ended.
    pub until: Option<Timestamp>,
    /// How it failed last.
    pub why: String,
}

impl Health {
    /// Whether it is left alone now; until when.
    pub fn rests_at(&self, now: Timestamp) -> Option<Timestamp> {
        // What seems to be longer was begun under a clock that ran ahead, and was set right since.
        let longest = now.checked_add(LONGEST).unwrap_or(Timestamp::MAX);
        self.until.filter(|until| (now < *until) && (*until <= longest))
    }

    /// It failed on a whole batch. True if it has to rest for that, for the first time since it worked.
    pub fn failed(&mut self, why: &str, now: Timestamp) -> bool {
        self.failures = self.failures.saturating_add(1);
        why.clone_into(&mut self.why);
        if self.failures < PATIENCE || self.rests_at(now).is_some() {
            return false;
        }
        let longer = SHORTEST.saturating_mul(2_u32.saturating_pow(self.rests.min(16)));
        self.until = Some(now.checked_add(longer.min(LONGEST)).unwrap_or(Timestamp::MAX));
        self.rests = self.rests.saturating_add(1);
        self.rests == 1
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Batches that fail at these minutes: when the plugin rests after each.
    #[track_caller]
    fn check(minutes: &[i64], expected: Expect) {
        let begin: Timestamp = "2026-01-09T09:00:00Z".parse().unwrap();
        let (mut health, mut found) = (Health::default(), String::new());
        for minute in minutes {
            let now = begin + Duration::from_secs(u64::try_from(minute * 60).unwrap());
            let news = if health.failed("it trapped", now) { ", news" } else { "" };
            let rests = health.rests_at(now).map_or("no rest".to_owned(), |until| format!("until {until}"));
            found += &format!("{minute}: {rests}{news}\n");
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn two_batches_are_forgiven_and_the_third_is_not() {
        check(
            &[0, 15, 30],
            expect![[r#"
            0: no rest
            15: no rest
            30: until 2026-01-09T09:45:00Z, news
        "#]],
        );
    }

    #[test]
    fn after_a_rest_one_batch_is_enough_for_one_twice_as_long() {
        check(
            &[0, 0, 0, 15, 45, 105],
            expect![[r#"
            0: no rest
            0: no rest
            0: until 2026-01-09T09:15:00Z, news
            15: until 2026-01-09T09:45:00Z
            45: until 2026-01-09T10:45:00Z
            105: until 2026-01-09T12:45:00Z
        "#]],
        );
    }

    #[test]
    fn no_rest_is_longer_than_a_day() {
        let days: Vec<i64> = (0..12).map(|day| day * 24 * 60).collect();
        check(
            &days,
            expect![[r#"
            0: no rest
            1440: no rest
            2880: until 2026-01-11T09:15:00Z, news
            4320: until 2026-01-12T09:30:00Z
            5760: until 2026-01-13T10:00:00Z
            7200: until 2026-01-14T11:00:00Z
            8640: until 2026-01-15T13:00:00Z
            10080: until 2026-01-16T17:00:00Z
            11520: until 2026-01-18T01:00:00Z
            12960: until 2026-01-19T09:00:00Z
            14400: until 2026-01-20T09:00:00Z
            15840: until 2026-01-21T09:00:00Z
        "#]],
        );
    }

    #[test]
    fn a_clock_that_is_set_back_by_years_ends_a_rest() {
        let year = 365 * 24 * 60;
        check(
            &[year, year, year, 0, 1],
            expect![[r#"
                525600: no rest
                525600: no rest
                525600: until 2027-01-09T09:15:00Z, news
                0: until 2026-01-09T09:30:00Z
                1: until 2026-01-09T09:30:00Z
            "#]],
        );
    }

    #[test]
    fn what_was_under_way_when_the_rest_began_makes_it_no_longer() {
        check(
            &[0, 0, 0, 1, 2],
            expect![[r#"
            0: no rest
            0: no rest
            0: until 2026-01-09T09:15:00Z, news
            1: until 2026-01-09T09:15:00Z
            2: until 2026-01-09T09:15:00Z
        "#]],
        );
    }
}
