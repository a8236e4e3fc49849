//! A cron expression, read and understood, or refused in words that say what is wrong with it.

use std::ops::Range;
use std::str::FromStr;

use jiff::civil::DateTime;

use super::calendar::{Calendar, Marks};
use crate::document::{Findings, suggestion};

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

/// The places of some among them.
const HOUR: usize = 2;
const DAY: usize = 3;
const MONTH: usize = 4;
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

/// Why a text is no cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", help.as_ref().map_or_else(String::new, |help| format!(": {help}")))]
pub struct BadExpression {
    /// What is wrong.
    pub message: String,
    /// What may stand there.
    pub help: Option<String>,
    /// Where in the text: its bytes.
    pub part: Range<usize>,
}

impl Expression {
    /// The expression that is typed at `pointer`; what is wrong is told at the field that it is about.
    pub fn typed(pointer: &str, typed: &str, findings: &mut Findings<'_>) -> Option<Self> {
        let read = typed.parse();
        read.map_err(|bad: BadExpression| findings.at_part(pointer, typed, bad.part, bad.message, bad.help))
            .ok()
    }
}

impl FromStr for Expression {
    type Err = BadExpression;

    fn from_str(typed: &str) -> Result<Self, BadExpression> {
        let text = typed.trim();
        let bad =
            |message: String, help: Option<String>| BadExpression { message, help, part: 0..typed.len() };
        let spelled_out = match NAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)) {
            Some((_, meaning)) => meaning,
            None if text.starts_with('@') => {
                let names = NAMES.map(|(name, _)| name);
                return Err(bad(format!("`{text}` is not a name of times"), suggestion(text, &names)));
            }
            None => typed,
        };
        let mut fields = fields(spelled_out);
        match fields.len() {
            // The parser wants seconds.
            5 => fields.insert(0, Field { text: "0", at: 0..0 }),
            6 | 7 => {}
            count => {
                let help = "minute hour day month weekday; six with seconds in front, seven with years behind as well";
                let message = format!("a cron expression has five fields, and this one has {count}");
                return Err(bad(message, Some(help.to_owned())));
            }
        }
        let day_given = |field: &Field<'_>| field.text != "*" && field.text != "?";
        if day_given(&fields[DAY]) && day_given(&fields[WEEKDAY]) {
            return Err(BadExpression {
                message: "day of month and weekday are both given".to_owned(),
                help: Some(
                    "other programs run on either, some on both: write `*` for one of them, or two workflows"
                        .to_owned(),
                ),
                part: fields[DAY].at.start..fields[WEEKDAY].at.end,
            });
        }
        let through_all_hours = fields[HOUR].text.starts_with('*');
        let weekdays = weekdays(&fields[WEEKDAY])?;
        // Its numbers begin with 1 for Sunday; everybody else's do not.
        fields[WEEKDAY].text = "*";
        let times = read(&fields)?;
        let calendar = Calendar::new(&times, weekdays);
        if calendar.next(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).is_none() {
            let (day, month) = (&fields[DAY], &fields[MONTH]);
            return Err(BadExpression {
                message: format!("`{text}` never comes: there is no such day"),
                help: None,
                part: day.at.start..month.at.end,
            });
        }
        Ok(Self { text: text.to_owned(), calendar, through_all_hours })
    }
}

/// One field of an expression, and where in the text it stands.
struct Field<'a> {
    text: &'a str,
    at: Range<usize>,
}

impl Field<'_> {
    /// That it is wrong.
    fn bad(&self, message: String, help: impl Into<String>) -> BadExpression {
        BadExpression { message, help: Some(help.into()), part: self.at.clone() }
    }
}

fn fields<'a>(text: &'a str) -> Vec<Field<'a>> {
    let mut end = 0;
    let place = |field: &'a str| {
        let start = end + text[end..].find(field).unwrap_or_default();
        end = start + field.len();
        Field { text: field, at: start..end }
    };
    text.split_whitespace().map(place).collect()
}

/// The fields, read by the parser; or which of them it does not take.
fn read(fields: &[Field<'_>]) -> Result<cron::Schedule, BadExpression> {
    let parse = |fields: &[&str]| cron::Schedule::from_str(&fields.join(" "));
    let texts: Vec<&str> = fields.iter().map(|field| field.text).collect();
    parse(&texts).map_err(|_| {
        let wrong = (0..fields.len()).find(|place| {
            let mut alone = ["*"; 7];
            alone[*place] = texts[*place];
            parse(&alone).is_err()
        });
        match wrong.map(|place| (&fields[place], FIELDS[place])) {
            Some((field, (name, range))) => field.bad(
                format!("`{}` is no {name}", field.text),
                format!("{range}, with `-` for a range, `,` for a list, `/` for every nth"),
            ),
            None => {
                let ends = fields.first().zip(fields.last());
                let part = ends.map_or(0..0, |(first, last)| first.at.start..last.at.end);
                let message = format!("`{}` is not a cron expression", texts.join(" "));
                BadExpression { message, help: None, part }
            }
        }
    })
}

/// Weekdays as everybody writes them: 0 and 7 are Sunday, and a range may go over the end of the week.
fn weekdays(field: &Field<'_>) -> Result<Marks, BadExpression> {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let day = |text: &str| -> Result<u32, BadExpression> {
        let lower = text.to_ascii_lowercase();
        let named = (0..7).zip(DAYS).find(|(_, name)| *name == lower || name[..3] == lower);
        let number = named.map(|(place, _)| place).or_else(|| text.parse().ok().filter(|it| *it <= 7));
        number.ok_or_else(|| field.bad(format!("`{text}` is no weekday"), FIELDS[WEEKDAY].1))
    };
    let mut found = Vec::new();
    for part in field.text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let every = match step {
            None => 1,
            Some(step) => step.parse().ok().filter(|step| (1..=7).contains(step)).ok_or_else(|| {
                field.bad(format!("`{step}` in `{part}` is no number of days"), "1 to 7, for every nth day")
            })?,
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
