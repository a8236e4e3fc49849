//! Dates, times and spans, between texts and seconds since 1970.

/// Seconds of a day.
pub const DAY: u64 = 86_400;

/// `2026-02-01`, or `2026-02-01T08:30:00Z`, or with an offset such as `+01:00` instead of `Z`. A
/// date alone is its first moment in UTC. Years before 1970 are none of ours.
pub fn parse(text: &str) -> Option<u64> {
    let date = text.get(..10)?;
    let days = days(date)?;
    let seconds = match &text[10..] {
        "" => 0,
        rest => {
            let rest = rest.strip_prefix(['T', 't', ' '])?;
            let clock = rest.get(..8)?;
            clock_seconds(clock)? - offset(fraction(&rest[8..])?)?
        }
    };
    u64::try_from(days * 86_400 + seconds).ok()
}

/// A span such as `90m`, `12h`, `30d` or `2w`, in seconds; at most a thousand years.
pub fn span(text: &str) -> Option<u64> {
    let digits = text.len().checked_sub(1).filter(|digits| text.is_char_boundary(*digits))?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    let number: u64 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
    number.checked_mul(unit).filter(|seconds| *seconds <= 365_250 * DAY)
}

/// A moment as clocks and calendars show it somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Such as 2026.
    pub year: i64,
    /// 1 is January.
    pub month: u32,
    /// From 1.
    pub day: u32,
    /// From 0, for Monday.
    pub weekday: u32,
    /// From 0 to 23.
    pub hour: u32,
    /// From 0 to 59.
    pub minute: u32,
}

/// What clocks show at a moment, where they are `utc_offset` seconds ahead of UTC.
pub fn civil(seconds: u64, utc_offset: i32) -> Civil {
    let local = i64::try_from(seconds).unwrap_or(i64::MAX / 2) + i64::from(utc_offset);
    let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
    // Counted from 1 March 0000, a year ends with its leap day, and 400 years are always as long.
    let since = days + 719_468;
    let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Civil {
        year: era * 400 + year + i64::from(month <= 2),
        month: month as u32,
        day: day as u32,
        // 1970-01-01 was a Thursday.
        weekday: (days + 3).rem_euclid(7) as u32,
        hour: (second / 3_600) as u32,
        minute: (second / 60 % 60) as u32,
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn days(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    if day < 1 || day > *lengths.get(month)? {
        return None;
    }
    // Leap days in the years before this one, of which 1969 saw 477.
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    Some((year - 1970) * 365 + leap_days + lengths[..month].iter().sum::<i64>() + day - 1)
}

/// Seconds since midnight of `HH:MM:SS`.
fn clock_seconds(clock: &str) -> Option<i64> {
    let [hours, minutes, seconds] = numbers(clock, ':', [2, 2, 2])?;
    (hours < 24 && minutes < 60 && seconds < 60).then_some(hours * 3_600 + minutes * 60 + seconds)
}

/// What follows parts of a second, which do not matter here.
fn fraction(text: &str) -> Option<&str> {
    match text.strip_prefix('.') {
        None => Some(text),
        Some(rest) => {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (after.len() < rest.len()).then_some(after)
        }
    }
}

/// Seconds east of Greenwich of `Z`, `+HH:MM` or `-HH:MM`.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let [hours, minutes] = numbers(rest, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Exactly `N` numbers with exactly these many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1972-03-01", 68_256_000),
            ("2000-02-29", 951_782_400),
            ("2026-02-01", 1_769_904_000),
            ("2026-02-01T00:00:00Z", 1_769_904_000),
            ("2026-02-01T01:00:00+01:00", 1_769_904_000),
            ("2026-01-31T19:00:00.250-05:00", 1_769_904_000),
            ("2100-03-01", 4_107_542_400),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_was_read_is_shown_again() {
        for date in ["1970-01-01", "1999-12-31", "2000-02-29", "2024-12-31", "2026-03-01", "2100-02-28"] {
            let Civil { year, month, day, .. } = civil(parse(date).unwrap() + 86_399, 0);
            assert_eq!(format!("{year:04}-{month:02}-{day:02}"), date);
        }
    }

    #[test]
    fn clocks_elsewhere_show_another_time_and_perhaps_another_day() {
        let moment = parse("2026-02-01T00:30:00Z").unwrap();
        let shown = |offset| {
            let Civil { month, day, weekday, hour, minute, .. } = civil(moment, offset);
            (month, day, weekday, hour, minute)
        };
        assert_eq!(shown(0), (2, 1, 6, 0, 30));
        assert_eq!(shown(-3_600), (1, 31, 5, 23, 30));
        assert_eq!(shown(19_800), (2, 1, 6, 6, 0));
    }

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(["90m", "1h", "30d", "2w"].map(span), [5_400, 3_600, 30 * DAY, 14 * DAY].map(Some));
        for text in ["", "d", "30", "-1d", "+1d", "1.5d", "30é", "99999999999d", "1y"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "soon",
            "2026-02-30",
            "2026-13-01",
            "2026-2-1",
            "2025-02-29",
            "2026-02-01T",
            "2026-02-01T00:00:00",
            "2026-02-01T24:00:00Z",
            "2026-02-01T00:00:00.Z",
            "1969-12-31",
            "2026-02-0é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
