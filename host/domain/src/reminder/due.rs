//! What is sent of the reminders that a policy finds due.
//!
//! A reminder belongs to a threshold and to an instance of its fact: this end, or the trouble that began
//! then. A channel gets the one with the smallest threshold, unless that or a smaller one went there for
//! the same instance: a daemon that slept through three thresholds sends one message, a channel that is
//! new hears what the others know, and what was renewed, or went wrong again, starts anew.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fact, Occasion, Reminder, Threshold};
use crate::id::ChannelName;

/// Which of the times that a fact ends or goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// The only one: the fact neither ends nor is anything wrong with it.
    Only,
    /// This end.
    End(Timestamp),
    /// The trouble that began then.
    Trouble(Timestamp),
}

impl Instance {
    /// When the trouble began, if it is that.
    pub fn trouble(self) -> Option<Timestamp> {
        match self {
            Self::Trouble(since) => Some(since),
            Self::Only | Self::End(_) => None,
        }
    }
}

/// That a channel was told of an instance of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The channel.
    pub channel: ChannelName,
    /// What it was told of.
    pub instance: Instance,
    /// The smallest threshold that it was told.
    pub threshold: Threshold,
}

/// A reminder that is to be sent, or that ends what was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// What is said.
    pub reminder: &'a Reminder,
    /// Where it is to go. May be empty for one that only ends what was told.
    pub channels: Vec<ChannelName>,
    /// What was told and is over with it.
    pub over: Vec<(ChannelName, Instance)>,
}

impl Fact {
    /// Which of its times it is now. Trouble comes before an end.
    pub fn instance(&self) -> Instance {
        match (&self.trouble, self.ends) {
            (Some(trouble), _) => Instance::Trouble(trouble.since),
            (None, Some(ends)) => Instance::End(ends),
            (None, None) => Instance::Only,
        }
    }
}

/// The smallest threshold that anybody was told: what a policy hears of it.
pub fn smallest_told(told: &[Told]) -> Option<Threshold> {
    told.iter().map(|it| it.threshold).min()
}

/// What is to be sent of `reminders`, which a policy finds due about a fact, given what the channels in
/// question were told of it. `snoozed`: nobody wants to hear of it now, but that it is well again.
///
/// That all is well again goes once to those who were told something. It ends what was told of instances
/// that are over, so that an end that is still ahead is not told anew; or of all, if none is over.
pub fn due<'a>(fact: &Fact, reminders: &'a [Reminder], told: &[Told], snoozed: bool) -> Vec<Due<'a>> {
    let recovered = reminders.iter().find(|it| it.occasion == Occasion::Recovered);
    if let Some(reminder) = recovered.filter(|_| !told.is_empty()) {
        let now = fact.instance();
        let all = told.iter().all(|it| it.instance == now);
        let over = told.iter().filter(|it| all || it.instance != now);
        let over: Vec<_> = over.map(|it| (it.channel.clone(), it.instance)).collect();
        let heard = |channel: &&ChannelName| over.iter().any(|(name, _)| name == *channel);
        let channels = reminder.channels.iter().filter(heard).cloned().collect();
        return vec![Due { reminder, channels, over }];
    }
    if snoozed {
        return Vec::new();
    }
    let mut found: Vec<Due<'a>> = Vec::new();
    let mut channels: Vec<&ChannelName> = reminders.iter().flat_map(|it| &it.channels).collect();
    channels.sort();
    channels.dedup();
    for channel in channels {
        let here = reminders.iter().filter(|it| it.channels.contains(channel));
        let Some((threshold, reminder)) =
            here.filter_map(|it| Some((it.threshold()?, it))).min_by_key(|it| it.0)
        else {
            continue;
        };
        let knows =
            |it: &Told| it.channel == *channel && it.instance == fact.instance() && it.threshold <= threshold;
        if told.iter().any(knows) {
            continue;
        }
        match found.iter_mut().find(|it| std::ptr::eq(it.reminder, reminder)) {
            Some(due) => due.channels.push(channel.clone()),
            None => found.push(Due { reminder, channels: vec![channel.clone()], over: Vec::new() }),
        }
    }
    found
}

impl Reminder {
    /// The threshold it belongs to, unless it says that all is well again.
    pub fn threshold(&self) -> Option<Threshold> {
        match self.occasion {
            Occasion::Threshold(threshold) => Some(threshold),
            Occasion::Recovered => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::reminder::Trouble;
    use crate::token::Severity;

    const DAY: i64 = 86_400;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(number * DAY).unwrap()
    }

    /// Days on which somebody looked, one a line: `on 1 ends 10: 14d 7d to a b`. Then what is known of
    /// the fact (`ends DAY`, `wrong DAY`, nothing), `snoozed` or not, and what the policy finds due:
    /// thresholds in days, or `well`, and for which channels.
    #[track_caller]
    fn check(days: &str, expected: Expect) {
        let mut told: Vec<Told> = Vec::new();
        let mut found = String::new();
        for line in days.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (fact_text, answer) = line.split_once(':').unwrap();
            let words: Vec<&str> = fact_text.split(' ').collect();
            let after = |word: &str| {
                let at = words.iter().position(|it| *it == word)?;
                Some(day(words[at + 1].parse().unwrap()))
            };
            let trouble = after("wrong").map(|since| Trouble {
                code: "x".into(),
                message: String::new(),
                advice: String::new(),
                since,
            });
            let fact = Fact {
                kind: "token".into(),
                name: String::new(),
                ends: after("ends"),
                trouble,
                told: smallest_told(&told),
                acknowledged: false,
            };
            let (occasions, channels) = answer.split_once(" to ").unwrap_or((answer, ""));
            let reminders: Vec<Reminder> = occasions
                .split_whitespace()
                .map(|word| Reminder {
                    fact: 0,
                    occasion: match word.strip_suffix('d') {
                        Some(days) => Occasion::Threshold(Threshold(days.parse::<i64>().unwrap() * DAY)),
                        None => Occasion::Recovered,
                    },
                    severity: Severity::Info,
                    channels: channels.split_whitespace().map(|it| it.parse().unwrap()).collect(),
                    subject: word.to_owned(),
                    text: String::new(),
                })
                .collect();
            let sent = due(&fact, &reminders, &told, words.contains(&"snoozed"));
            let said: Vec<String> = sent
                .iter()
                .map(|due| {
                    let to: Vec<&str> = due.channels.iter().map(ChannelName::as_str).collect();
                    format!("{} to {}", due.reminder.subject, to.join(" "))
                })
                .collect();
            for Due { reminder, channels, over } in sent {
                told.retain(|it| !over.contains(&(it.channel.clone(), it.instance)));
                if let Some(threshold) = reminder.threshold() {
                    told.retain(|it| !(channels.contains(&it.channel) && it.instance == fact.instance()));
                    let new = channels.into_iter();
                    told.extend(new.map(|channel| Told { channel, instance: fact.instance(), threshold }));
                }
            }
            let left = smallest_told(&told).map_or("nothing".to_owned(), |it| format!("{}d", it.0 / DAY));
            let said = if said.is_empty() { "nothing".to_owned() } else { said.join(", ") };
            found += &format!("{fact_text}: {said}; told {left}\n");
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn each_threshold_is_told_once_to_each_channel() {
        check(
            "on 1 ends 10: 14d to a b
             on 2 ends 10: 14d to a b
             on 3 ends 10: 7d to a b
             on 4 ends 10: 7d to a b",
            expect![[r#"
                on 1 ends 10: 14d to a b; told 14d
                on 2 ends 10: nothing; told 14d
                on 3 ends 10: 7d to a b; told 7d
                on 4 ends 10: nothing; told 7d
            "#]],
        );
    }

    #[test]
    fn of_several_that_are_due_the_smallest_is_sent_and_no_other() {
        check(
            "on 1 ends 60: 60d to a
             on 58 ends 60: 30d 14d 7d 3d to a
             on 58 ends 60: 30d 14d 7d to a",
            expect![[r#"
                on 1 ends 60: 60d to a; told 60d
                on 58 ends 60: 3d to a; told 3d
                on 58 ends 60: nothing; told 3d
            "#]],
        );
    }

    #[test]
    fn a_channel_that_is_new_hears_what_the_others_know() {
        check(
            "on 1 ends 10: 14d to a
             on 2 ends 10: 14d to a b
             on 3 ends 10: 14d to a b",
            expect![[r#"
                on 1 ends 10: 14d to a; told 14d
                on 2 ends 10: 14d to b; told 14d
                on 3 ends 10: nothing; told 14d
            "#]],
        );
    }

    #[test]
    fn a_renewal_in_the_middle_is_told_once_and_the_new_end_starts_anew() {
        check(
            "on 1 ends 10: 14d to a
             on 2 ends 375: well to a
             on 3 ends 375: to
             on 362 ends 375: 14d to a",
            expect![[r#"
                on 1 ends 10: 14d to a; told 14d
                on 2 ends 375: well to a; told nothing
                on 3 ends 375: nothing; told nothing
                on 362 ends 375: 14d to a; told 14d
            "#]],
        );
    }

    #[test]
    fn trouble_that_comes_lasts_goes_and_comes_again_is_told_each_time() {
        check(
            "on 1: to
             on 2 wrong 2: 0d to a b
             on 3 wrong 2: 0d to a b
             on 4 wrong 2: -1d to a b
             on 5: well to a
             on 6: to
             on 7 wrong 7: 0d to a b",
            expect![[r#"
                on 1: nothing; told nothing
                on 2 wrong 2: 0d to a b; told 0d
                on 3 wrong 2: nothing; told 0d
                on 4 wrong 2: -1d to a b; told -1d
                on 5: well to a; told nothing
                on 6: nothing; told nothing
                on 7 wrong 7: 0d to a b; told 0d
            "#]],
        );
    }

    #[test]
    fn an_end_that_was_told_before_trouble_is_not_told_again_after_it() {
        check(
            "on 1 ends 10: 14d to a
             on 2 ends 10 wrong 2: 0d to a
             on 3 ends 10: well to a
             on 4 ends 10: 14d to a
             on 5 ends 10: 7d to a",
            expect![[r#"
                on 1 ends 10: 14d to a; told 14d
                on 2 ends 10 wrong 2: 0d to a; told 0d
                on 3 ends 10: well to a; told 14d
                on 4 ends 10: nothing; told 14d
                on 5 ends 10: 7d to a; told 7d
            "#]],
        );
    }

    #[test]
    fn what_is_snoozed_is_told_when_that_is_over_and_recovery_at_once() {
        check(
            "on 1 ends 10 snoozed: 14d to a
             on 4 ends 10: 7d to a
             on 8 ends 10 snoozed: 3d to a
             on 9 ends 375 snoozed: well to a",
            expect![[r#"
                on 1 ends 10 snoozed: nothing; told nothing
                on 4 ends 10: 7d to a; told 7d
                on 8 ends 10 snoozed: nothing; told 7d
                on 9 ends 375 snoozed: well to a; told nothing
            "#]],
        );
    }

    #[test]
    fn nobody_hears_that_all_is_well_who_was_told_nothing() {
        check(
            "on 1 ends 10: 14d to a
             on 2 ends 375: well to a b
             on 3 ends 375: well to a b",
            expect![[r#"
                on 1 ends 10: 14d to a; told 14d
                on 2 ends 375: well to a; told nothing
                on 3 ends 375: nothing; told nothing
            "#]],
        );
    }
}
