//! Who hears about a server token, when, and in which words.
//!
//! [`due`] says what is due about a fact at a moment; [`words`] says it in a language. The settings are
//! described in the README beside this crate, for people who write them.

mod due;
mod words;

use deputy_policy::reminder::{Context, Fact, Reminder as Message, Severity, Token};
use deputy_policy::settings::{At, Value};
use deputy_policy::time::DAY;
use deputy_policy::{Policy, Reminder, Setup, Tables};

use due::{Due, Schedule};
use words::Words;

deputy_policy::export!(Reminders: reminder);

/// When people are told, how urgently, where, and in which words.
#[derive(Clone, Debug)]
pub struct Reminders {
    schedule: Schedule,
    /// Channels by severity: info, warning, critical. None: all of them.
    channels: [Option<Vec<String>>; 3],
    quiet: Vec<&'static str>,
    words: Words,
}

const KEYS: [&str; 7] = ["channels", "language", "quiet", "repeat", "severity", "texts", "thresholds"];
const SEVERITIES: [&str; 3] = ["info", "warning", "critical"];

impl Policy for Reminders {
    const SUMMARY: &'static str =
        "tells people in good time what ends or went wrong with a token, and what to do";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: Option<&'static str> = Some(include_str!("settings.schema.json"));

    fn read(settings: At, setup: &Setup) -> Self {
        let settings = settings.table(&KEYS);
        let language = settings.get("language").and_then(|at| at.choice(&words::LANGUAGES));
        let mut words = Words::shipped(language.unwrap_or(words::LANGUAGES[0].1));
        if let Some(texts) = settings.get("texts") {
            words.replace(&texts);
        }
        let quiet = settings.get("quiet").map(|at| at.texts("such as `[\"mdm-certificate\"]`"));
        Self {
            schedule: Schedule {
                thresholds: thresholds(settings.get("thresholds")),
                repeat: repeat(settings.get("repeat")),
                severity: severity(settings.get("severity")),
            },
            channels: channels(settings.get("channels"), setup),
            quiet: quiet.unwrap_or_default().into_iter().map(|(kind, _)| kind).collect(),
            words,
        }
    }
}

/// Spans before the end, in seconds, the smallest first.
fn thresholds(at: Option<At>) -> Vec<u64> {
    let mut thresholds: Vec<u64> = match at {
        None => [1, 3, 7, 14, 30, 60].map(|days| days * DAY).to_vec(),
        Some(at) => {
            at.list("such as `[\"60d\", \"30d\", \"7d\", \"1d\"]`").iter().filter_map(At::span).collect()
        }
    };
    // The end itself is told without being asked for.
    thresholds.retain(|threshold| *threshold > 0);
    thresholds.sort_unstable();
    thresholds.dedup();
    thresholds
}

/// How often what is wrong is told again, in seconds.
fn repeat(at: Option<At>) -> Option<u64> {
    let Some(at) = at else { return Some(DAY) };
    if *at.value() == Value::Text("never") {
        return None;
    }
    let span = at.span().unwrap_or(DAY);
    if span < 60 * 60 {
        at.problem_with_hint("nobody reads what comes so often", "write `\"1d\"`, `\"7d\"` or `\"never\"`");
    }
    Some(span.max(60 * 60))
}

/// From how many seconds before the end on something is a warning, and from how many it is critical.
fn severity(at: Option<At>) -> [u64; 2] {
    let mut limits = [30 * DAY, 7 * DAY];
    if let Some(at) = at {
        let table = at.table(&SEVERITIES[1..]);
        for (limit, key) in limits.iter_mut().zip(&SEVERITIES[1..]) {
            *limit = table.get(key).and_then(|at| at.span()).unwrap_or(*limit);
        }
        if limits[0] < limits[1] {
            at.problem("`critical` begins before `warning`, so nothing is ever a warning");
        }
    }
    limits
}

fn channels(at: Option<At>, setup: &Setup) -> [Option<Vec<String>>; 3] {
    let Some(at) = at else { return [None, None, None] };
    let table = at.table(&SEVERITIES);
    SEVERITIES.map(|severity| {
        let list = table.get(severity)?.list("such as `[\"ops\"]`");
        let indices = list.iter().filter_map(|at| at.name_of("channel", &setup.channels));
        Some(indices.map(|index| setup.channels[index as usize].clone()).collect())
    })
}

impl Reminder for Reminders {
    fn remind(&self, context: &Context, tokens: &[Token], _: &dyn Tables) -> Vec<Vec<Message>> {
        let messages = |token: &Token| {
            let facts = token.facts.iter().enumerate();
            let facts = facts.filter(|(_, fact)| !self.quiet.contains(&fact.kind.as_str()));
            facts.filter_map(|(index, fact)| self.message(context, token, fact, index as u32)).collect()
        };
        tokens.iter().map(messages).collect()
    }
}

impl Reminders {
    fn message(&self, context: &Context, token: &Token, fact: &Fact, index: u32) -> Option<Message> {
        let due = self.schedule.due(fact, context.now)?;
        let Due { occasion, severity, .. } = due;
        let channels = self.channels_of(&due, context)?;
        let (subject, text) = self.words.say(&due, token, fact, context);
        Some(Message { fact: index, occasion, severity, channels, subject, text })
    }

    /// Where it goes: empty for everywhere, nothing for nowhere.
    fn channels_of(&self, due: &Due, context: &Context) -> Option<Vec<u32>> {
        // Whoever heard of trouble hears that it is over.
        let names: Option<Vec<String>> = match due.is_recovery() {
            true => self.channels.iter().cloned().collect::<Option<Vec<_>>>().map(|lists| lists.concat()),
            false => self.channels[severity_index(due.severity)].clone(),
        };
        let Some(names) = names else { return Some(Vec::new()) };
        let channels = context.channels.iter().enumerate().filter(|(_, name)| names.contains(name));
        let channels: Vec<u32> = channels.map(|(index, _)| index as u32).collect();
        // No channel is not every channel.
        (!channels.is_empty()).then_some(channels)
    }
}

fn severity_index(severity: Severity) -> usize {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}
