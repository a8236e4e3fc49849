//! A time as people type it: an instant, a day, or how long from now.

use std::str::FromStr;

use domain::duration::Span;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A time, as it was typed.
#[derive(Clone, Debug)]
pub(crate) enum Moment {
    /// This very instant.
    At(Timestamp),
    /// So long before now, or after it.
    Away(Span),
}

impl Moment {
    /// The instant.
    pub(crate) fn before(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => *at,
            Self::Away(span) => now.checked_sub(span.0).unwrap_or(Timestamp::MIN),
        }
    }

    /// The instant, if it is to be in the future.
    pub(crate) fn after(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => *at,
            Self::Away(span) => now.checked_add(span.0).unwrap_or(Timestamp::MAX),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        // Without an offset, as the clock on the wall here shows it.
        let here = |time: DateTime| time.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp());
        let shown = text.strip_suffix(" UTC").map(|text| format!("{}:00Z", text.replace(' ', "T")));
        let at = text.parse().ok();
        let at = at.or_else(|| shown?.parse().ok());
        let at = at.or_else(|| here(text.parse::<DateTime>().ok()?));
        let at = at.or_else(|| here(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())));
        match (at, text.parse()) {
            (Some(at), _) => Ok(Self::At(at)),
            (None, Ok(span)) => Ok(Self::Away(span)),
            (None, Err(_)) => Err(format!(
                "`{text}` is no time; write one such as 2026-02-01T09:00:00Z, a day such as 2026-02-01, or how long \
                 before now or after it, such as 90m or 2d"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let now = "2026-02-03T12:00:00Z".parse().unwrap();
        let found = match text.parse::<Moment>() {
            Ok(moment) => moment.before(now).to_string(),
            Err(error) => error,
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn an_instant_and_how_long_ago_are_times() {
        check("2026-02-01T09:00:00+02:00", expect!["2026-02-01T07:00:00Z"]);
        check("2026-02-01 09:00 UTC", expect!["2026-02-01T09:00:00Z"]);
        check("36h", expect!["2026-02-02T00:00:00Z"]);
    }

    #[test]
    fn anything_else_is_told_what_is() {
        check(
            "yesterday",
            expect![
                "`yesterday` is no time; write one such as 2026-02-01T09:00:00Z, a day such as 2026-02-01, or how long before now or after it, such as 90m or 2d"
            ],
        );
    }
}
