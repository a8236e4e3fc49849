//! The decision: plain functions of plain values, tested by `cargo test` without WebAssembly.
//!
//! Trouble is told at once, ends some days ahead, and what people were told about is told again when
//! all is well. Deputy leaves out what was said before, so nothing has to be remembered here.

#[cfg(target_arch = "wasm32")]
mod component;

use serde_json::{Map, Value};

/// In seconds.
pub const DAY: i64 = 86_400;

/// Something that is wrong with the settings, and where: a JSON pointer.
#[derive(Debug, Default)]
pub struct Problem {
    pub pointer: String,
    pub message: String,
    pub hint: Option<String>,
}

/// The settings: how many days before an end people are told.
#[derive(Debug)]
pub struct Policy {
    days: Vec<i64>,
}

/// What is known of something that can end or fail.
#[derive(Debug, Default)]
pub struct Fact<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub ends: Option<i64>,
    /// What is wrong, and what to do about it.
    pub trouble: Option<(&'a str, &'a str)>,
    pub told: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// What is to be said about a fact.
#[derive(Debug)]
pub struct Reminder {
    /// In seconds; none when all is well again.
    pub threshold: Option<i64>,
    pub severity: Severity,
    pub subject: String,
    pub text: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self { days: vec![30, 14, 7, 1] }
    }
}

impl Policy {
    /// Reads the settings, or tells everything that is wrong with them.
    pub fn read(settings: &str) -> Result<Self, Vec<Problem>> {
        let settings: Map<String, Value> = serde_json::from_str(settings).map_err(|error| {
            vec![Problem { message: format!("the settings are not a table: {error}"), ..Problem::default() }]
        })?;
        let mut problems = Vec::new();
        let mut problem = |pointer: String, message: String, hint: Option<&str>| {
            problems.push(Problem { pointer, message, hint: hint.map(str::to_owned) });
        };
        for key in settings.keys().filter(|key| *key != "days") {
            let message = format!("there is no setting `{key}`");
            problem(format!("/{}", escape(key)), message, Some("there is `days`"));
        }
        let mut policy = Self::default();
        match settings.get("days").map(|days| days.as_array().filter(|days| !days.is_empty())) {
            None => {}
            Some(None) => {
                problem("/days".to_owned(), "not a list of days".to_owned(), Some("days = [30, 14, 7, 1]"));
            }
            Some(Some(days)) => {
                policy.days.clear();
                for (index, day) in days.iter().enumerate() {
                    match day.as_u64().and_then(|day| i32::try_from(day).ok()) {
                        Some(day) => policy.days.push(day.into()),
                        None => {
                            problem(format!("/days/{index}"), "not a whole number from 0".to_owned(), None);
                        }
                    }
                }
            }
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// What is to be said about one fact of a token now, if anything.
    pub fn remind(&self, now: i64, token: &str, fact: &Fact<'_>) -> Option<Reminder> {
        let what = format!("{} {}", fact.kind, fact.name).trim().to_owned();
        if let Some((message, advice)) = fact.trouble {
            return Some(Reminder {
                threshold: Some(0),
                severity: Severity::Critical,
                subject: format!("{token}: {message}"),
                text: format!("{message}\n{advice}").trim().to_owned(),
            });
        }
        let left = fact.ends.map(|ends| ends.saturating_sub(now));
        let due = left.and_then(|left| self.days.iter().filter(|day| left <= **day * DAY).min());
        if let (Some(left), Some(day)) = (left, due) {
            let when = match left {
                0.. => format!("ends in {} days", left / DAY),
                _ => "has ended".to_owned(),
            };
            return Some(Reminder {
                threshold: Some(day * DAY),
                severity: match day {
                    ..=1 => Severity::Critical,
                    ..=7 => Severity::Warning,
                    _ => Severity::Info,
                },
                subject: format!("{token}: {what} {when}"),
                text: format!("The {what} of {token} {when}."),
            });
        }
        fact.told.then(|| Reminder {
            threshold: None,
            severity: Severity::Info,
            subject: format!("{token}: {what} is well again"),
            text: format!("Nothing more is to be done about the {what} of {token}."),
        })
    }
}

/// A step of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
