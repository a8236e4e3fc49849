//! Dates and times in settings, as seconds since 1970.

/// `2026-02-01`, or `2026-02-01T08:30:00Z`, or with an offset such as `+01:00` instead of `Z`. A
/// date alone is its first moment in UTC. Years before 1970 are none of ours.
pub(crate) fn parse(text: &str) -> Option<u64> {
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
