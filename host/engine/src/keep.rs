//! What is forgotten, and when.
//!
//! Everything that grows with time has a bound: an age, a number, or both. What is beyond either is forgotten in
//! small bites, once a day, by the daemon and by commands that run something; how far that is, is in the
//! store. What is still needed stays whatever its age: what is going on, waits or is in flight, the last run
//! of each workflow, the last action on each device.

use std::time::Duration;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::failure::Error;
use crate::stop::Stop;
use crate::store::Forgettable;

/// How long, and how much, is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Runs in which nothing was done to devices, of each workflow.
    pub runs: Bound,
    /// Dry runs of each workflow, and runs in shadow mode, with their plans.
    pub dry_runs: Bound,
    /// Actions on each device, and the runs they belong to.
    pub actions: Bound,
    /// What happened to each device.
    pub device_history: Bound,
    /// What was said of each device before it was said otherwise.
    pub verdicts: Bound,
    /// Messages that were delivered or dropped.
    pub outbox: Duration,
    /// Messages that were set aside.
    pub set_aside: Duration,
}

/// The most that is kept of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// What is older is forgotten.
    pub age: Duration,
    /// What has so many newer ones before it is forgotten.
    pub count: u64,
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Default for Keep {
    fn default() -> Self {
        let bound = |days: u32, count| Bound { age: DAY * days, count };
        Self {
            // A month of a run every quarter of an hour.
            runs: bound(90, 3_000),
            dry_runs: bound(14, 100),
            // More than a year: what was decided a year ago is asked about when the token is renewed.
            actions: bound(400, 100),
            device_history: bound(400, 200),
            verdicts: bound(400, 50),
            outbox: DAY * 30,
            set_aside: DAY * 90,
        }
    }
}

impl Keep {
    /// What is older than this is forgotten.
    pub(crate) fn before(now: Timestamp, age: Duration) -> Timestamp {
        now.checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    fn bound(&self, what: Forgettable) -> Bound {
        match what {
            Forgettable::Actions => self.actions,
            Forgettable::DeviceHistory => self.device_history,
            Forgettable::Verdicts => self.verdicts,
            Forgettable::DryRuns => self.dry_runs,
            Forgettable::Runs => self.runs,
            // Runs that did something are kept with their actions.
            Forgettable::Texts => {
                Bound { age: self.runs.age.max(self.actions.age) + DAY * 2, count: u64::MAX }
            }
        }
    }
}

/// As many bites does a command take that runs something: less than a second.
const OF_A_COMMAND: u32 = 20;
/// Between two bites of the daemon, so that runs have the store meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

impl Engine {
    /// Forgets some of what is old, if that was not all done lately. For a command, which others wait for.
    pub async fn forget_a_little(&self) -> Result<(), Error> {
        self.forget(OF_A_COMMAND, None).await
    }

    /// Forgets all that is old, if that was not done lately, until told to stop.
    pub(crate) async fn forget_all(&self, stop: &Stop) -> Result<(), Error> {
        self.forget(u32::MAX, Some(stop)).await
    }

    async fn forget(&self, most: u32, stop: Option<&Stop>) -> Result<(), Error> {
        let mut bites = 0;
        for what in self.store.to_forget(self.now()).await? {
            let bound = self.settings.keep.bound(what);
            loop {
                if bites == most {
                    return Ok(());
                }
                bites += 1;
                let is_more = self.store.forget_a_bite(what, bound, self.now()).await?;
                if let Some(stop) = stop
                    && !stop.sleep(PAUSE).await
                {
                    return Ok(());
                }
                if !is_more {
                    break;
                }
            }
        }
        Ok(())
    }
}
