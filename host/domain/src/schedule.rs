//! When a workflow is due.
//!
//! The `cron` crate reads the expression; the times are ours. It is only ever asked about civil
//! time, because around a change of clocks it loses hours, repeats them, and answers out of order.
//! From civil time to an instant there is one documented rule:
//!
//! - a time that the clocks skip is due at the first instant after the gap;
//! - a time that comes twice is due once, the first time, unless the expression runs through all
//!   hours (its hour field begins with `*`): then both.

use std::str::FromStr;
use std::time::Duration;

use chrono::TimeZone as _;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Times that come back, in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    expression: Expression,
    timezone: TimeZone,
}

/// A cron expression: five fields, six with seconds, seven with years, or a name like `@daily`.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    times: cron::Schedule,
    through_all_hours: bool,
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let spelled_out = match text {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * sun",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let mut fields: Vec<String> = spelled_out.split_whitespace().map(str::to_owned).collect();
        match fields.len() {
            // The parser wants seconds.
            5 => fields.insert(0, "0".to_owned()),
            6 | 7 => {}
            count => {
                return Err(format!(
                    "a cron expression has five fields (minute hour day month weekday), six with seconds in front, \
                     or seven with years behind; this one has {count}"
                ));
            }
        }
        let day_given = |field: &str| field != "*" && field != "?";
        if day_given(&fields[3]) && day_given(&fields[5]) {
            return Err(
                "day of month and day of week are both given; other programs run on either, some on \
                 both: write `*` for one of them, or two workflows"
                    .to_owned(),
            );
        }
        fields[5] = weekdays(&fields[5])?;
        let times = cron::Schedule::from_str(&fields.join(" ")).map_err(|_| {
            format!("`{text}` is not a cron expression: a field is out of its range or misspelt")
        })?;
        Ok(Self { text: text.to_owned(), times, through_all_hours: fields[2].starts_with('*') })
    }
}

impl Schedule {
    /// The times of `expression` on the clocks of `timezone`.
    pub fn new(expression: Expression, timezone: TimeZone) -> Self {
        Self { expression, timezone }
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression.text
    }

    /// The zone whose clocks count.
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The first time due after `after`. None if there is none left: the 31st of February, or a
    /// year that has passed.
    pub fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        // A fold can put a civil time of earlier today after `after`; no zone turns its clocks
        // back by more than a few hours.
        const FOLD: Duration = Duration::from_secs(3 * 3600);
        let civil = self.timezone.to_datetime(after);
        let from = civil.checked_sub(FOLD).ok()?;
        let mut best: Option<(DateTime, Timestamp)> = None;
        for candidate in self.expression.times.after(&to_chrono(from)?) {
            let candidate = from_chrono(&candidate)?;
            if best.is_some_and(|(found, _)| candidate > found.saturating_add(FOLD)) {
                break;
            }
            for instant in self.instants(candidate).into_iter().flatten() {
                if instant > after && best.is_none_or(|(_, found)| instant < found) {
                    best = Some((candidate, instant));
                }
            }
        }
        best.map(|(_, instant)| instant)
    }

    /// The last time due after `after` and not after `until`, and how many there were.
    pub fn last_due(&self, after: Timestamp, until: Timestamp) -> Option<(Timestamp, u64)> {
        let mut last = None;
        let mut due = self.next_due(after);
        while let Some(instant) = due.filter(|instant| *instant <= until) {
            last = Some((instant, last.map_or(1, |(_, count)| count + 1)));
            due = self.next_due(instant);
        }
        last
    }

    /// When the clocks of the zone show this time: once, or twice, or at the end of a gap.
    fn instants(&self, civil: DateTime) -> [Option<Timestamp>; 2] {
        let ambiguous = self.timezone.to_ambiguous_timestamp(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => [ambiguous.unambiguous().ok(), None],
            AmbiguousOffset::Gap { .. } => {
                let before = ambiguous.earlier().ok();
                [before.and_then(|instant| self.after_gap(instant)), None]
            }
            AmbiguousOffset::Fold { .. } => {
                let second = self.expression.through_all_hours.then(|| ambiguous.later().ok()).flatten();
                [ambiguous.earlier().ok(), second]
            }
        }
    }

    /// The end of the gap that follows `before`.
    fn after_gap(&self, before: Timestamp) -> Option<Timestamp> {
        let day_before = before.checked_sub(Duration::from_secs(86_400)).ok()?;
        self.timezone.following(day_before).next().map(|transition| transition.timestamp())
    }
}

/// How long after its time a workflow starts, so that not all start at once: the same for the same
/// workflow, every time.
pub fn jitter(workflow: &str, most: Duration) -> Duration {
    let digest = crate::id::Digest::of(workflow.as_bytes());
    let number = u64::from_str_radix(&digest.as_str()[..12], 16).unwrap_or(0);
    match most.as_millis() as u64 {
        0 => Duration::ZERO,
        most => Duration::from_millis(number % most),
    }
}

/// Weekday numbers as everybody writes them (0 and 7 are Sunday) in the words the parser takes;
/// its own numbers begin with 1 for Sunday.
fn weekdays(field: &str) -> Result<String, String> {
    const NAMES: [&str; 8] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let mut out = String::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let ends: Vec<&str> = range.split('-').collect();
        let named = |end: &str| match end.parse::<usize>() {
            Ok(number) => NAMES
                .get(number)
                .map(|name| (*name).to_owned())
                .ok_or_else(|| format!("`{end}` is not a weekday: 0 to 7, or sun to sat")),
            Err(_) => Ok(end.to_owned()),
        };
        let mut ends = ends.into_iter().map(named).collect::<Result<Vec<_>, _>>()?;
        // `1-7` and `5-7` end on Sunday, which the parser thinks is the first day.
        if ends.len() == 2 && ends[1] == "sun" && step.is_none() {
            let first = NAMES.iter().position(|name| ends[0].eq_ignore_ascii_case(name)).unwrap_or(0);
            ends = vec![NAMES[first..=7].join(",")];
        }
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&ends.join("-"));
        if let Some(step) = step {
            out.push('/');
            out.push_str(step);
        }
    }
    Ok(out)
}

fn to_chrono(civil: DateTime) -> Option<chrono::DateTime<chrono::Utc>> {
    let [year, month, day] = [i32::from(civil.year()), i32::from(civil.month()), i32::from(civil.day())];
    let [hour, minute, second] =
        [civil.hour(), civil.minute(), civil.second()].map(|part| part.unsigned_abs().into());
    chrono::Utc
        .with_ymd_and_hms(year, month.unsigned_abs(), day.unsigned_abs(), hour, minute, second)
        .single()
}

fn from_chrono(time: &chrono::DateTime<chrono::Utc>) -> Option<DateTime> {
    let timestamp = Timestamp::from_second(time.timestamp()).ok()?;
    Some(TimeZone::UTC.to_datetime(timestamp))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The next times after an instant, on the zone's clocks.
    #[track_caller]
    fn check(expression: &str, zone: &str, after: &str, expected: Expect) {
        let found = match expression.parse::<Expression>() {
            Ok(expression) => {
                let schedule = Schedule::new(expression, TimeZone::get(zone).unwrap());
                let mut after: Timestamp = after.parse().unwrap();
                let mut times = Vec::new();
                while let Some(due) = schedule.next_due(after).filter(|_| times.len() < 4) {
                    let zoned = due.to_zoned(schedule.timezone().clone());
                    times.push(zoned.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string());
                    after = due;
                }
                if times.is_empty() { "never".to_owned() } else { times.join("\n") + "\n" }
            }
            Err(error) => error,
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn five_fields_are_minutes_and_up() {
        check(
            "*/15 * * * *",
            "Europe/Paris",
            "2026-01-09T09:13:20Z",
            expect![[r#"
            Fri 2026-01-09 10:15:00 CET
            Fri 2026-01-09 10:30:00 CET
            Fri 2026-01-09 10:45:00 CET
            Fri 2026-01-09 11:00:00 CET
        "#]],
        );
    }

    #[test]
    fn six_fields_begin_with_seconds() {
        check(
            "*/20 * * * * *",
            "UTC",
            "2026-01-09T09:13:20Z",
            expect![[r#"
            Fri 2026-01-09 09:13:40 UTC
            Fri 2026-01-09 09:14:00 UTC
            Fri 2026-01-09 09:14:20 UTC
            Fri 2026-01-09 09:14:40 UTC
        "#]],
        );
    }

    #[test]
    fn one_is_monday_and_both_zero_and_seven_are_sunday() {
        check(
            "0 6 * * 1",
            "UTC",
            "2026-01-09T00:00:00Z",
            expect![[r#"
            Mon 2026-01-12 06:00:00 UTC
            Mon 2026-01-19 06:00:00 UTC
            Mon 2026-01-26 06:00:00 UTC
            Mon 2026-02-02 06:00:00 UTC
        "#]],
        );
        check(
            "0 6 * * 0,7",
            "UTC",
            "2026-01-09T00:00:00Z",
            expect![[r#"
            Sun 2026-01-11 06:00:00 UTC
            Sun 2026-01-18 06:00:00 UTC
            Sun 2026-01-25 06:00:00 UTC
            Sun 2026-02-01 06:00:00 UTC
        "#]],
        );
        check(
            "0 6 * * 5-7",
            "UTC",
            "2026-01-09T00:00:00Z",
            expect![[r#"
            Fri 2026-01-09 06:00:00 UTC
            Sat 2026-01-10 06:00:00 UTC
            Sun 2026-01-11 06:00:00 UTC
            Fri 2026-01-16 06:00:00 UTC
        "#]],
        );
    }

    #[test]
    fn a_time_the_clocks_skip_is_due_when_the_gap_ends() {
        check(
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00:00Z",
            expect![[r#"
            Sun 2026-03-08 03:00:00 EDT
            Mon 2026-03-09 02:30:00 EDT
            Tue 2026-03-10 02:30:00 EDT
            Wed 2026-03-11 02:30:00 EDT
        "#]],
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_due_once() {
        check(
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00:00Z",
            expect![[r#"
            Sun 2026-11-01 01:30:00 EDT
            Mon 2026-11-02 01:30:00 EST
            Tue 2026-11-03 01:30:00 EST
            Wed 2026-11-04 01:30:00 EST
        "#]],
        );
    }

    #[test]
    fn a_schedule_through_all_hours_runs_through_the_doubled_hour_in_order() {
        check(
            "*/30 * * * *",
            "America/New_York",
            "2026-11-01T05:15:00Z",
            expect![[r#"
            Sun 2026-11-01 01:30:00 EDT
            Sun 2026-11-01 01:00:00 EST
            Sun 2026-11-01 01:30:00 EST
            Sun 2026-11-01 02:00:00 EST
        "#]],
        );
    }

    #[test]
    fn a_half_hour_change_and_a_change_at_midnight_are_like_any_other() {
        check(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-02T00:00:00Z",
            expect![[r#"
            Sat 2026-10-03 02:15:00 +1030
            Sun 2026-10-04 02:30:00 +11
            Mon 2026-10-05 02:15:00 +11
            Tue 2026-10-06 02:15:00 +11
        "#]],
        );
        check(
            "0 0 * * *",
            "America/Sao_Paulo",
            "2018-11-02T12:00:00Z",
            expect![[r#"
            Sat 2018-11-03 00:00:00 -03
            Sun 2018-11-04 01:00:00 -02
            Mon 2018-11-05 00:00:00 -02
            Tue 2018-11-06 00:00:00 -02
        "#]],
        );
    }

    #[test]
    fn a_day_that_does_not_exist_never_comes() {
        check("0 0 31 2 *", "UTC", "2026-01-01T00:00:00Z", expect!["never"]);
    }

    #[test]
    fn a_wrong_expression_is_told_apart() {
        check(
            "* * * *",
            "UTC",
            "2026-01-01T00:00:00Z",
            expect![
                "a cron expression has five fields (minute hour day month weekday), six with seconds in front, or seven with years behind; this one has 4"
            ],
        );
        check(
            "0 0 13 * 5",
            "UTC",
            "2026-01-01T00:00:00Z",
            expect![
                "day of month and day of week are both given; other programs run on either, some on both: write `*` for one of them, or two workflows"
            ],
        );
        check(
            "61 * * * *",
            "UTC",
            "2026-01-01T00:00:00Z",
            expect!["`61 * * * *` is not a cron expression: a field is out of its range or misspelt"],
        );
        check(
            "0 0 * * 8",
            "UTC",
            "2026-01-01T00:00:00Z",
            expect!["`8` is not a weekday: 0 to 7, or sun to sat"],
        );
    }

    #[test]
    fn the_times_slept_through_are_counted() {
        let schedule = Schedule::new("0 * * * *".parse().unwrap(), TimeZone::UTC);
        let slept = ("2026-01-09T09:30:00Z".parse().unwrap(), "2026-01-09T12:10:00Z".parse().unwrap());
        let (last, count) = schedule.last_due(slept.0, slept.1).unwrap();
        expect!["2026-01-09T12:00:00Z, the last of 3"].assert_eq(&format!("{last}, the last of {count}"));
    }
}
