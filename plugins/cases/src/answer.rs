//! A policy's answer, and the words that a case file expects it in.

use std::fmt::{self, Write as _};

use jiff::Timestamp;

use crate::{Case, Question};

/// What a policy answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The settings are wrong.
    Problems(Vec<Problem>),
    /// The settings are right, and this is what the policy asks for with them: fields of a device,
    /// and columns of tables.
    Asks {
        /// Fields by the contract's names, with underscores.
        reads: Vec<String>,
        /// Tables and columns.
        tables: Vec<(String, Vec<String>)>,
    },
    /// One for each device.
    Verdicts(Vec<Verdict>),
    /// Those due for each token.
    Reminders(Vec<Vec<Reminder>>),
    /// About the plan.
    Opinion(Opinion),
    /// The policy failed, and this says how.
    Fault(String),
}

/// Something that is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub pointer: String,
    /// What.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// What is to become of a device, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is to become of it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

/// What is to become of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets this profile.
    Assign(String),
    /// It stays as it is, perhaps with a time until then, in seconds since 1970.
    Hold(Option<u64>),
    /// It is left alone.
    Ignore,
    /// The policy failed on it.
    Fault,
}

/// Something people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// About which fact.
    pub fact: usize,
    /// When.
    pub occasion: Occasion,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// Where to; empty for everywhere.
    pub channels: Vec<String>,
    /// One line.
    pub subject: String,
    /// Several lines.
    pub text: String,
}

/// When a fact is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// So many seconds before its end, or since trouble began, as a negative number.
    Threshold(i64),
    /// All is well again.
    Recovered,
}

/// Whether a plan may go ahead, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opinion {
    /// `approve`, `ask` or `refuse`.
    pub decision: String,
    /// One line or several.
    pub reason: String,
}

impl Answer {
    /// The answer as a case file expects it.
    pub fn in_words(&self, case: &Case) -> String {
        let mut words = String::new();
        // Writing to a text cannot fail.
        let _ = self.write(case, &mut words);
        words
    }

    fn write(&self, case: &Case, words: &mut String) -> fmt::Result {
        match self {
            Self::Fault(message) => writeln!(words, "fault: {message}"),
            Self::Problems(problems) => problems.iter().try_for_each(|problem| {
                let pointer = if problem.pointer.is_empty() { "/" } else { &problem.pointer };
                write!(words, "{pointer}: {}", problem.message)?;
                match &problem.hint {
                    Some(hint) => writeln!(words, " ({hint})"),
                    None => writeln!(words),
                }
            }),
            Self::Asks { reads, tables } => {
                if !reads.is_empty() {
                    writeln!(words, "reads {}", reads.join(", "))?;
                }
                tables.iter().try_for_each(|(table, columns)| {
                    let columns =
                        if columns.is_empty() { String::new() } else { format!(": {}", columns.join(", ")) };
                    writeln!(words, "looks into {table}{columns}")
                })
            }
            Self::Verdicts(verdicts) => {
                let Question::Assignment(devices) = &case.question else {
                    return writeln!(words, "{} verdicts", verdicts.len());
                };
                devices.iter().zip(verdicts).try_for_each(|(device, verdict)| {
                    writeln!(words, "{} {}: {}", device.serial_number, verdict.decision, verdict.reason)
                })
            }
            Self::Reminders(reminders) => {
                let Question::Reminder(tokens) = &case.question else {
                    return writeln!(words, "{} lists of reminders", reminders.len());
                };
                tokens.iter().zip(reminders).try_for_each(|(token, reminders)| {
                    reminders.iter().try_for_each(|reminder| {
                        let fact = token.facts.get(reminder.fact);
                        let kind = fact.map_or("no such fact", |fact| &fact.kind);
                        reminder.write(&token.name, kind, case.texts, words)
                    })
                })
            }
            Self::Opinion(Opinion { decision, reason }) => {
                let lines: Vec<&str> = reason.lines().collect();
                writeln!(words, "{decision}: {}", lines.join("\n  "))
            }
        }
    }
}

impl Reminder {
    fn write(&self, token: &str, kind: &str, texts: bool, words: &mut String) -> fmt::Result {
        let Self { occasion, severity, channels, subject, .. } = self;
        let channels = if channels.is_empty() { "everywhere".to_owned() } else { channels.join(", ") };
        writeln!(words, "{token} {kind} {occasion}, {severity}, {channels}: {subject}")?;
        if texts {
            for line in self.text.lines() {
                writeln!(words, "{}", format!("  {line}").trim_end())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assign(profile) => write!(f, "assign {profile}"),
            Self::Hold(None) => write!(f, "hold"),
            Self::Hold(Some(until)) => {
                let moment = i64::try_from(*until).ok().and_then(|it| Timestamp::from_second(it).ok());
                match moment {
                    Some(moment) => write!(f, "hold until {moment}"),
                    None => write!(f, "hold until {until} seconds after 1970"),
                }
            }
            Self::Ignore => write!(f, "ignore"),
            Self::Fault => write!(f, "fault"),
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = match self {
            Self::Recovered => return write!(f, "recovered"),
            Self::Threshold(0) => return write!(f, "at once"),
            Self::Threshold(seconds) => seconds,
        };
        let side = if *seconds > 0 { "before" } else { "on" };
        let length = seconds.unsigned_abs();
        let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
        let (unit, name) = units.into_iter().find(|(unit, _)| length % unit == 0).unwrap_or((1, "s"));
        write!(f, "{}{name} {side}", length / unit)
    }
}
