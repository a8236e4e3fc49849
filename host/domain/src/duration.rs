//! Spans of time as people write them: `90s`, `15m`, `24h`, `30d`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time, in whole milliseconds, as written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || match spelled_out(text) {
            Some(short) => format!("`{text}` is not a span of time: write `{short}`"),
            None => format!("`{text}` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`"),
        };
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (_, length) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
            total = number.checked_mul(*length).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
            rest = rest[letters..].trim_start();
        }
        // A century: beyond it, adding the span to a date could leave the calendar.
        if total > 36_525 * 86_400_000 { Err(wrong()) } else { Ok(Self(Duration::from_millis(total))) }
    }
}

/// How to write what is a span in plain English, such as `20 minutes`.
fn spelled_out(text: &str) -> Option<String> {
    let text = text.trim();
    let letters = text.find(|c: char| c.is_alphabetic())?;
    let number: u64 = text[..letters].trim().parse().ok()?;
    let (number, unit) = match text[letters..].to_ascii_lowercase().as_str() {
        "second" | "seconds" | "sec" | "secs" => (number, "s"),
        "minute" | "minutes" | "min" | "mins" => (number, "m"),
        "hour" | "hours" | "hr" | "hrs" => (number, "h"),
        "day" | "days" => (number, "d"),
        "week" | "weeks" | "w" => (number.checked_mul(7)?, "d"),
        _ => return None,
    };
    let short = format!("{number}{unit}");
    short.parse::<Span>().is_ok().then_some(short)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis() as u64;
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in UNITS {
            // `36h` reads better than `1d12h`; days are for whole days.
            if unit == "d" && !rest.is_multiple_of(length) {
                continue;
            }
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&text.parse::<Span>().map_or_else(|error| error, |span| span.to_string()));
    }

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        check("90s", expect!["1m30s"]);
    }

    #[test]
    fn units_add_up() {
        check("1h30m", expect!["1h30m"]);
    }

    #[test]
    fn days_are_for_whole_days() {
        check("14d", expect!["14d"]);
        check("1d 12h", expect!["36h"]);
    }

    #[test]
    fn a_bare_number_is_no_span() {
        check("90", expect!["`90` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`"]);
    }

    #[test]
    fn a_span_in_plain_words_is_told_how_to_write_it() {
        check("20 minutes", expect!["`20 minutes` is not a span of time: write `20m`"]);
        check("2 Weeks", expect!["`2 Weeks` is not a span of time: write `14d`"]);
        check(
            "99999999999 days",
            expect!["`99999999999 days` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`"],
        );
    }

    #[test]
    fn a_span_that_leaves_the_calendar_is_refused() {
        check(
            "99999999999d",
            expect!["`99999999999d` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`"],
        );
    }
}
