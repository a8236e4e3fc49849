//! A workflow file as it is typed, and how it comes to mean a [`Workflow`].

use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::promises::{self, PingTable};
use super::{Full, Missed, OnFault, Overlap, Retry, Step, Timing, When, Workflow};
use crate::document::{Findings, Mistakes, Source, Version1};
use crate::duration::Span;
use crate::id::ProfileName;
use crate::plan::Rails;
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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleTable {
    /// Five fields: minute, hour, day of month, month, weekday (0 and 7 are Sunday). Six with
    /// seconds in front. Or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schemars(example = "*/15 * * * *")]
    cron: String,
    /// An IANA name such as `Europe/Paris`. Default: the machine's.
    #[serde(default)]
    timezone: Option<String>,
    /// Start up to this much later, always the same for the same workflow. Default: at once.
    #[serde(default)]
    jitter: Option<String>,
    /// Times that passed while Deputy was off: `run-once` now, or `skip` them.
    #[serde(default)]
    missed: Missed,
    /// A time that comes during a run: `skip` it, or `queue` one more run.
    #[serde(default)]
    overlap: Overlap,
    /// Stop a run that takes longer. Default: `1h`.
    #[serde(default)]
    timeout: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "uses", rename_all = "kebab-case", deny_unknown_fields)]
enum StepTable {
    /// Ask Apple what changed and store it.
    Sync {
        /// Fetch every device when the last complete list is older than this, else the changes. It
        /// finds what Apple never reported as a change. At least `1h`. Default: `1d`.
        #[serde(default)]
        full_every: Option<String>,
        /// What to do when Apple does not answer.
        #[serde(default)]
        retry: Option<RetryTable>,
    },
    /// Ask a policy about every device.
    Decide {
        /// A plugin of `deputy.toml`.
        #[schemars(example = &"rules")]
        policy: String,
        /// What becomes of a device that the policy fails on: `hold` leaves it as it is, `fail` does
        /// nothing for the token, `{ assign = "PROFILE" }` gives it a profile if it has none. Default: `hold`.
        #[serde(default)]
        on_fault: Option<OnFaultValue>,
    },
    /// Work out what to do from what is and what the policy wants.
    Plan {
        /// How much one run may change.
        #[serde(default)]
        rails: Option<RailsTable>,
        /// A plugin of `deputy.toml` that is asked whether the plan may go ahead, once the rails let it pass.
        #[serde(default)]
        #[schemars(example = &"guard")]
        review: Option<String>,
    },
    /// Carry out the plan.
    Apply {
        /// What to do when Apple does not answer.
        #[serde(default)]
        retry: Option<RetryTable>,
        /// Ask Apple about the devices it says are assigned, and store what it shows: one call more
        /// for 1,000 devices. Default: false.
        #[serde(default)]
        read_back: bool,
    },
    /// Tell people what of a token ends or went wrong.
    Remind {
        /// A plugin of `deputy.toml` that says who is told what, and when. Default: the policy `reminders` that
        /// is part of Deputy, with its default settings.
        #[serde(default)]
        #[schemars(example = &"reminders")]
        policy: Option<String>,
        /// Channels of `deputy.toml`. Default: all.
        #[serde(default)]
        channels: Option<Vec<String>>,
        /// Look once a day, directly, at the certificates of the web servers that profiles point to. Default: true.
        #[serde(default)]
        look_at_servers: Option<bool>,
        /// Not here any more: a setting of the reminder policy.
        #[serde(default)]
        #[schemars(extend("deprecated" = true))]
        thresholds: Option<Vec<String>>,
    },
    /// Tell people what the run did.
    Notify {
        /// Which runs: `always`, `changed`, `failed`, `needs-attention`.
        #[serde(default)]
        when: When,
        /// Channels of `deputy.toml`. Default: all.
        #[serde(default)]
        channels: Option<Vec<String>>,
    },
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OnFaultValue {
    // The two words are one choice in the schema as long as neither has words of its own.
    Hold,
    Fail,
    Assign(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RetryTable {
    /// How often to try in all. Default: 3.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    attempts: Option<u32>,
    /// The pause before the second try; it doubles each time. Default: `5s`.
    #[serde(default)]
    backoff: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RailsTable {
    /// The most devices of a token that one run may give their first profile. Default: 5000.
    #[serde(default)]
    first_assignments: Option<u64>,
    /// The most devices of a token that one run may move from one profile to another. Default: 25.
    #[serde(default)]
    reassignments: Option<u64>,
    /// Devices on these profiles are not moved: a plan that would is refused.
    #[serde(default)]
    protect_profiles: Vec<String>,
}

impl Workflow {
    /// The workflow in a file, or all that is wrong with it. `machine_zone` is the time zone of a
    /// schedule that names none.
    pub fn parse(source: Source<'_>, machine_zone: &TimeZone) -> Result<Self, Mistakes> {
        let file: WorkflowFile = source.read()?;
        let mut findings = Findings::new(source);
        let name = findings.parse("/name", &file.name);
        if file.name.ends_with("-by-hand") {
            let help = "choose another name".to_owned();
            findings.at(
                "/name",
                "names that end in `-by-hand` are for what people do themselves",
                Some(help),
            );
        }
        let tokens = file.tokens.as_ref().map(|tokens| findings.parse_all("/tokens", tokens));
        let timing = file.schedule.as_ref().map(|table| timing(table, machine_zone, &mut findings));
        let timeout = file.schedule.as_ref().and_then(|table| table.timeout.as_deref());
        let timeout = span("/schedule/timeout", timeout, "1h", &mut findings);
        let steps = file.steps.iter().enumerate();
        let steps: Vec<Step> = steps
            .filter_map(|(index, table)| step(&format!("/steps/{index}"), table, &mut findings))
            .collect();
        check_order(&file.steps, &mut findings);
        let promises = promises::meant(file.fresh_within.as_deref(), file.ping.as_ref(), &mut findings);
        match (name, timing) {
            (Some(name), timing) if timing.as_ref().is_none_or(Option::is_some) => {
                findings.finish()?;
                let description = file.description.unwrap_or_default();
                Ok(Self { name, description, tokens, timing: timing.flatten(), timeout, promises, steps })
            }
            _ => Err(findings.into_mistakes()),
        }
    }
}

fn timing(table: &ScheduleTable, machine_zone: &TimeZone, findings: &mut Findings<'_>) -> Option<Timing> {
    let expression: Option<Expression> = findings.parse("/schedule/cron", &table.cron);
    let timezone = match &table.timezone {
        None => Some(machine_zone.clone()),
        Some(name) => TimeZone::get(name).ok().or_else(|| {
            let help = "an IANA name, such as `Europe/Paris` or `UTC`";
            findings.at(
                "/schedule/timezone",
                format!("no time zone is called `{name}`"),
                Some(help.to_owned()),
            );
            None
        }),
    };
    let jitter = span("/schedule/jitter", table.jitter.as_deref(), "0s", findings);
    Some(Timing {
        schedule: Schedule::new(expression?, timezone?),
        jitter,
        missed: table.missed,
        overlap: table.overlap,
    })
}

fn step(pointer: &str, table: &StepTable, findings: &mut Findings<'_>) -> Option<Step> {
    let mut list = |key: &str, channels: &Option<Vec<String>>| {
        channels.as_ref().map(|channels| findings.parse_all(&format!("{pointer}/{key}"), channels))
    };
    Some(match table {
        StepTable::Sync { full_every, retry } => Step::Sync {
            full: Full::Every(full_every_span(pointer, full_every.as_deref(), findings)),
            retry: self::retry(pointer, retry, findings),
        },
        StepTable::Decide { policy, on_fault } => {
            let on_fault = match on_fault {
                None | Some(OnFaultValue::Hold) => Some(OnFault::Hold),
                Some(OnFaultValue::Fail) => Some(OnFault::Fail),
                Some(OnFaultValue::Assign(profile)) => {
                    findings.parse(&format!("{pointer}/on_fault/assign"), profile).map(OnFault::Assign)
                }
            };
            Step::Decide {
                policy: findings.parse(&format!("{pointer}/policy"), policy)?,
                on_fault: on_fault?,
            }
        }
        StepTable::Plan { rails, review } => {
            let rails = self::rails(pointer, rails, findings);
            let review = match review {
                Some(review) => Some(findings.parse(&format!("{pointer}/review"), review)?),
                None => None,
            };
            Step::Plan { rails, review }
        }
        StepTable::Apply { retry, read_back } => {
            Step::Apply { retry: self::retry(pointer, retry, findings), read_back: *read_back }
        }
        StepTable::Remind { policy, channels, look_at_servers, thresholds } => {
            let channels = list("channels", channels);
            if thresholds.is_some() {
                let help = "delete this line; for other thresholds than 60, 30, 14, 7, 3 and 1 days, write them under \
                    `[plugins.reminders.settings]` in deputy.toml, and `policy = \"reminders\"` here";
                findings.at(
                    &format!("{pointer}/thresholds"),
                    "thresholds are a setting of the reminder policy now",
                    Some(help.to_owned()),
                );
            }
            let policy = match policy {
                Some(policy) => Some(findings.parse(&format!("{pointer}/policy"), policy)?),
                None => None,
            };
            Step::Remind { policy, channels, look_at_servers: look_at_servers.unwrap_or(true) }
        }
        StepTable::Notify { when, channels } => {
            Step::Notify { when: *when, channels: list("channels", channels) }
        }
    })
}

fn full_every_span(pointer: &str, typed: Option<&str>, findings: &mut Findings<'_>) -> Duration {
    let pointer = format!("{pointer}/full_every");
    let Some(Span(every)) = findings.parse(&pointer, typed.unwrap_or("1d")) else { return Full::SHORTEST };
    if every < Full::SHORTEST {
        let help = format!("write `{}` or more", Span(Full::SHORTEST));
        findings.at(&pointer, "a full list more than once an hour is more than Apple wants", Some(help));
    }
    every
}

fn retry(pointer: &str, table: &Option<RetryTable>, findings: &mut Findings<'_>) -> Retry {
    let backoff = table.as_ref().and_then(|table| table.backoff.as_deref());
    Retry {
        attempts: table.as_ref().and_then(|table| table.attempts).unwrap_or(3),
        backoff: span(&format!("{pointer}/retry/backoff"), backoff, "5s", findings),
    }
}

fn rails(pointer: &str, table: &Option<RailsTable>, findings: &mut Findings<'_>) -> Rails {
    let mut rails = Rails::default();
    if let Some(table) = table {
        rails.first_assignments = table.first_assignments.unwrap_or(rails.first_assignments);
        rails.reassignments = table.reassignments.unwrap_or(rails.reassignments);
        let protected: Vec<ProfileName> =
            findings.parse_all(&format!("{pointer}/rails/protect_profiles"), &table.protect_profiles);
        rails.protect_profiles = protected.into_iter().collect();
    }
    rails
}

fn span(pointer: &str, typed: Option<&str>, default: &str, findings: &mut Findings<'_>) -> Duration {
    let span: Option<Span> = findings.parse(pointer, typed.unwrap_or(default));
    span.map_or(Duration::ZERO, |span| span.0)
}

/// A plan needs verdicts and applying needs a plan, from earlier in the same workflow; each comes
/// once; and what concerns devices comes before people are told.
fn check_order(steps: &[StepTable], findings: &mut Findings<'_>) {
    let (mut decided, mut planned, mut applied, mut told) = (false, false, false, false);
    for (index, step) in steps.iter().enumerate() {
        let pointer = format!("/steps/{index}/uses");
        let mut wrong = |message: &str, help: &str| findings.at(&pointer, message, Some(help.to_owned()));
        match step {
            StepTable::Remind { .. } | StepTable::Notify { .. } => told = true,
            _ if told => wrong(
                "this step concerns devices, and comes after one that tells people",
                "put `remind` and `notify` at the end",
            ),
            StepTable::Decide { .. } => decided = true,
            StepTable::Plan { .. } if planned => {
                wrong("a workflow plans once", "make another workflow of the rest");
            }
            StepTable::Plan { .. } => {
                planned = true;
                if !decided {
                    let help = "put a step `uses = \"decide\"` with a `policy` before it";
                    wrong("`plan` has no verdicts to plan from", help);
                }
            }
            StepTable::Apply { .. } if applied => {
                wrong("a workflow applies its plan once", "make another workflow of the rest");
            }
            StepTable::Apply { .. } => {
                applied = true;
                if !planned {
                    wrong("`apply` has no plan to carry out", "put a step `uses = \"plan\"` before it");
                }
            }
            StepTable::Sync { .. } => {}
        }
    }
}
