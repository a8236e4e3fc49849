//! What workflows have in common: the table `[defaults]` of `deputy.toml`. A workflow that says something
//! of its own has that instead, key by key.

use std::time::Duration;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::file::{jitter, span, timeout, zone};
use super::rails::RailsTable;
use super::steps::approval;
use super::{Missed, Overlap, Retry};
use crate::document::Findings;
use crate::id::ChannelName;
use crate::rails::Rails;

/// What holds where a workflow says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// Whose clocks count.
    pub timezone: TimeZone,
    /// Times that passed while Deputy was off.
    pub missed: Missed,
    /// A time that comes while the last run is still going.
    pub overlap: Overlap,
    /// After this long a run is stopped.
    pub timeout: Duration,
    /// Starts up to this much later.
    pub jitter: Duration,
    /// What to do when Apple does not answer.
    pub retry: Retry,
    /// How much one run may change; for what people do without a workflow, too.
    pub rails: Rails,
    /// For so long a plan waits for a person.
    pub approve_within: Duration,
    /// Where messages go; every channel, if absent.
    pub channels: Option<Vec<ChannelName>>,
}

/// What holds for every workflow that says nothing else.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented by the format's own schema")]
pub struct DefaultsTable {
    /// The time zone of schedules: an IANA name such as `Europe/Paris`. Default: the machine's.
    #[serde(default)]
    timezone: Option<String>,
    /// Times that passed while Deputy was off: `run-once` now, or `skip` them. Default: `run-once`.
    #[serde(default)]
    missed: Option<Missed>,
    /// A time that comes during a run: `skip` it, or `queue` one more run. Default: `skip`.
    #[serde(default)]
    overlap: Option<Overlap>,
    /// Stop a run that takes longer. Default: `1h`.
    #[serde(default)]
    timeout: Option<String>,
    /// Start up to this much later, always the same for the same workflow. Default: at once.
    #[serde(default)]
    jitter: Option<String>,
    /// What to do when Apple does not answer.
    #[serde(default)]
    retry: Option<RetryTable>,
    /// How much one run may change. These hold for `deputy assign`, `unassign` and `device disown` as well.
    #[serde(default)]
    rails: Option<RailsTable>,
    /// For so long a plan waits for a person, if it breaks a rail or its review asks; then it lapses. Default: `3d`.
    #[serde(default)]
    approve_within: Option<String>,
    /// Where `remind` and `notify` write: channels of this file. Default: all.
    #[serde(default)]
    channels: Option<Vec<String>>,
}

/// How often something is tried.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryTable {
    /// How often to try in all. Default: 3.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    attempts: Option<u32>,
    /// The pause before the second try; it doubles each time. Default: `5s`.
    #[serde(default)]
    backoff: Option<String>,
}

impl Defaults {
    /// Deputy's own, on a machine with these clocks.
    pub fn of_machine(timezone: TimeZone) -> Self {
        Self {
            timezone,
            missed: Missed::default(),
            overlap: Overlap::default(),
            timeout: Duration::from_secs(3_600),
            jitter: Duration::ZERO,
            retry: Retry { attempts: 3, backoff: Duration::from_secs(5) },
            rails: Rails::default(),
            approve_within: Duration::from_secs(3 * 24 * 3_600),
            channels: None,
        }
    }
}

impl DefaultsTable {
    /// What the table means on a machine with these clocks; its mistakes go to `findings`.
    pub fn meant(&self, machine: TimeZone, findings: &mut Findings<'_>) -> Defaults {
        let ours = Defaults::of_machine(machine);
        Defaults {
            timezone: zone("/defaults/timezone", self.timezone.as_deref(), &ours.timezone, findings)
                .unwrap_or(ours.timezone),
            missed: self.missed.unwrap_or(ours.missed),
            overlap: self.overlap.unwrap_or(ours.overlap),
            timeout: timeout("/defaults/timeout", self.timeout.as_deref(), ours.timeout, findings),
            jitter: jitter("/defaults/jitter", self.jitter.as_deref(), ours.jitter, findings),
            retry: RetryTable::over(self.retry.as_ref(), ours.retry, "/defaults", findings),
            rails: RailsTable::over(self.rails.as_ref(), &ours.rails, "/defaults", findings),
            approve_within: approval(
                "/defaults",
                self.approve_within.as_deref(),
                ours.approve_within,
                findings,
            ),
            channels: self.channels.as_ref().map(|names| findings.parse_all("/defaults/channels", names)),
        }
    }
}

impl RetryTable {
    /// What is typed in the table at `at`, and for the rest what holds without it.
    pub(super) fn over(typed: Option<&Self>, without: Retry, at: &str, findings: &mut Findings<'_>) -> Retry {
        let Some(typed) = typed else { return without };
        Retry {
            attempts: typed.attempts.unwrap_or(without.attempts),
            backoff: span(
                &format!("{at}/retry/backoff"),
                typed.backoff.as_deref(),
                without.backoff,
                findings,
            ),
        }
    }
}
