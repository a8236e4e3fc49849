//! When changes are welcome, by the wall clock of the workflow's time zone.

use deputy_policy::review::Decision;
use deputy_policy::settings::{At, Value};
use deputy_policy::time::{Civil, civil};

use crate::DECISIONS;

/// Days of the week, and a time of day on each.
#[derive(Clone, Debug)]
pub(crate) struct Hours {
    /// Monday is the first.
    days: [bool; 7],
    /// Minutes since midnight. An end that is not after the beginning is on the next day.
    from: u32,
    to: u32,
    outside: Decision,
}

const DAYS: [(&str, usize); 7] =
    [("Mon", 0), ("Tue", 1), ("Wed", 2), ("Thu", 3), ("Fri", 4), ("Sat", 5), ("Sun", 6)];
const MIDNIGHT: u32 = 24 * 60;

impl Hours {
    pub(crate) fn read(at: &At) -> Self {
        let table = at.table(&["days", "from", "outside", "to"]);
        let days = match table.get("days") {
            None => [true; 7],
            Some(at) => {
                let list = at.list("such as `[\"Mon\", \"Tue\", \"Wed\", \"Thu\"]`");
                if matches!(at.value(), Value::List(none) if none.is_empty()) {
                    at.problem("without a day, nothing can ever be changed");
                }
                let mut days = [false; 7];
                for day in list.iter().filter_map(|at| at.choice(&DAYS)) {
                    days[day] = true;
                }
                days
            }
        };
        let time = |key, otherwise| table.get(key).map_or(otherwise, |at| time_of_day(&at));
        let outside = table.get("outside").and_then(|at| at.choice(&DECISIONS));
        Self {
            days,
            from: time("from", 0),
            to: time("to", MIDNIGHT),
            outside: outside.unwrap_or(Decision::Ask),
        }
    }

    /// What is to be done about a moment, and the words for it, if it is outside.
    pub(crate) fn breaks(&self, now: u64, utc_offset: i32) -> Option<(Decision, String)> {
        let Civil { weekday, hour, minute, .. } = civil(now, utc_offset);
        let (today, time) = (weekday as usize, hour * 60 + minute);
        let yesterday = (today + 6) % 7;
        let inside = match self.from < self.to {
            true => self.days[today] && (self.from..self.to).contains(&time),
            // From an evening to the next morning, which belongs to the evening's day.
            false => (self.days[today] && time >= self.from) || (self.days[yesterday] && time < self.to),
        };
        let clock = |time: u32| format!("{:02}:{:02}", time / 60, time % 60);
        let days = DAYS.iter().filter(|(_, day)| self.days[*day]).map(|(name, _)| *name);
        (!inside).then(|| {
            let days =
                if self.days == [true; 7] { "every day".into() } else { days.collect::<Vec<_>>().join(", ") };
            let (from, to) = (clock(self.from), clock(self.to));
            let words =
                format!("it is {} {}: changes are for {days}, {from}–{to}", DAYS[today].0, clock(time));
            (self.outside, words)
        })
    }
}

/// `HH:MM`, as minutes since midnight.
fn time_of_day(at: &At) -> u32 {
    let number = |digits: &str| -> Option<u32> {
        let two_digits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if two_digits { digits.parse().ok() } else { None }
    };
    let time = match at.value() {
        Value::Text(text) => text.split_once(':').and_then(|(hours, minutes)| {
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            let time = hours * 60 + minutes;
            (minutes < 60 && time <= MIDNIGHT).then_some(time)
        }),
        _ => None,
    };
    if time.is_none() {
        at.problem_with_hint(format!("{} is not a time of day", at.value()), "such as `\"08:00\"`");
    }
    time.unwrap_or_default()
}
