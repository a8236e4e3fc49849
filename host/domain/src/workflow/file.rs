//! A workflow file as it is typed: its frame. The steps are in [`super::steps`].

use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::promises::{self, PingTable};
use super::steps::{self, StepTable};
use super::{Defaults, Missed, Mode, Names, Overlap, Timing, Workflow};
use crate::document::{Findings, Mistakes, Source, Version1, nearest};
use crate::duration::Span;
use crate::id::TokenName;
use crate::schedule::{Expression, Schedule};

/// A Deputy workflow: what to do, in which order, and when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deputy workflow")]
#[allow(missing_docs, reason = "documented by the format's own schema")]
pub struct WorkflowFile {
    #[allow(dead_code, reason = "read for its check alone")]
    version: Version1,
    /// The workflow's name, unique among the workflows.
    #[schemars(example = "auto-assign")]
    name: String,
    /// Why it is there, for whoever reads the list.
    #[serde(default)]
    description: Option<String>,
    /// Whether it runs by itself. `false`: it is checked and listed, and its times go by. Default: `true`.
    #[serde(default)]
    enabled: Option<bool>,
    /// Whether it does what it decides: `live`, or `shadow` to decide, plan and record everything and send
    /// nothing. Default: `live`.
    #[serde(default)]
    mode: Mode,
    /// The tokens whose devices it handles. Default: all.
    #[serde(default)]
    tokens: Option<Vec<String>>,
    /// When it runs by itself. Without it, only `deputy run NAME` starts it.
    #[serde(default)]
    schedule: Option<ScheduleTable>,
    /// No device of its tokens is without the profile it is to have for longer. Watched after each run and also while
    /// none happens; told once when that is broken and once when it is so again.
    #[serde(default)]
    #[schemars(example = "4h")]
    fresh_within: Option<String>,
    /// A call after each good run, to an address that raises the alarm when none comes.
    #[serde(default)]
    ping: Option<PingTable>,
    /// What it does, in order.
    #[schemars(length(min = 1))]
    steps: Vec<StepTable>,
}

/// When a workflow runs by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleTable {
    /// Five fields: minute, hour, day of month, month, weekday (0 and 7 are Sunday). Six with
    /// seconds in front. Or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schemars(example = "*/15 * * * *")]
    cron: String,
    /// An IANA name such as `Europe/Paris`. Default: that of `[defaults]`, else the machine's.
    #[serde(default)]
    timezone: Option<String>,
    /// Start up to this much later, always the same for the same workflow. Default: that of `[defaults]`,
    /// else at once.
    #[serde(default)]
    jitter: Option<String>,
    /// Times that passed while Deputy was off: `run-once` now, or `skip` them. Default: that of `[defaults]`,
    /// else `run-once`.
    #[serde(default)]
    missed: Option<Missed>,
    /// A time that comes during a run: `skip` it, or `queue` one more run. Default: that of `[defaults]`,
    /// else `skip`.
    #[serde(default)]
    overlap: Option<Overlap>,
    /// Stop a run that takes longer. Default: that of `[defaults]`, else `1h`.
    #[serde(default)]
    timeout: Option<String>,
}

impl Workflow {
    /// The workflow in a file, or all that is wrong with it. What it does not say comes from `defaults`.
    pub fn parse(source: Source<'_>, defaults: &Defaults) -> Result<Self, Mistakes> {
        Self::read(source, defaults, None)
    }

    /// The same, with the names that the operator has given to things: another one is a mistake.
    pub fn read(source: Source<'_>, defaults: &Defaults, names: Option<&Names>) -> Result<Self, Mistakes> {
        let (file, mut findings) = source.salvage::<WorkflowFile>();
        let Some(file) = file else { return Err(findings.into_mistakes()) };
        let name = findings.parse("/name", &file.name);
        if file.name.ends_with("-by-hand") {
            let help = "choose another name".to_owned();
            findings.at(
                "/name",
                "names that end in `-by-hand` are for what people do themselves",
                Some(help),
            );
        }
        let tokens = file.tokens.as_ref().map(|tokens| self::tokens(tokens, names, &mut findings));
        let timing = file.schedule.as_ref().map(|table| timing(table, defaults, &mut findings));
        let timeout = file.schedule.as_ref().and_then(|table| table.timeout.as_deref());
        let timeout = self::timeout("/schedule/timeout", timeout, defaults.timeout, &mut findings);
        let steps = steps::meant(&file.steps, defaults, names, &mut findings);
        let promises = promises::meant(file.fresh_within.as_deref(), file.ping.as_ref(), &mut findings);
        match (name, timing) {
            (Some(name), timing) if timing.as_ref().is_none_or(Option::is_some) => {
                findings.finish()?;
                let (description, enabled) =
                    (file.description.unwrap_or_default(), file.enabled.unwrap_or(true));
                let (mode, timing) = (file.mode, timing.flatten());
                Ok(Self { name, description, enabled, mode, tokens, timing, timeout, promises, steps })
            }
            _ => Err(findings.into_mistakes()),
        }
    }
}

fn tokens(typed: &[String], names: Option<&Names>, findings: &mut Findings<'_>) -> Vec<TokenName> {
    if typed.is_empty() {
        let help = "leave the key out for all tokens; `enabled = false` switches the workflow off".to_owned();
        findings.at("/tokens", "a workflow for no token does nothing", Some(help));
    }
    let mut tokens: Vec<TokenName> = Vec::new();
    for (nth, text) in typed.iter().enumerate() {
        let at = format!("/tokens/{nth}");
        let Some(token) = findings.parse(&at, text) else { continue };
        if tokens.contains(&token) {
            findings.at(&at, format!("`{token}` is in this list already"), None);
        }
        if let Some(names) = names {
            names.check_token(&at, text, findings);
        }
        tokens.push(token);
    }
    tokens
}

fn timing(table: &ScheduleTable, defaults: &Defaults, findings: &mut Findings<'_>) -> Option<Timing> {
    let expression = Expression::typed("/schedule/cron", &table.cron, findings);
    let timezone = zone("/schedule/timezone", table.timezone.as_deref(), &defaults.timezone, findings);
    let jitter = jitter("/schedule/jitter", table.jitter.as_deref(), defaults.jitter, findings);
    Some(Timing {
        schedule: Schedule::new(expression?, timezone?),
        jitter,
        missed: table.missed.unwrap_or(defaults.missed),
        overlap: table.overlap.unwrap_or(defaults.overlap),
    })
}

/// The zone that is typed at `at`.
pub(super) fn zone(
    at: &str,
    typed: Option<&str>,
    without: &TimeZone,
    findings: &mut Findings<'_>,
) -> Option<TimeZone> {
    let Some(name) = typed else { return Some(without.clone()) };
    TimeZone::get(name).ok().or_else(|| {
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        let city = |zone: &&String| {
            zone.rsplit_once('/').is_some_and(|(_, city)| city.eq_ignore_ascii_case(name.trim()))
        };
        let near = known.iter().find(city).map(String::as_str);
        let near = near.or_else(|| nearest(name, known.iter().map(String::as_str)));
        let help = near.map_or_else(
            || "an IANA name, such as `Europe/Paris` or `UTC`".to_owned(),
            |zone| format!("did you mean `{zone}`?"),
        );
        findings.at(at, format!("no time zone is called `{name}`"), Some(help));
        None
    })
}

/// The span that is typed at `at`.
pub(super) fn span(
    at: &str,
    typed: Option<&str>,
    without: Duration,
    findings: &mut Findings<'_>,
) -> Duration {
    let Some(typed) = typed else { return without };
    findings.parse(at, typed).map_or(without, |Span(span)| span)
}

/// The limit on a run that is typed at `at`.
pub(super) fn timeout(
    at: &str,
    typed: Option<&str>,
    without: Duration,
    findings: &mut Findings<'_>,
) -> Duration {
    let timeout = span(at, typed, without, findings);
    if timeout.is_zero() {
        let help = "write how long a run may take, such as `1h`, or leave the key out".to_owned();
        findings.at(at, "nothing is done in no time", Some(help));
    }
    timeout
}

/// A run that starts later than this is that of another day.
const LONGEST_JITTER: Duration = Duration::from_secs(24 * 3_600);

/// The jitter that is typed at `at`.
pub(super) fn jitter(
    at: &str,
    typed: Option<&str>,
    without: Duration,
    findings: &mut Findings<'_>,
) -> Duration {
    let jitter = span(at, typed, without, findings);
    if jitter > LONGEST_JITTER {
        let help = "write at most `1d`; a few minutes spread the load".to_owned();
        findings.at(at, "a run that much later is none of its time any more", Some(help));
    }
    jitter
}
