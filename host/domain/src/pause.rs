//! When a device that Apple would not assign is tried again.
//!
//! Apple counts assignments of a device, the refused ones too: who keeps trying keeps being
//! refused. So every refusal is followed by a pause, recorded with its reason.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a device is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Apple would not, and gave no reason.
    Failed,
    /// Too many assignments of this device.
    Throttled,
    /// Not this server's device, though it was listed.
    NotAccessible,
}

/// A device is left alone until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Not before this time.
    pub until: Timestamp,
    /// Why.
    pub why: Refusal,
    /// How often in a row it was refused.
    pub times: u32,
}

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Pause {
    /// The pause after another refusal. `before` is the one of the refusal before it, if nothing went
    /// well in between; `asked` is how long Apple wants throttled devices left alone.
    ///
    /// What failed once is tried again after an hour, then once a day. Throttled devices wait as long
    /// as Apple says, or a day, by its own advice. What is not ours waits a day, or until Apple lists it
    /// as added again.
    pub fn after(why: Refusal, before: Option<Self>, asked: Option<Duration>, now: Timestamp) -> Self {
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let wait = match why {
            Refusal::Failed if times == 1 => HOUR,
            Refusal::Failed | Refusal::NotAccessible => DAY,
            // Nought is no answer: at once is what brought the device here.
            Refusal::Throttled => asked.filter(|asked| !asked.is_zero()).unwrap_or(DAY),
        };
        Self { until: now.checked_add(wait).unwrap_or(Timestamp::MAX), why, times }
    }

    /// The device is still to be left alone.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until > now
    }
}

impl Refusal {
    /// The word for it, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::NotAccessible => "not-accessible",
        }
    }
}

impl std::str::FromStr for Refusal {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [Self::Failed, Self::Throttled, Self::NotAccessible];
        all.into_iter().find(|refusal| refusal.as_str() == word).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The pauses after refusals in a row, in hours. `throttled 7200` is what Apple asks for.
    #[track_caller]
    fn check(refusals: &str, expected: Expect) {
        let mut pause = None;
        let mut found = Vec::new();
        for refusal in refusals.split(';').map(str::trim) {
            let (word, asked) = refusal.split_once(' ').unwrap_or((refusal, ""));
            let asked = asked.parse().ok().map(Duration::from_secs);
            let next = Pause::after(word.parse().unwrap(), pause, asked, Timestamp::UNIX_EPOCH);
            found.push(format!("{}h", next.until.as_second() as f64 / 3600.0));
            pause = Some(next);
        }
        expected.assert_eq(&found.join(" "));
    }

    #[test]
    fn what_failed_waits_an_hour_and_then_a_day_each_time() {
        check("failed; failed; failed", expect!["1h 24h 24h"]);
    }

    #[test]
    fn a_throttled_device_waits_as_long_as_apple_says_or_a_day() {
        check("throttled 7200; throttled; throttled 0", expect!["2h 24h 24h"]);
    }

    #[test]
    fn a_failure_after_another_refusal_is_not_the_first() {
        check("throttled 3600; failed", expect!["1h 24h"]);
    }

    #[test]
    fn what_is_not_ours_waits_a_day() {
        check("not-accessible", expect!["24h"]);
    }

    #[test]
    fn a_wait_beyond_all_time_is_for_ever() {
        let asked = Some(Duration::from_secs(u64::MAX / 4));
        let pause = Pause::after(Refusal::Throttled, None, asked, Timestamp::UNIX_EPOCH);
        assert_eq!(pause.until, Timestamp::MAX);
    }
}
