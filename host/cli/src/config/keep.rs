//! `[keep]`: how long, and how much, is kept.

use std::time::Duration;

use engine::keep::{Bound, Keep};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long, and how much, is kept. What is older or more is forgotten, but never what is still needed: what is
/// going on, waits or is in flight, the last run of each workflow, the last action on each device.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeepTable {
    /// Runs in which nothing was done to devices, so many of each workflow. Default: `{ days = 90, count = 3000 }`.
    #[serde(default)]
    runs: BoundTable,
    /// Dry runs and runs in shadow mode with their plans, so many of each workflow. Default: `{ days = 14, count = 100 }`.
    #[serde(default)]
    dry_runs: BoundTable,
    /// What was done to devices, and the runs that did it, so much for each device. Default: `{ days = 400, count = 100 }`.
    #[serde(default)]
    actions: BoundTable,
    /// What happened to devices at Apple, so much for each. Default: `{ days = 400, count = 200 }`.
    #[serde(default)]
    device_history: BoundTable,
    /// What policies said before they said otherwise, so much for each device. Default: `{ days = 400, count = 50 }`.
    #[serde(default)]
    verdicts: BoundTable,
    /// Messages that were delivered or dropped. Default: `{ days = 30 }`.
    #[serde(default)]
    outbox: DaysTable,
    /// Messages that were set aside. Default: `{ days = 90 }`.
    #[serde(default)]
    set_aside: DaysTable,
}

/// What is beyond either is forgotten.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BoundTable {
    /// What is older is forgotten.
    #[serde(default)]
    #[schemars(range(min = 1, max = 36_500))]
    days: Option<u32>,
    /// What has so many newer ones is forgotten.
    #[serde(default)]
    #[schemars(range(min = 1))]
    count: Option<u64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DaysTable {
    /// What is older is forgotten.
    #[serde(default)]
    #[schemars(range(min = 1, max = 36_500))]
    days: Option<u32>,
}

/// What the table means. That its numbers are no zeros, its schema says.
pub(super) fn keep(table: &KeepTable) -> Keep {
    let usual = Keep::default();
    let bound = |table: &BoundTable, usual: Bound| Bound {
        age: age(table.days, usual.age),
        count: table.count.unwrap_or(usual.count),
    };
    Keep {
        runs: bound(&table.runs, usual.runs),
        dry_runs: bound(&table.dry_runs, usual.dry_runs),
        actions: bound(&table.actions, usual.actions),
        device_history: bound(&table.device_history, usual.device_history),
        verdicts: bound(&table.verdicts, usual.verdicts),
        outbox: age(table.outbox.days, usual.outbox),
        set_aside: age(table.set_aside.days, usual.set_aside),
    }
}

fn age(days: Option<u32>, usual: Duration) -> Duration {
    days.map_or(usual, |days| Duration::from_secs(u64::from(days) * 86_400))
}
