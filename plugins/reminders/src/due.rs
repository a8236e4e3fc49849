//! What is due about a fact at a moment.
//!
//! Deputy remembers what was sent, so this says what is due whether or not it was said before; the same
//! moment always has the same answer.

use deputy_policy::reminder::{Fact, Occasion, Severity};

/// When people are told.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// In seconds before the end, the smallest first.
    pub(crate) thresholds: Vec<u64>,
    /// How often what is wrong, or has ended, is told again, in seconds. None: never.
    pub(crate) repeat: Option<u64>,
    /// From how many seconds before the end on it is a warning, and critical.
    pub(crate) severity: [u64; 2],
}

/// Something that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) occasion: Occasion,
    pub(crate) severity: Severity,
    pub(crate) situation: Situation,
}

/// How things stand with a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    Ending,
    Ended,
    Trouble,
    Recovered,
}

impl Due {
    pub(crate) fn is_recovery(&self) -> bool {
        self.situation == Situation::Recovered
    }
}

impl Schedule {
    /// What is due, if anything. Trouble comes before an end that is still far.
    pub(crate) fn due(&self, fact: &Fact, now: u64) -> Option<Due> {
        if let Some(trouble) = &fact.trouble {
            return Some(self.lasting(fact, now.saturating_sub(trouble.since), Situation::Trouble));
        }
        if let Some(ends) = fact.ends
            && ends <= now
        {
            return Some(self.lasting(fact, now - ends, Situation::Ended));
        }
        let left = fact.ends.map(|ends| ends - now);
        // What was told is over if the end is gone, or further away than it was then.
        let over = |told: i64| left.is_none_or(|left| i64::try_from(left).is_ok_and(|left| left > told));
        if fact.told.is_some_and(over) {
            let (occasion, severity) = (Occasion::Recovered, Severity::Info);
            return Some(Due { occasion, severity, situation: Situation::Recovered });
        }
        let left = left?;
        // Somebody who said they know hears of it once more, at the last moment.
        let thresholds = if fact.acknowledged { self.thresholds.get(..1)? } else { &self.thresholds };
        let threshold = thresholds.iter().find(|threshold| left <= **threshold)?;
        let [warning, critical] = self.severity;
        let severity = match left {
            left if left <= critical => Severity::Critical,
            left if left <= warning => Severity::Warning,
            _ => Severity::Info,
        };
        let occasion = Occasion::Threshold(i64::try_from(*threshold).ok()?);
        Some(Due { occasion, severity, situation: Situation::Ending })
    }

    /// At once, and then again and again for as long as nobody says they know.
    fn lasting(&self, fact: &Fact, lasted: u64, situation: Situation) -> Due {
        let repeat = self.repeat.filter(|_| !fact.acknowledged);
        let passed = repeat.map_or(0, |repeat| lasted / repeat * repeat);
        let threshold = i64::try_from(passed).map_or(i64::MIN, |passed| -passed);
        Due { occasion: Occasion::Threshold(threshold), severity: Severity::Critical, situation }
    }
}
