//! Windows in which nothing is changed at Apple: stocktaking, a release, the week before Christmas.
//!
//! What Deputy learns and decides goes on meanwhile, so that what is to be done is known the moment a
//! window ends.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::id::TokenName;
use crate::schedule::Schedule;

/// A window, or one that comes back.
#[derive(Clone, Debug)]
pub struct Freeze {
    /// When.
    pub window: Window,
    /// Why, in the operator's words.
    pub reason: String,
    /// Whose devices; every token's, if absent.
    pub tokens: Option<Vec<TokenName>>,
}

/// When nothing is changed.
#[derive(Clone, Debug)]
pub enum Window {
    /// Once.
    Once {
        /// From then on.
        from: Timestamp,
        /// Until just before then.
        until: Timestamp,
    },
    /// Again and again.
    Recurring {
        /// When it begins each time.
        begins: Schedule,
        /// How long it lasts.
        lasts: Duration,
    },
}

/// That nothing is changed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Until then.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// Windows that follow one another without a gap are looked through up to this many.
const MOST_IN_A_ROW: usize = 100;

impl Window {
    /// When the window ends that is open now; none if it is not open.
    fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Once { from, until } => (*from <= now && now < *until).then_some(*until),
            Self::Recurring { begins, lasts } => {
                let lasts = SignedDuration::try_from(*lasts).ok()?;
                let opened = begins.times(now.checked_sub(lasts).ok()?, now)?.last;
                opened.checked_add(lasts).ok()
            }
        }
    }
}

impl Freeze {
    /// When the window ends that is open now; none if it is not open.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.window.ends(now)
    }
}

/// Whether nothing may be changed now for the devices of a token, until when, and why. Of several windows
/// that follow one another the end of the last counts, and the reason of the first.
pub fn frozen(freezes: &[Freeze], token: &TokenName, now: Timestamp) -> Option<Frozen> {
    let concerns = |freeze: &&Freeze| freeze.tokens.as_ref().is_none_or(|tokens| tokens.contains(token));
    let last_open = |at: Timestamp| {
        let open =
            freezes.iter().filter(concerns).filter_map(|freeze| Some((freeze.window.ends(at)?, freeze)));
        open.max_by_key(|(until, _)| *until)
    };
    let (mut until, freeze) = last_open(now)?;
    for _ in 0..MOST_IN_A_ROW {
        let Some((later, _)) = last_open(until) else { break };
        until = later;
    }
    Some(Frozen { until, reason: freeze.reason.clone() })
}

impl Frozen {
    /// Until when, and why.
    pub fn in_words(&self) -> String {
        format!("frozen until {}: {}", self.until.strftime("%Y-%m-%d %H:%M UTC"), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use jiff::tz::TimeZone;

    use super::*;

    /// Whether `emea` is frozen at a time of January 2026, given windows such as `09 12:00 - 10 12:00 why` and
    /// `0 18 * * fri for 2 days why`.
    #[track_caller]
    fn check(windows: &str, now: &str, expected: Expect) {
        let at =
            |text: &str| -> Timestamp { format!("2026-01-{}:00Z", text.replace(' ', "T")).parse().unwrap() };
        let freezes: Vec<Freeze> = windows
            .split("; ")
            .map(|text| {
                let (text, tokens) = match text.split_once(" of ") {
                    Some((text, token)) => (text, Some(vec![token.parse().unwrap()])),
                    None => (text, None),
                };
                let (when, reason) = text.rsplit_once(' ').unwrap();
                let window = match when.split_once(" for ") {
                    Some((cron, hours)) => Window::Recurring {
                        begins: Schedule::new(cron.parse().unwrap(), TimeZone::get("Europe/Paris").unwrap()),
                        lasts: Duration::from_secs(
                            3600 * hours.trim_end_matches('h').parse::<u64>().unwrap(),
                        ),
                    },
                    None => {
                        let (from, until) = when.split_once(" - ").unwrap();
                        Window::Once { from: at(from), until: at(until) }
                    }
                };
                Freeze { window, reason: reason.to_owned(), tokens }
            })
            .collect();
        let found = frozen(&freezes, &"emea".parse().unwrap(), at(now));
        expected.assert_eq(&found.map_or_else(|| "not frozen".to_owned(), |it| it.in_words()));
    }

    #[test]
    fn a_window_is_open_from_its_beginning_to_just_before_its_end() {
        check("09 12:00 - 10 12:00 audit", "09 11:59", expect!["not frozen"]);
        check("09 12:00 - 10 12:00 audit", "09 12:00", expect!["frozen until 2026-01-10 12:00 UTC: audit"]);
        check("09 12:00 - 10 12:00 audit", "10 11:59", expect!["frozen until 2026-01-10 12:00 UTC: audit"]);
        check("09 12:00 - 10 12:00 audit", "10 12:00", expect!["not frozen"]);
    }

    #[test]
    fn a_window_that_comes_back_is_open_for_its_time() {
        check("0 18 * * fri for 62h weekend", "09 16:59", expect!["not frozen"]);
        check(
            "0 18 * * fri for 62h weekend",
            "09 17:00",
            expect!["frozen until 2026-01-12 07:00 UTC: weekend"],
        );
        check(
            "0 18 * * fri for 62h weekend",
            "12 06:59",
            expect!["frozen until 2026-01-12 07:00 UTC: weekend"],
        );
        check("0 18 * * fri for 62h weekend", "12 07:00", expect!["not frozen"]);
    }

    #[test]
    fn windows_that_follow_one_another_are_one() {
        check(
            "09 12:00 - 10 12:00 audit; 10 12:00 - 11 12:00 move; 10 00:00 - 10 06:00 nap",
            "09 13:00",
            expect!["frozen until 2026-01-11 12:00 UTC: audit"],
        );
    }

    #[test]
    fn a_window_for_another_token_does_not_count() {
        check("09 12:00 - 10 12:00 audit of amer", "09 13:00", expect!["not frozen"]);
        check(
            "09 12:00 - 10 12:00 audit of emea",
            "09 13:00",
            expect!["frozen until 2026-01-10 12:00 UTC: audit"],
        );
    }

    #[test]
    fn windows_without_end_are_looked_through_for_a_while() {
        check("0 * * * * for 2h always", "09 12:30", expect!["frozen until 2026-01-17 22:00 UTC: always"]);
    }
}
