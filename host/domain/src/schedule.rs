//! When a workflow is due.
//!
//! The `cron` crate reads the expression; the times are ours. It is never asked about the clocks of
//! a place, because around a change of clocks it loses hours, repeats them, and answers out of order.
//! Between two changes the clocks of a place go on evenly, so such a stretch of time is looked at as
//! a plain calendar. Where two stretches meet there is one documented rule:
//!
//! - a time that the clocks skip is due at the first instant after the gap, be it an hour or a day;
//! - a time that comes twice is due once, the first time, unless the expression runs through all
//!   hours (its hour field begins with `*`): then both.
//!
//! Times that fall together are one.

mod calendar;
mod expression;
mod words;

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

pub use expression::{BadExpression, Expression};

/// Times that come back, in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    expression: Expression,
    timezone: TimeZone,
}

/// Scheduled times in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many they are.
    pub count: u64,
}

impl Schedule {
    /// The times of `expression` on the clocks of `timezone`.
    pub fn new(expression: Expression, timezone: TimeZone) -> Self {
        Self { expression, timezone }
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        self.expression.as_str()
    }

    /// When it comes, in words; none for a form that words would not make clearer.
    pub fn in_words(&self) -> Option<String> {
        self.expression.in_words()
    }

    /// The zone whose clocks count.
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The first time due after `after`. None if there is none left: a year that has passed.
    pub fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        let mut stretch = Stretch::around(&self.timezone, after);
        loop {
            let found = self.first_in(&stretch, after, Timestamp::MAX);
            if found.is_some() || !self.has_more(&stretch) {
                return found;
            }
            stretch = stretch.next(&self.timezone)?;
        }
    }

    /// The times after `after` and not after `until`.
    pub fn times(&self, after: Timestamp, until: Timestamp) -> Option<Times> {
        let first = self.next_due(after).filter(|first| *first <= until)?;
        let mut times = Times { first, last: first, count: 0 };
        let mut stretch = Some(Stretch::around(&self.timezone, first));
        while let Some(here) = stretch.filter(|here| here.from <= until) {
            if let Some(last) = self.last_in(&here, after, until) {
                times.last = last;
                times.count += self.count_in(&here, after, until);
            }
            stretch = if self.has_more(&here) { here.next(&self.timezone) } else { None };
        }
        Some(times)
    }

    fn first_in(&self, stretch: &Stretch, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        if stretch.is_within(after, until) && self.is_due_at_gap(stretch) {
            return Some(stretch.from);
        }
        let (from, to) = self.civil(stretch, after, until)?;
        let found = self.expression.calendar.next(from).filter(|found| *found < to)?;
        stretch.instant(found)
    }

    fn last_in(&self, stretch: &Stretch, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let plain = self.civil(stretch, after, until).and_then(|(from, to)| {
            let found = self.expression.calendar.last(from, to)?;
            stretch.instant(found)
        });
        let at_gap = stretch.is_within(after, until) && self.is_due_at_gap(stretch);
        plain.or_else(|| at_gap.then_some(stretch.from))
    }

    fn count_in(&self, stretch: &Stretch, after: Timestamp, until: Timestamp) -> u64 {
        let calendar = &self.expression.calendar;
        let plain = self.civil(stretch, after, until).map_or(0, |(from, to)| calendar.count(from, to));
        let at_gap = stretch.is_within(after, until) && self.is_due_at_gap(stretch);
        // A time of the clocks at that very instant is counted with the others.
        let by_itself = at_gap && calendar.next(stretch.begins()) != Some(stretch.begins());
        plain + u64::from(by_itself)
    }

    /// The clocks skip a time on their way into this stretch.
    fn is_due_at_gap(&self, stretch: &Stretch) -> bool {
        let (ends, begins) = (stretch.before_ends(), stretch.begins());
        ends < begins && self.expression.calendar.next(ends).is_some_and(|next| next < begins)
    }

    /// What the clocks show in this stretch, after `after` and up to `until`: from, and up to but not
    /// with. What they show for the second time is left out, unless the expression means both.
    fn civil(&self, stretch: &Stretch, after: Timestamp, until: Timestamp) -> Option<(DateTime, DateTime)> {
        let just = SignedDuration::from_nanos(1);
        let from = stretch.from.max(after.checked_add(just).ok()?);
        let to = stretch.to.min(until.checked_add(just).unwrap_or(Timestamp::MAX));
        let (from, to) = (stretch.offset.to_datetime(from), stretch.offset.to_datetime(to));
        let again = stretch.before_ends();
        let from = if self.expression.through_all_hours { from } else { from.max(again) };
        (from < to).then_some((from, to))
    }

    /// There are times on the calendar after this stretch.
    fn has_more(&self, stretch: &Stretch) -> bool {
        let ends = stretch.offset.to_datetime(stretch.to);
        // The clocks may go back by hours, and by a day where a country changes its mind.
        let earlier = ends.checked_sub(SignedDuration::from_hours(48)).unwrap_or(DateTime::MIN);
        self.expression.calendar.next(earlier).is_some()
    }
}

/// A stretch of time in which the clocks of a zone go on evenly.
struct Stretch {
    from: Timestamp,
    /// Up to, but not with.
    to: Timestamp,
    /// How far the clocks are ahead of UTC.
    offset: Offset,
    /// How far they were ahead before.
    before: Offset,
}

impl Stretch {
    /// The one with this instant.
    fn around(zone: &TimeZone, at: Timestamp) -> Self {
        let just_after = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
        let from = zone.preceding(just_after).next().map_or(Timestamp::MIN, |change| change.timestamp());
        let to = zone.following(at).next().map_or(Timestamp::MAX, |change| change.timestamp());
        let offset = zone.to_offset(from);
        let before = from.checked_sub(SignedDuration::from_nanos(1)).map_or(offset, |it| zone.to_offset(it));
        Self { from, to, offset, before }
    }

    fn next(&self, zone: &TimeZone) -> Option<Self> {
        (self.to < Timestamp::MAX).then(|| Self::around(zone, self.to))
    }

    /// It begins after `after` and not after `until`.
    fn is_within(&self, after: Timestamp, until: Timestamp) -> bool {
        after < self.from && self.from <= until
    }

    /// What the clocks show when it begins.
    fn begins(&self) -> DateTime {
        self.offset.to_datetime(self.from)
    }

    /// What they would show then if they had not been changed.
    fn before_ends(&self) -> DateTime {
        self.before.to_datetime(self.from)
    }

    fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        self.offset.to_timestamp(civil).ok()
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

#[cfg(test)]
mod tests;
