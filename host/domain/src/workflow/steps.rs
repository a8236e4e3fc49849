//! The steps of a workflow file, as they are typed and as they are meant.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::defaults::RetryTable;
use super::file::span;
use super::rails::RailsTable;
use super::when::{WhenValue, Word};
use super::{Condition, Defaults, Full, Names, OnFault, Step, Uses, When};
use crate::document::{Findings, suggestion};
use crate::duration::Span;
use crate::id::StepId;

/// What is done for each token apart, or once for the run, in the words of the keys that say more of it.
macro_rules! scope {
    (each_token done) => {
        "for each token apart: a word, or what became of steps before it. Default: `succeeded`."
    };
    (each_token stopped) => {
        " for a token"
    };
    (once done) => {
        "once for the run: a word, or what became of steps before it. Default: `always`."
    };
    (once stopped) => {
        ""
    };
}

/// The table of each step: the keys that every step has, and its own. They stand in each of the tables, because a
/// key that is nowhere known has to be a mistake.
macro_rules! tables {
    ($(
        $(#[$about:meta])*
        $step:ident, $word:literal, $scope:ident {
            $($(#[$key:meta])* $name:ident: $kind:ty,)*
        }
    )*) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(tag = "uses", rename_all = "kebab-case", deny_unknown_fields)]
        pub(super) enum StepTable {
            $(
                $(#[$about])*
                $step {
                    #[doc = concat!(
                        "What conditions, reports and the log call it. Default: `", $word, "`, then `", $word, "-2` and so on."
                    )]
                    #[serde(default)]
                    id: Option<String>,
                    #[doc = concat!("Whether it is done, ", scope!($scope done))]
                    #[serde(default)]
                    when: Option<WhenValue<Word>>,
                    #[doc = concat!("Stop it", scope!($scope stopped), " if it takes longer. Default: only the run's own limit.")]
                    #[serde(default)]
                    timeout: Option<String>,
                    $($(#[$key])* $name: $kind,)*
                },
            )*
            /// Tell people what the run did.
            Notify {
                /// What reports and the log call it. Default: `notify`, then `notify-2` and so on.
                #[serde(default)]
                id: Option<String>,
                /// Which runs: `always`, `changed`, `failed`, `needs-attention`, or what became of steps before it in one
                /// of the tokens. Default: `changed`.
                #[serde(default)]
                when: Option<WhenValue<When>>,
                /// Channels of `deputy.toml`. Default: those of `[defaults]`, else all.
                #[serde(default)]
                channels: Option<Vec<String>>,
            },
        }

        impl StepTable {
            /// The word for it, what the file calls it, and the condition and the limit of all but `notify`.
            fn shared(&self) -> Shared<'_> {
                match self {
                    $(Self::$step { id, when, timeout, .. } => Shared {
                        uses: $word,
                        id: id.as_deref(),
                        when: when.as_ref(),
                        timeout: timeout.as_deref(),
                    },)*
                    Self::Notify { id, .. } => {
                        Shared { uses: "notify", id: id.as_deref(), when: None, timeout: None }
                    }
                }
            }
        }
    };
}

tables! {
    /// Ask Apple what changed and store it.
    Sync, "sync", each_token {
        /// Fetch every device when the last complete list is older than this, else the changes. It
        /// finds what Apple never reported as a change. At least `1h`. Default: `1d`.
        #[serde(default)]
        full_every: Option<String>,
        /// What to do when Apple does not answer. Default: that of `[defaults]`.
        #[serde(default)]
        retry: Option<RetryTable>,
    }
    /// Ask a policy about every device. A second one in the same workflow is asked about the devices that
    /// those before it ignored: the first that does not ignore a device decides.
    Decide, "decide", each_token {
        /// A plugin of `deputy.toml`.
        #[schemars(example = &"rules")]
        policy: String,
        /// What becomes of a device that the policy fails on: `hold` leaves it as it is, `fail` does
        /// nothing for the token, `{ assign = "PROFILE" }` gives it a profile if it has none. Default: `hold`.
        #[serde(default)]
        on_fault: Option<OnFaultValue>,
    }
    /// Work out what to do from what is and what the policies want that were asked since the plan before.
    Plan, "plan", each_token {
        /// How much one run may change. Default: the rails of `[defaults]`, key by key.
        #[serde(default)]
        rails: Option<RailsTable>,
        /// A plugin of `deputy.toml` that is asked whether the plan may go ahead, once the rails let it pass.
        #[serde(default)]
        #[schemars(example = &"guard")]
        review: Option<String>,
        /// For so long a plan waits for a person, if it breaks a rail or its review asks; then it lapses. Default:
        /// that of `[defaults]`, else `3d`.
        #[serde(default)]
        approve_within: Option<String>,
    }
    /// Carry out the plan before it.
    Apply, "apply", each_token {
        /// What to do when Apple does not answer. Default: that of `[defaults]`.
        #[serde(default)]
        retry: Option<RetryTable>,
        /// Ask Apple about the devices it says are assigned, and store what it shows: one call more
        /// for 1,000 devices. Default: false.
        #[serde(default)]
        read_back: bool,
    }
    /// Tell people what of a token ends or went wrong.
    Remind, "remind", once {
        /// A plugin of `deputy.toml` that says who is told what, and when. Default: the policy `reminders` that
        /// is part of Deputy, with its default settings.
        #[serde(default)]
        #[schemars(example = &"reminders")]
        policy: Option<String>,
        /// Channels of `deputy.toml`. Default: those of `[defaults]`, else all.
        #[serde(default)]
        channels: Option<Vec<String>>,
        /// Look once a day, directly, at the certificates of the web servers that profiles point to. Default: true.
        #[serde(default)]
        look_at_servers: Option<bool>,
        /// Not here any more: a setting of the reminder policy.
        #[serde(default)]
        #[schemars(extend("deprecated" = true))]
        thresholds: Option<Vec<String>>,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnFaultValue {
    // The two words are one choice in the schema as long as neither has words of its own.
    Hold,
    Fail,
    Assign(String),
}

/// What is asked of every step alike.
struct Shared<'a> {
    uses: &'static str,
    id: Option<&'a str>,
    when: Option<&'a WhenValue<Word>>,
    timeout: Option<&'a str>,
}

/// The steps that are meant, in order; their mistakes go to `findings`.
pub(super) fn meant(
    tables: &[StepTable],
    defaults: &Defaults,
    names: Option<&Names>,
    findings: &mut Findings<'_>,
) -> Vec<Step> {
    // What is said of steps before one is right only if all of them are there.
    let complete = !findings.lacks_entries_of("/steps");
    let ids = ids(tables, findings);
    let mut steps = Vec::new();
    for ((index, table), id) in tables.iter().enumerate().zip(&ids) {
        let at = format!("/steps/{index}");
        let when = match table {
            StepTable::Notify { when, .. } => {
                when.as_ref().and_then(|when| when.condition(&format!("{at}/when"), findings))
            }
            _ => table.shared().when.and_then(|when| when.meant(&format!("{at}/when"), findings)),
        };
        if complete {
            check_named(&format!("{at}/when"), when.as_ref(), &ids[..index], findings);
        }
        let timeout = table.shared().timeout.map(|text| {
            let timeout = span(&format!("{at}/timeout"), Some(text), Duration::MAX, findings);
            if timeout.is_zero() {
                let help = "leave the key out for no limit of its own".to_owned();
                findings.at(&format!("{at}/timeout"), "nothing is done in no time", Some(help));
            }
            timeout
        });
        if let Some(names) = names {
            check_names(&at, table, names, findings);
        }
        if let Some(uses) = uses(&at, table, defaults, findings) {
            let step = Step::new(uses);
            steps.push(Step { id: id.clone(), when: when.unwrap_or(step.when), timeout, ..step });
        }
    }
    if complete {
        check_order(tables, findings);
    }
    steps
}

/// The names a step uses are names that the operator has given to something.
fn check_names(at: &str, table: &StepTable, names: &Names, findings: &mut Findings<'_>) {
    let channels = |typed: &Option<Vec<String>>, findings: &mut Findings<'_>| {
        for (nth, channel) in typed.iter().flatten().enumerate() {
            names.check_channel(&format!("{at}/channels/{nth}"), channel, findings);
        }
    };
    match table {
        StepTable::Decide { policy, on_fault, .. } => {
            names.check_plugin(&format!("{at}/policy"), policy, findings);
            if let Some(OnFaultValue::Assign(profile)) = on_fault {
                names.check_profile(&format!("{at}/on_fault/assign"), profile, findings);
            }
        }
        StepTable::Plan { review: Some(review), .. } => {
            names.check_plugin(&format!("{at}/review"), review, findings);
        }
        StepTable::Remind { policy, channels: typed, .. } => {
            if let Some(policy) = policy {
                names.check_plugin(&format!("{at}/policy"), policy, findings);
            }
            if names.channels.is_empty() {
                let help = "add `[channels.log]` with `kind = \"log\"`, or another kind".to_owned();
                let at = format!("{at}/uses");
                findings.at(&at, "deputy.toml has no channel to remind anybody by", Some(help));
            } else {
                channels(typed, findings);
            }
        }
        StepTable::Notify { channels: typed, .. } => channels(typed, findings),
        StepTable::Plan { review: None, .. } | StepTable::Sync { .. } | StepTable::Apply { .. } => {}
    }
}

/// What each step is called: as it says, else as what it does, with a number if that is taken.
fn ids(tables: &[StepTable], findings: &mut Findings<'_>) -> Vec<StepId> {
    let own: Vec<Option<StepId>> = tables
        .iter()
        .enumerate()
        .map(|(index, table)| findings.parse(&format!("/steps/{index}/id"), table.shared().id?))
        .collect();
    let mut taken: BTreeSet<StepId> = BTreeSet::new();
    for (index, id) in own.iter().enumerate() {
        if let Some(id) = id
            && !taken.insert(id.clone())
        {
            let help = "conditions and reports tell steps apart by it".to_owned();
            findings.at(&format!("/steps/{index}/id"), format!("another step has the id `{id}`"), Some(help));
        }
    }
    let free = |table: &StepTable, taken: &BTreeSet<StepId>| {
        let names = (1..).map(|number| match number {
            1 => table.shared().uses.to_owned(),
            _ => format!("{}-{number}", table.shared().uses),
        });
        names.filter_map(|name| name.parse().ok()).find(|id| !taken.contains(id))
    };
    let mut name = |(table, own): (&StepTable, Option<StepId>)| {
        let id = own.or_else(|| free(table, &taken)).expect("some number is free");
        taken.insert(id.clone());
        id
    };
    tables.iter().zip(own).map(&mut name).collect()
}

/// A condition can only be about steps that have been done.
fn check_named(at: &str, when: Option<&Condition>, before: &[StepId], findings: &mut Findings<'_>) {
    let Some(Condition::Of(was, steps)) = when else { return };
    for (nth, step) in steps.iter().enumerate().filter(|(_, step)| !before.contains(step)) {
        let names: Vec<&str> = before.iter().map(StepId::as_str).collect();
        let help = suggestion(step.as_str(), &names);
        let at = format!("{at}/{}/{nth}", was.as_str());
        findings.at(&at, format!("no step before this one is called `{step}`"), help);
    }
}

fn uses(at: &str, table: &StepTable, defaults: &Defaults, findings: &mut Findings<'_>) -> Option<Uses> {
    let mut channels = |typed: &Option<Vec<String>>| match typed {
        Some(channels) => {
            if channels.is_empty() {
                let help = "leave the key out for all channels, or the step for none".to_owned();
                findings.at(&format!("{at}/channels"), "this tells nobody", Some(help));
            }
            Some(findings.parse_all(&format!("{at}/channels"), channels))
        }
        None => defaults.channels.clone(),
    };
    Some(match table {
        StepTable::Sync { full_every, retry, .. } => Uses::Sync {
            full: Full::Every(full_every_span(at, full_every.as_deref(), findings)),
            retry: RetryTable::over(retry.as_ref(), defaults.retry, at, findings),
        },
        StepTable::Decide { policy, on_fault, .. } => {
            let on_fault = match on_fault {
                None | Some(OnFaultValue::Hold) => Some(OnFault::Hold),
                Some(OnFaultValue::Fail) => Some(OnFault::Fail),
                Some(OnFaultValue::Assign(profile)) => {
                    findings.parse(&format!("{at}/on_fault/assign"), profile).map(OnFault::Assign)
                }
            };
            Uses::Decide { policy: findings.parse(&format!("{at}/policy"), policy)?, on_fault: on_fault? }
        }
        StepTable::Plan { rails, review, approve_within, .. } => {
            let rails = RailsTable::over(rails.as_ref(), &defaults.rails, at, findings);
            let approve_within = approve_within.as_deref();
            let approve_within = approval(at, approve_within, defaults.approve_within, findings);
            let review = match review {
                Some(review) => Some(findings.parse(&format!("{at}/review"), review)?),
                None => None,
            };
            Uses::Plan { rails, review, approve_within }
        }
        StepTable::Apply { retry, read_back, .. } => {
            let retry = RetryTable::over(retry.as_ref(), defaults.retry, at, findings);
            Uses::Apply { retry, read_back: *read_back }
        }
        StepTable::Remind { policy, channels: typed, look_at_servers, thresholds, .. } => {
            let channels = channels(typed);
            if thresholds.is_some() {
                let help = "delete this line; for other thresholds than 60, 30, 14, 7, 3 and 1 days, write them under \
                    `[plugins.reminders.settings]` in deputy.toml, and `policy = \"reminders\"` here";
                findings.at(
                    &format!("{at}/thresholds"),
                    "thresholds are a setting of the reminder policy now",
                    Some(help.to_owned()),
                );
            }
            let policy = match policy {
                Some(policy) => Some(findings.parse(&format!("{at}/policy"), policy)?),
                None => None,
            };
            Uses::Remind { policy, channels, look_at_servers: look_at_servers.unwrap_or(true) }
        }
        StepTable::Notify { when, channels: typed, .. } => {
            let channels = channels(typed);
            Uses::Notify { when: when.as_ref().map_or_else(When::default, WhenValue::runs), channels }
        }
    })
}

/// For how long a plan waits for a person.
pub(super) fn approval(
    at: &str,
    typed: Option<&str>,
    without: Duration,
    findings: &mut Findings<'_>,
) -> Duration {
    let at = format!("{at}/approve_within");
    let within = span(&at, typed, without, findings);
    if within.is_zero() {
        findings.at(&at, "nobody approves in no time", Some("write `3d`, or leave the key out".to_owned()));
    }
    within
}

fn full_every_span(at: &str, typed: Option<&str>, findings: &mut Findings<'_>) -> Duration {
    let at = format!("{at}/full_every");
    let Some(Span(every)) = findings.parse(&at, typed.unwrap_or("1d")) else { return Full::SHORTEST };
    if every < Full::SHORTEST {
        let help = format!("write `{}` or more", Span(Full::SHORTEST));
        findings.at(&at, "a full list more than once an hour is more than Apple wants", Some(help));
    }
    every
}

/// A plan needs verdicts and applying needs a plan, from earlier in the same workflow and each of its own;
/// a policy is asked once; and what concerns devices comes before people are told.
fn check_order(steps: &[StepTable], findings: &mut Findings<'_>) {
    let (mut decided, mut planned, mut told) = (false, false, false);
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for (index, step) in steps.iter().enumerate() {
        let at = format!("/steps/{index}");
        let mut wrong = |key: &str, message: &str, help: &str| {
            findings.at(&format!("{at}/{key}"), message, Some(help.to_owned()))
        };
        match step {
            StepTable::Remind { .. } | StepTable::Notify { .. } => told = true,
            _ if told => wrong(
                "uses",
                "this step concerns devices, and comes after one that tells people",
                "put `remind` and `notify` at the end",
            ),
            StepTable::Decide { policy, .. } => {
                decided = true;
                if !asked.insert(policy) {
                    wrong(
                        "policy",
                        "this policy was asked by a step before",
                        "a second `decide` is asked about the devices that those before it ignored: name another policy",
                    );
                }
            }
            StepTable::Plan { .. } => {
                if !decided {
                    wrong(
                        "uses",
                        "`plan` has no verdicts to plan from",
                        "put a step `uses = \"decide\"` with a `policy` before it",
                    );
                }
                (decided, planned) = (false, true);
            }
            StepTable::Apply { .. } => {
                if !planned {
                    wrong(
                        "uses",
                        "`apply` has no plan to carry out",
                        "put a step `uses = \"plan\"` before it",
                    );
                }
                planned = false;
            }
            StepTable::Sync { .. } => {}
        }
    }
}
