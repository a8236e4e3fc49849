//! Whether the devices of a token have their profiles as soon as a workflow promises.
//!
//! The promise is about devices that are to have one: those that a policy holds or ignores are as they should
//! be. A token whose devices nobody has looked at for so long does not keep it: what is at Apple is not known.

use jiff::Timestamp;
use serde::Serialize;

use crate::duration::Span;
use crate::id::{SerialNumber, TokenName};

/// How a token stands to the promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "freshness")]
pub enum Freshness {
    /// Every device that is to have a profile has one, or came later than that.
    Met,
    /// Devices are without theirs for longer.
    Stale {
        /// How many.
        devices: u64,
        /// The one that waits for longest.
        example: SerialNumber,
        /// Since when.
        since: Timestamp,
    },
    /// What devices there are is not known.
    NotSynced {
        /// When they were fetched last; none if never.
        at: Option<Timestamp>,
    },
}

impl Freshness {
    /// What is wrong, as a word that stays the same while it is; none if the promise is kept.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Met => None,
            Self::Stale { .. } => Some("stale"),
            Self::NotSynced { .. } => Some("not-synced"),
        }
    }

    /// The same for people.
    pub fn in_words(&self, token: &TokenName, within: Span) -> String {
        let time = |at: &Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
        match self {
            Self::Met => format!("every device of `{token}` has its profile within {within}"),
            Self::Stale { devices: 1, example, since } => format!(
                "a device of `{token}` is without its profile for more than {within}: {example}, since {}",
                time(since)
            ),
            Self::Stale { devices, example, since } => format!(
                "{devices} devices of `{token}` are without their profiles for more than {within}, such as {example}, \
                 since {}",
                time(since)
            ),
            Self::NotSynced { at: Some(at) } => {
                format!(
                    "the devices of `{token}` were not fetched for more than {within}, but last {}",
                    time(at)
                )
            }
            Self::NotSynced { at: None } => format!("the devices of `{token}` were never fetched"),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_broken_promise_names_the_device_that_waits_for_longest() {
        let token = "emea".parse().unwrap();
        let at: Timestamp = "2026-02-01T09:00:00Z".parse().unwrap();
        let stale = |devices| Freshness::Stale { devices, example: "C02AA".parse().unwrap(), since: at };
        let all = [Freshness::Met, stale(1), stale(7), Freshness::NotSynced { at: Some(at) }];
        let within = Span(std::time::Duration::from_secs(14_400));
        let lines = all.map(|it| format!("{}: {}\n", it.kind().unwrap_or("-"), it.in_words(&token, within)));
        expect![[r#"
            -: every device of `emea` has its profile within 4h
            stale: a device of `emea` is without its profile for more than 4h: C02AA, since 2026-02-01 09:00 UTC
            stale: 7 devices of `emea` are without their profiles for more than 4h, such as C02AA, since 2026-02-01 09:00 UTC
            not-synced: the devices of `emea` were not fetched for more than 4h, but last 2026-02-01 09:00 UTC
        "#]]
        .assert_eq(&lines.concat());
    }
}
