//! A cron expression, read and understood, or refused in words that say what is wrong with it.

use std::str::FromStr;

use jiff::civil::DateTime;

use super::calendar::{Calendar, Marks};
use crate::document::nearest;

/// A cron expression: five fields, six with seconds, seven with years, or a name like `@daily`.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    pub(super) calendar: Calendar,
    pub(super) through_all_hours: bool,
}

/// The names, and what they are short for.
const NAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * sun"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// The fields as the parser takes them, and what each may hold.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12, or jan to dec"),
    ("weekday", "0 to 7, or sun to sat"),
    ("year", "1970 to 2100"),
];

/// The place of the weekday among them.
const WEEKDAY: usize = 5;

impl Expression {
    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same with what a name is short for in its place.
    pub(super) fn spelled_out(&self) -> &str {
        let named = NAMES.iter().find(|(name, _)| self.text.eq_ignore_ascii_case(name));
        named.map_or(self.text.as_str(), |(_, meaning)| meaning)
    }
}

impl FromStr for Expression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let spelled_out = match NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            Some((_, meaning)) => meaning,
            None if text.starts_with('@') => {
                let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
                let near = nearest(text, names.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return Err(format!("`{text}` is not a name of times; there are {}{near}", names.join(", ")));
            }
            None => text,
        };
        let mut fields: Vec<&str> = spelled_out.split_whitespace().collect();
        match fields.len() {
            // The parser wants seconds.
            5 => fields.insert(0, "0"),
            6 | 7 => {}
            count => {
                return Err(format!(
                    "a cron expression has five fields (minute hour day month weekday), six with seconds in front, \
                     or seven with years behind; this one has {count}"
                ));
            }
        }
        let day_given = |field: &str| field != "*" && field != "?";
        if day_given(fields[3]) && day_given(fields[WEEKDAY]) {
            return Err(
                "day of month and day of week are both given; other programs run on either, some on \
                 both: write `*` for one of them, or two workflows"
                    .to_owned(),
            );
        }
        let through_all_hours = fields[2].starts_with('*');
        let weekdays = weekdays(fields[WEEKDAY])?;
        // Its numbers begin with 1 for Sunday; everybody else's do not.
        fields[WEEKDAY] = "*";
        let times = read(&fields)?;
        let calendar = Calendar::new(&times, weekdays);
        if calendar.next(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).is_none() {
            return Err(format!("`{text}` never comes: there is no such day"));
        }
        Ok(Self { text: text.to_owned(), calendar, through_all_hours })
    }
}

/// The fields, read by the parser; or which of them it does not take.
fn read(fields: &[&str]) -> Result<cron::Schedule, String> {
    let parse = |fields: &[&str]| cron::Schedule::from_str(&fields.join(" "));
    parse(fields).map_err(|_| {
        let wrong = (0..fields.len()).find(|place| {
            let mut alone = ["*"; 7];
            alone[*place] = fields[*place];
            parse(&alone).is_err()
        });
        match wrong.map(|place| (fields[place], FIELDS[place])) {
            Some((field, (name, range))) => {
                format!(
                    "`{field}` is no {name}: {range}, with `-` for a range, `,` for a list, `/` for every nth"
                )
            }
            None => format!("`{}` is not a cron expression", fields.join(" ")),
        }
    })
}

/// Weekdays as everybody writes them: 0 and 7 are Sunday, and a range may go over the end of the week.
fn weekdays(field: &str) -> Result<Marks, String> {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let day = |text: &str| -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        let named = (0..7).zip(DAYS).find(|(_, name)| *name == lower || name[..3] == lower);
        let number = named.map(|(place, _)| place).or_else(|| text.parse().ok().filter(|it| *it <= 7));
        number.ok_or_else(|| format!("`{text}` is no weekday: {}", FIELDS[WEEKDAY].1))
    };
    let mut found = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let every = match step {
            None => 1,
            Some(step) => step
                .parse()
                .ok()
                .filter(|step| (1..=7).contains(step))
                .ok_or_else(|| format!("`{part}`: every how many days is a number from 1 to 7"))?,
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*" | "?", _) => (0, 6),
            (_, Some((first, last))) => (day(first)?, day(last)?),
            (one, None) if step.is_none() => (day(one)?, day(one)?),
            (one, None) => (day(one)?, 6),
        };
        let last = if last < first { last + 7 } else { last };
        found.extend((first..=last).step_by(every).map(|day| day % 7));
    }
    Ok(Marks::of(found))
}
