//! How the service defends itself against a device that flips between profiles.
//!
//! Apple gives no numbers. What is known: many assignments of one device in a short time and it is refused,
//! asking again makes it worse, and a day without asking heals it. A counted assignment is one that changes
//! the profile. With time the records are forgotten, so that only devices that flip cost memory.

use crate::settings::Settings;
use std::collections::HashMap;

/// From when on, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    after: usize,
    window: i64,
    lasts: i64,
}

impl Rules {
    /// The rules of these settings, if there are any.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let after = usize::try_from(settings.throttle_after).ok().filter(|after| *after > 0)?;
        Some(Self { after, window: settings.throttle_window_seconds, lasts: settings.throttle_seconds })
    }
}

/// The devices that had their profile changed lately, by serial number.
#[derive(Debug, Default)]
pub(crate) struct Throttles(HashMap<String, Throttle>);

#[derive(Debug, Default)]
struct Throttle {
    changes: Vec<i64>,
    until: Option<i64>,
}

impl Throttles {
    /// Notes an attempt; if it is refused, says for how many seconds nothing should be asked.
    pub(crate) fn attempt(&mut self, serial: &str, is_other: bool, now: i64, rules: Rules) -> Option<u64> {
        if !self.0.contains_key(serial) {
            if !is_other {
                return None;
            }
            if self.0.len() == self.0.capacity() {
                self.0.retain(|_, throttle| throttle.matters(now, rules));
            }
        }
        let throttle = self.0.entry(serial.into()).or_default();
        if throttle.until.is_some_and(|until| until <= now) {
            *throttle = Throttle::default();
        }
        throttle.changes.retain(|at| now - at < rules.window);
        if throttle.until.is_some() || (is_other && throttle.changes.len() >= rules.after) {
            throttle.until = Some(now + rules.lasts);
            return u64::try_from(rules.lasts).ok();
        }
        if is_other {
            throttle.changes.push(now);
        }
        None
    }

    /// Whether a device is refused now.
    pub(crate) fn holds(&self, serial: &str, now: i64) -> bool {
        self.until(serial, now).is_some()
    }

    /// Until when a device is refused, in seconds since 1970.
    pub(crate) fn until(&self, serial: &str, now: i64) -> Option<i64> {
        self.0.get(serial)?.until.filter(|until| now < *until)
    }

    /// The devices that are refused now, and until when.
    pub(crate) fn held(&self, now: i64) -> impl Iterator<Item = (&str, i64)> {
        self.0.keys().filter_map(move |serial| Some((serial.as_str(), self.until(serial, now)?)))
    }
}

impl Throttle {
    fn matters(&self, now: i64, rules: Rules) -> bool {
        self.until.is_some_and(|until| now < until) || self.changes.iter().any(|at| now - at < rules.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Attempts, each written as seconds that pass and `!` for another profile or `=` for the same; after two
    /// changes in a minute a device is refused for ten.
    fn check(attempts: &str, expect: Expect) {
        let rules = Rules { after: 2, window: 60, lasts: 600 };
        let (mut throttles, mut now) = (Throttles::default(), 0);
        let said = attempts.split(' ').map(|attempt| {
            let (pass, kind) = attempt.split_at(attempt.len() - 1);
            now += pass.parse::<i64>().unwrap();
            let refused = throttles.attempt("A", kind == "!", now, rules);
            assert_eq!(throttles.holds("A", now), refused.is_some());
            refused.map_or("ok".into(), |seconds| seconds.to_string())
        });
        expect.assert_eq(&said.collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn a_device_that_flips_too_often_is_refused_until_nothing_was_asked_for_long_enough() {
        check("0! 20! 20! 599! 600! 0! 0!", expect!["ok ok 600 600 ok ok 600"]);
    }

    #[test]
    fn slow_changes_and_the_same_profile_again_do_no_harm() {
        check("0! 30! 30! 30! 30!", expect!["ok ok ok ok ok"]);
        check("0! 1= 1= 1= 1! 1=", expect!["ok ok ok ok ok ok"]);
    }

    #[test]
    fn while_a_device_is_refused_the_same_profile_is_refused_too() {
        check("0! 0! 0! 300= 599= 600=", expect!["ok ok 600 600 600 ok"]);
    }
}
