//! How long to wait before asking again.

use std::time::Duration;

use jiff::Timestamp;

/// No wait is longer, unless Apple asks for it or the first one was.
pub const LONGEST: Duration = Duration::from_secs(120);

/// How long to wait before the `nth` repetition, counted from 1: twice as long as before the one
/// before it, beginning with `base` and up to [`LONGEST`]. Half of it is fixed; the rest is left to
/// `random`, between 0 and 1, so that those who failed together do not come back together.
/// Where Apple `asked` to be left alone for longer, that long, and as much more as chance says.
pub fn pause(base: Duration, nth: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = base.saturating_mul(1_u32.checked_shl(nth.saturating_sub(1)).unwrap_or(u32::MAX));
    let full = doubled.min(LONGEST.max(base));
    let chance = (full / 2).mul_f64(if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) });
    match asked {
        Some(asked) if asked >= full / 2 => asked.saturating_add(chance),
        _ => full / 2 + chance,
    }
}

/// The value of `Retry-After`, in seconds or as a date.
pub(crate) fn asked(value: &str, now: Timestamp) -> Option<Duration> {
    // Longer than this is a mistake, and would overflow what it is added to.
    const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(date(value)?.duration_since(now)).unwrap_or_default(),
    };
    Some(wait.min(LONGEST))
}

/// A date as HTTP writes it. (RFC 9110, section 5.6.7; its obsolete forms nobody sends any more.)
pub(super) fn date(value: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The first pauses, with the least and the most that chance can say.
    #[track_caller]
    fn check(base: &str, asked: Option<u64>, expected: Expect) {
        let base = base.parse::<domain::duration::Span>().unwrap().0;
        let pause = |nth, random| pause(base, nth, asked.map(Duration::from_secs), random);
        let line = |nth| format!("{nth}: {:?} to {:?}\n", pause(nth, 0.0), pause(nth, 1.0));
        expected.assert_eq(&[1, 2, 3, 20, u32::MAX].map(line).concat());
    }

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_a_limit() {
        check(
            "10s",
            None,
            expect![[r#"
                1: 5s to 10s
                2: 10s to 20s
                3: 20s to 40s
                20: 60s to 120s
                4294967295: 60s to 120s
            "#]],
        );
    }

    #[test]
    fn a_longer_first_pause_is_its_own_limit() {
        check(
            "10m",
            None,
            expect![[r#"
                1: 300s to 600s
                2: 300s to 600s
                3: 300s to 600s
                20: 300s to 600s
                4294967295: 300s to 600s
            "#]],
        );
    }

    #[test]
    fn apples_wish_is_the_least() {
        check(
            "10s",
            Some(30),
            expect![[r#"
                1: 30s to 35s
                2: 30s to 40s
                3: 30s to 50s
                20: 60s to 120s
                4294967295: 60s to 120s
            "#]],
        );
        check(
            "10ms",
            Some(600),
            expect![[r#"
                1: 600s to 600.005s
                2: 600s to 600.01s
                3: 600s to 600.02s
                20: 600s to 660s
                4294967295: 600s to 660s
            "#]],
        );
    }

    #[test]
    fn no_number_overflows() {
        let longest = Duration::MAX;
        for random in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 2.0, 0.5] {
            for nth in [0, 1, 31, 32, 33, u32::MAX] {
                for base in [Duration::ZERO, Duration::from_secs(1), longest / 4] {
                    for asked in [None, Some(Duration::ZERO), Some(longest)] {
                        let pause = pause(base, nth, asked, random);
                        assert!(pause >= asked.unwrap_or_default(), "{base:?} {nth} {asked:?} {random}");
                    }
                }
            }
        }
        assert_eq!(pause(Duration::from_secs(10), 0, None, f64::NAN), Duration::from_secs(5));
    }

    #[test]
    fn apple_may_ask_to_be_left_alone_in_seconds_or_until_a_date() {
        let now: Timestamp = "2026-01-09T09:13:20Z".parse().unwrap();
        let values = [
            "120",
            " 0 ",
            "Fri, 09 Jan 2026 09:15:20 GMT",
            "Fri, 09 Jan 2026 09:00:00 GMT",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "1.5",
            "soon",
            "",
        ];
        let waits: Vec<String> =
            values.iter().map(|value| format!("{value}: {:?}\n", asked(value, now))).collect();
        expect![[r#"
            120: Some(120s)
             0 : Some(0ns)
            Fri, 09 Jan 2026 09:15:20 GMT: Some(120s)
            Fri, 09 Jan 2026 09:00:00 GMT: Some(0ns)
            18446744073709551615: Some(2592000s)
            18446744073709551616: None
            -1: None
            1.5: None
            soon: None
            : None
        "#]]
        .assert_eq(&waits.concat());
    }
}
