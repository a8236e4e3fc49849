//! Which days and times of day an expression means, on a calendar without time zones.
//!
//! The numbers come from the `cron` crate, which reads the expression. The looking is ours: it is
//! bounded by the years that an expression can name, and many times are counted without visiting
//! each, so that months of seconds cost no more than months of days.

use std::collections::BTreeSet;

use cron::TimeUnitSpec as _;
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time};

/// Days, and the times on each of them.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    /// Those that the parser knows: 1970 to 2100.
    years: BTreeSet<i16>,
    months: Marks,
    days: Marks,
    /// Sunday is 0.
    weekdays: Marks,
    hours: Marks,
    minutes: Marks,
    seconds: Marks,
}

/// Numbers from 0 to 63.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks(u64);

impl Calendar {
    /// The days and times of an expression, but for its weekdays, which are given apart.
    pub(super) fn new(times: &cron::Schedule, weekdays: Marks) -> Self {
        Self {
            years: times.years().iter().filter_map(|year| i16::try_from(year).ok()).collect(),
            months: Marks::of(times.months().iter()),
            days: Marks::of(times.days_of_month().iter()),
            weekdays,
            hours: Marks::of(times.hours().iter()),
            minutes: Marks::of(times.minutes().iter()),
            seconds: Marks::of(times.seconds().iter()),
        }
    }

    /// The first time that is not before `from`.
    pub(super) fn next(&self, from: DateTime) -> Option<DateTime> {
        let from = whole_second(from)?;
        if self.is_day(from.date())
            && let Some(time) = self.time_from(from.time())
        {
            return Some(from.date().to_datetime(time));
        }
        let day = self.day_from(from.date().tomorrow().ok()?)?;
        Some(day.to_datetime(self.time_from(Time::midnight())?))
    }

    /// The last time before `to` that is not before `from`.
    pub(super) fn last(&self, from: DateTime, to: DateTime) -> Option<DateTime> {
        let to = whole_second(to)?;
        let mut day = to.date();
        let mut time = if self.is_day(day) { self.time_before(to.time()) } else { None };
        loop {
            if let Some(time) = time {
                return Some(day.to_datetime(time)).filter(|found| *found >= from);
            }
            day = day.yesterday().ok().filter(|day| *day >= from.date())?;
            time = if self.is_day(day) { self.last_time() } else { None };
        }
    }

    /// How many times there are from `from` on and before `to`.
    pub(super) fn count(&self, from: DateTime, to: DateTime) -> u64 {
        if from >= to {
            return 0;
        }
        let (Some(from), Some(to)) = (whole_second(from), whole_second(to)) else { return 0 };
        let upto = |at: DateTime| if self.is_day(at.date()) { self.times_before(at.time()) } else { 0 };
        let mut whole_days = 0;
        let mut day = self.day_from(from.date());
        while let Some(found) = day.filter(|day| *day < to.date()) {
            whole_days += 1;
            day = found.tomorrow().ok().and_then(|day| self.day_from(day));
        }
        whole_days * self.times_a_day() + upto(to) - upto(from)
    }

    fn is_day(&self, day: Date) -> bool {
        self.years.contains(&day.year())
            && self.months.has(day.month())
            && self.days.has(day.day())
            && self.weekdays.has(day.weekday().to_sunday_zero_offset())
    }

    /// The first day that is not before `day`.
    fn day_from(&self, mut day: Date) -> Option<Date> {
        while !self.is_day(day) {
            day = if !self.years.contains(&day.year()) {
                let year = *self.years.range(day.year()..).next()?;
                Date::new(year, 1, 1).ok()?
            } else if !self.months.has(day.month()) {
                day.first_of_month().checked_add(1.month()).ok()?
            } else {
                day.tomorrow().ok()?
            };
        }
        Some(day)
    }

    fn time_from(&self, time: Time) -> Option<Time> {
        let (hours, minutes, seconds) = (self.hours, self.minutes, self.seconds);
        let [hour, minute, second] = [time.hour(), time.minute(), time.second()];
        let at = |hour, minute, second| Time::new(hour, minute, second, 0).ok();
        if hours.has(hour) {
            if minutes.has(minute)
                && let Some(second) = seconds.from(second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = minutes.from(minute + 1) {
                return at(hour, minute, seconds.from(0)?);
            }
        }
        at(hours.from(hour + 1)?, minutes.from(0)?, seconds.from(0)?)
    }

    fn time_before(&self, time: Time) -> Option<Time> {
        let (hours, minutes, seconds) = (self.hours, self.minutes, self.seconds);
        let [hour, minute, second] = [time.hour(), time.minute(), time.second()];
        let at = |hour, minute, second| Time::new(hour, minute, second, 0).ok();
        if hours.has(hour) {
            if minutes.has(minute)
                && let Some(second) = seconds.before(second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = minutes.before(minute) {
                return at(hour, minute, seconds.before(60)?);
            }
        }
        at(hours.before(hour)?, minutes.before(60)?, seconds.before(60)?)
    }

    fn last_time(&self) -> Option<Time> {
        Time::new(self.hours.before(24)?, self.minutes.before(60)?, self.seconds.before(60)?, 0).ok()
    }

    fn times_a_day(&self) -> u64 {
        self.hours.number() * self.minutes.number() * self.seconds.number()
    }

    fn times_before(&self, time: Time) -> u64 {
        let (minutes, seconds) = (self.minutes.number(), self.seconds.number());
        let mut times = self.hours.below(time.hour()) * minutes * seconds;
        if self.hours.has(time.hour()) {
            times += self.minutes.below(time.minute()) * seconds;
            if self.minutes.has(time.minute()) {
                times += self.seconds.below(time.second());
            }
        }
        times
    }
}

impl Marks {
    /// These numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self(numbers.into_iter().fold(0, |marks, number| marks | 1 << (number & 63)))
    }

    fn has(self, number: i8) -> bool {
        self.from(number) == Some(number)
    }

    /// The first that is not below `number`.
    fn from(self, number: i8) -> Option<i8> {
        let left = self.0.checked_shr(number.unsigned_abs().into())?;
        (left != 0).then(|| number + left.trailing_zeros() as i8)
    }

    /// The last below `number`.
    fn before(self, number: i8) -> Option<i8> {
        let left = self.0 & Self::all_below(number);
        (left != 0).then(|| 63 - left.leading_zeros() as i8)
    }

    fn below(self, number: i8) -> u64 {
        (self.0 & Self::all_below(number)).count_ones().into()
    }

    fn number(self) -> u64 {
        self.0.count_ones().into()
    }

    fn all_below(number: i8) -> u64 {
        1_u64.checked_shl(number.unsigned_abs().into()).map_or(u64::MAX, |bit| bit - 1)
    }
}

/// A time of the clock, which has no fractions, that is not before this.
fn whole_second(at: DateTime) -> Option<DateTime> {
    match at.subsec_nanosecond() {
        0 => Some(at),
        part => at.checked_add(i64::from(1_000_000_000 - part).nanoseconds()).ok(),
    }
}
