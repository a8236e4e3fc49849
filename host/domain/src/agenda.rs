//! What is to be done about the times of a schedule: a function of the schedule, of what is on record,
//! and of now.
//!
//! There is one way for times that have just come and for times that went by while nobody looked: a
//! machine that slept, was off, or had its clock moved is only late. Every time comes to exactly one
//! entry, as a run or among times that are skipped for a reason. However many went by, one run makes
//! up for them: what a run does follows from what is, not from how often it was asked.

use jiff::{SignedDuration, Timestamp};

use crate::run::SkipReason;
use crate::schedule::{Schedule, Times};
use crate::workflow::{Missed, Overlap};

/// What is known of a workflow when its schedule is looked at.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Its times up to then are on record.
    pub from: Timestamp,
    /// How long after its time it starts.
    pub jitter: SignedDuration,
    /// What to do about times that went by.
    pub missed: Missed,
    /// What to do about a time that comes during a run.
    pub overlap: Overlap,
    /// A run of it is going on.
    pub going: bool,
    /// A time that waits for the end of that run.
    pub queued: Option<Timestamp>,
    /// Its file says that it does not run.
    pub disabled: bool,
    /// A person keeps it from running, or did.
    pub pause: Option<&'a WorkflowPause>,
}

/// A person keeps a workflow from running on its schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowPause {
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; until somebody ends it, if absent.
    pub until: Option<Timestamp>,
}

/// What is to be done, in the order of the times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agenda {
    /// What becomes of the times that have come.
    pub entries: Vec<Entry>,
    /// The time that waits for the end of the run that is going on.
    pub queued: Option<Timestamp>,
    /// With the entries, everything up to then is on record.
    pub upto: Timestamp,
}

/// What becomes of scheduled times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A run.
    Run {
        /// Its time.
        at: Timestamp,
        /// Its time went by while nobody looked.
        late: bool,
    },
    /// Nothing is run.
    Skip {
        /// The times.
        times: Times,
        /// Why.
        why: SkipReason,
        /// Who says so and why, if that is a person.
        note: Option<String>,
    },
}

/// A run that starts within this time of its own has not gone by: a restart of the program, or a moment
/// in which the machine was busy, is not what `missed` is about.
pub const ON_TIME: SignedDuration = SignedDuration::from_secs(60);

impl WorkflowPause {
    /// Whether nothing runs at this moment.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Who and why.
    pub fn in_words(&self) -> String {
        format!("{}: {}", self.who, self.reason)
    }
}

/// What is to be done about the times that have come.
pub fn agenda(schedule: &Schedule, known: &Known<'_>, now: Timestamp) -> Agenda {
    let end = now.checked_sub(known.jitter).unwrap_or(Timestamp::MIN);
    let due = schedule.times(known.from, end);
    let mut agenda =
        Agenda { entries: Vec::new(), queued: known.queued, upto: due.map_or(known.from, |due| due.last) };
    let pause = known.pause.filter(|pause| pause.is_on(now));
    if known.disabled || pause.is_some() {
        let why = if known.disabled { SkipReason::Disabled } else { SkipReason::Paused };
        let note = pause.filter(|_| !known.disabled).map(WorkflowPause::in_words);
        let queued = agenda.queued.take().map(one);
        agenda.skip(queued, why, note.clone());
        agenda.skip(due, why, note);
    } else if known.going {
        agenda.behind_a_run(schedule, known, due);
    } else {
        agenda.free(schedule, known, due, now);
    }
    agenda
}

/// When the schedule is to be looked at next, if everything up to `upto` is on record.
pub fn next_look(schedule: &Schedule, jitter: SignedDuration, upto: Timestamp) -> Option<Timestamp> {
    let due = schedule.next_due(upto)?;
    Some(due.checked_add(jitter).unwrap_or(due))
}

impl Agenda {
    fn behind_a_run(&mut self, schedule: &Schedule, known: &Known<'_>, due: Option<Times>) {
        let Some(due) = due else { return };
        match known.overlap {
            Overlap::Skip => self.skip(Some(due), SkipReason::Overlap, None),
            // One more run, for the newest of them.
            Overlap::Queue => {
                self.skip(self.queued.map(one), SkipReason::Overlap, None);
                self.skip(all_but_last(schedule, known.from, due), SkipReason::Overlap, None);
                self.queued = Some(due.last);
            }
        }
    }

    /// Nothing is in the way of a run.
    fn free(&mut self, schedule: &Schedule, known: &Known<'_>, due: Option<Times>, now: Timestamp) {
        let queued = self.queued.take();
        let Some(due) = due else {
            self.entries.extend(queued.map(|at| Entry::Run { at, late: false }));
            return;
        };
        // A pause that is over has times of its own among them.
        let (mut before, mut during, mut after) = (None, None, Some(due));
        let mut after_begins = known.from;
        if let Some(WorkflowPause { since, until: Some(until), .. }) = known.pause {
            let (since, until) = ((*since).max(known.from), (*until).min(due.last).max(known.from));
            before = schedule.times(known.from, since);
            during = schedule.times(since, until);
            after = schedule.times(until, due.last);
            after_begins = until;
        }
        let (last, begins) =
            if after.is_some() { (after, after_begins) } else { (before.take(), known.from) };
        let start = |at: Timestamp| at.checked_add(known.jitter).unwrap_or(at);
        let late = last.is_some_and(|last| now.duration_since(start(last.last)) > ON_TIME);
        let runs = last.filter(|_| !late || known.missed == Missed::RunOnce);
        match (queued, runs) {
            (Some(at), None) => self.entries.push(Entry::Run { at, late: false }),
            (queued, _) => self.skip(queued.map(one), SkipReason::Overlap, None),
        }
        let skipped =
            if runs.is_some() { last.and_then(|it| all_but_last(schedule, begins, it)) } else { last };
        let note = known.pause.map(WorkflowPause::in_words);
        let run = runs.map(|it| Entry::Run { at: it.last, late });
        if after.is_some() {
            self.skip(before, SkipReason::Missed, None);
            self.skip(during, SkipReason::Paused, note);
            self.skip(skipped, SkipReason::Missed, None);
            self.entries.extend(run);
        } else {
            self.skip(skipped, SkipReason::Missed, None);
            self.entries.extend(run);
            self.skip(during, SkipReason::Paused, note);
        }
    }

    fn skip(&mut self, times: Option<Times>, why: SkipReason, note: Option<String>) {
        self.entries.extend(times.map(|times| Entry::Skip { times, why, note }));
    }
}

fn one(at: Timestamp) -> Times {
    Times { first: at, last: at, count: 1 }
}

fn all_but_last(schedule: &Schedule, from: Timestamp, times: Times) -> Option<Times> {
    let before = times.last.checked_sub(SignedDuration::from_nanos(1)).ok()?;
    schedule.times(from, before)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use jiff::tz::TimeZone;

    use super::*;

    /// What becomes of the times of every hour of a day, given words such as `from 02:00`, `missed skip`,
    /// `overlap queue`, `going`, `queued 03:00`, `disabled`, `jitter 5m`, `paused 01:00-04:00`, `now 05:00:10`.
    #[track_caller]
    fn check(given: &str, expected: Expect) {
        let at = |time: &str| -> Timestamp {
            let seconds = if time.len() == 5 { ":00" } else { "" };
            format!("2026-01-09T{time}{seconds}Z").parse().unwrap()
        };
        let schedule = Schedule::new("0 * * * *".parse().unwrap(), TimeZone::UTC);
        let mut known = Known {
            from: at("00:00"),
            jitter: SignedDuration::ZERO,
            missed: Missed::RunOnce,
            overlap: Overlap::Skip,
            going: false,
            queued: None,
            disabled: false,
            pause: None,
        };
        let mut now = at("00:00");
        let mut pause = None;
        for word in given.split(", ") {
            let (word, value) = word.split_once(' ').unwrap_or((word, ""));
            match word {
                "from" => known.from = at(value),
                "now" => now = at(value),
                "missed" => known.missed = if value == "skip" { Missed::Skip } else { Missed::RunOnce },
                "overlap" => known.overlap = if value == "queue" { Overlap::Queue } else { Overlap::Skip },
                "going" => known.going = true,
                "queued" => known.queued = Some(at(value)),
                "disabled" => known.disabled = true,
                "jitter" => known.jitter = SignedDuration::from_mins(value.parse().unwrap()),
                "paused" => {
                    let (since, until) = value.split_once('-').unwrap();
                    let until = Some(until).filter(|it| !it.is_empty()).map(at);
                    let (who, reason) = ("anna".to_owned(), "stocktaking".to_owned());
                    pause = Some(WorkflowPause { who, reason, since: at(since), until });
                }
                other => panic!("{other}"),
            }
        }
        known.pause = pause.as_ref();
        let agenda = agenda(&schedule, &known, now);
        let short = |at: Timestamp| at.strftime("%H:%M").to_string();
        let mut lines: Vec<String> = agenda
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Run { at, late } => format!("run {}{}", short(*at), if *late { ", late" } else { "" }),
                Entry::Skip { times, why, note } => {
                    let note = note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
                    let Times { first, last, count } = *times;
                    format!("skip {count}, {} to {}: {}{note}", short(first), short(last), why.as_str())
                }
            })
            .collect();
        lines.extend(agenda.queued.map(|at| format!("queued {}", short(at))));
        expected.assert_eq(&format!("{}; on record up to {}", lines.join("; "), short(agenda.upto)));
    }

    #[test]
    fn nothing_is_done_before_the_time() {
        check("from 01:00, now 01:59:59", expect!["; on record up to 01:00"]);
        check("from 01:00, now 02:04, jitter 5", expect!["; on record up to 01:00"]);
    }

    #[test]
    fn a_time_that_has_come_is_run() {
        check("from 01:00, now 02:00", expect!["run 02:00; on record up to 02:00"]);
        check("from 01:00, now 02:05, jitter 5", expect!["run 02:00; on record up to 02:00"]);
    }

    #[test]
    fn a_restart_at_the_time_is_not_late() {
        check("from 01:00, now 02:00:59, missed skip", expect!["run 02:00; on record up to 02:00"]);
    }

    #[test]
    fn of_times_that_went_by_the_last_is_run() {
        check(
            "from 01:00, now 05:30",
            expect!["skip 3, 02:00 to 04:00: missed; run 05:00, late; on record up to 05:00"],
        );
        check("from 01:00, now 02:30", expect!["run 02:00, late; on record up to 02:00"]);
    }

    #[test]
    fn or_none_if_the_workflow_wants_that_so() {
        check(
            "from 01:00, now 05:30, missed skip",
            expect!["skip 4, 02:00 to 05:00: missed; on record up to 05:00"],
        );
    }

    #[test]
    fn of_several_that_went_by_one_that_is_on_time_is_run_whatever_the_workflow_says() {
        check(
            "from 01:00, now 05:00:30, missed skip",
            expect!["skip 3, 02:00 to 04:00: missed; run 05:00; on record up to 05:00"],
        );
    }

    #[test]
    fn times_that_come_during_a_run_are_skipped() {
        check(
            "from 01:00, now 02:00, going",
            expect!["skip 1, 02:00 to 02:00: overlap; on record up to 02:00"],
        );
        check(
            "from 01:00, now 04:00, going",
            expect!["skip 3, 02:00 to 04:00: overlap; on record up to 04:00"],
        );
    }

    #[test]
    fn or_the_newest_of_them_waits() {
        check("from 01:00, now 02:00, going, overlap queue", expect!["queued 02:00; on record up to 02:00"]);
        check(
            "from 02:00, now 04:00, going, overlap queue, queued 02:00",
            expect![
                "skip 1, 02:00 to 02:00: overlap; skip 1, 03:00 to 03:00: overlap; queued 04:00; on record up to 04:00"
            ],
        );
    }

    #[test]
    fn the_time_that_waits_is_run_when_the_run_has_ended() {
        check(
            "from 04:00, now 04:50, overlap queue, queued 04:00",
            expect!["run 04:00; on record up to 04:00"],
        );
        check(
            "from 04:00, now 05:00, overlap queue, queued 04:00",
            expect!["skip 1, 04:00 to 04:00: overlap; run 05:00; on record up to 05:00"],
        );
        check(
            "from 04:00, now 09:30, overlap queue, queued 04:00, missed skip",
            expect!["run 04:00; skip 5, 05:00 to 09:00: missed; on record up to 09:00"],
        );
    }

    #[test]
    fn while_it_is_paused_or_disabled_nothing_is_run() {
        check(
            "from 01:00, now 02:00, paused 01:30-",
            expect!["skip 1, 02:00 to 02:00: paused (anna: stocktaking); on record up to 02:00"],
        );
        check(
            "from 01:00, now 02:00, paused 01:30-03:00",
            expect!["skip 1, 02:00 to 02:00: paused (anna: stocktaking); on record up to 02:00"],
        );
        check(
            "from 01:00, now 02:00, disabled",
            expect!["skip 1, 02:00 to 02:00: disabled; on record up to 02:00"],
        );
        check(
            "from 04:00, now 05:00, overlap queue, queued 04:00, paused 01:30-",
            expect![
                "skip 1, 04:00 to 04:00: paused (anna: stocktaking); skip 1, 05:00 to 05:00: paused (anna: stocktaking); on record up to 05:00"
            ],
        );
    }

    #[test]
    fn a_pause_that_ended_while_nobody_looked_has_its_own_times() {
        check(
            "from 01:00, now 08:30, paused 03:30-05:30",
            expect![
                "skip 2, 02:00 to 03:00: missed; skip 2, 04:00 to 05:00: paused (anna: stocktaking); skip 2, 06:00 to 07:00: missed; run 08:00, late; on record up to 08:00"
            ],
        );
        check(
            "from 01:00, now 05:45, paused 03:30-05:30",
            expect![
                "skip 1, 02:00 to 02:00: missed; run 03:00, late; skip 2, 04:00 to 05:00: paused (anna: stocktaking); on record up to 05:00"
            ],
        );
        check(
            "from 03:00, now 05:45, paused 03:30-05:30",
            expect!["skip 2, 04:00 to 05:00: paused (anna: stocktaking); on record up to 05:00"],
        );
        check("from 05:00, now 06:00, paused 03:30-05:30", expect!["run 06:00; on record up to 06:00"]);
    }

    #[test]
    fn a_clock_that_went_back_has_nothing_due() {
        check("from 05:00, now 02:00", expect!["; on record up to 05:00"]);
    }
}
