//! What of a run is worth telling somebody who was told before.
//!
//! What changes is told each time. What goes wrong is told when it begins, when something else goes wrong,
//! and when it is over; not at every run in between. So what is wrong with a token has a *kind*: text that
//! stays the same for as long as the same is wrong, whatever numbers, serials and times it comes with.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Digest, TokenName};
use crate::plan::Skip;
use crate::rails::Breach;
use crate::report::many_left;
use crate::run::{Outcome, Run, State, StepRecord};
use crate::workflow::When;

/// What somebody was told is wrong, and is not over: with a token, or with the run as a whole.
pub type Told = BTreeMap<Option<TokenName>, String>;

/// What there is to tell somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Something happened that is told each time.
    pub happened: bool,
    /// What is wrong now and was not, or not so: its kind.
    pub begun: Told,
    /// What was wrong and is not any more.
    pub over: BTreeSet<Option<TokenName>>,
}

impl News {
    /// There is something to tell.
    pub fn is_any(&self) -> bool {
        self.happened || !self.begun.is_empty() || !self.over.is_empty()
    }
}

/// What there is to tell of a run, to somebody who was told this before.
pub fn news(run: &Run, when: When, told: &Told) -> News {
    let steps = || run.steps.iter().filter(|step| step.uses != "notify");
    let mut wrong: BTreeMap<Option<TokenName>, Vec<Trouble>> = BTreeMap::new();
    for step in steps().filter(|step| step.outcome.is_some()) {
        wrong.entry(step.token.clone()).or_default().extend(trouble(step));
    }
    // What befell the run as a whole has no step that could go well.
    if told.get(&None).is_some_and(|kind| OF_THE_RUN.iter().any(|uses| kind.starts_with(uses))) {
        wrong.entry(None).or_default();
    }
    // What was stopped because somebody wanted it is neither wrong nor well again.
    let stopped: BTreeSet<_> = steps().filter(|step| was_stopped(step)).map(|step| &step.token).collect();
    wrong.retain(|token, troubles| {
        !troubles.is_empty() || !(stopped.contains(token) || token.is_none() && !stopped.is_empty())
    });
    let mut news = News {
        happened: match when {
            When::Always => true,
            When::Changed => run.changed_something() || steps().any(left_at_once),
            When::Failed => steps().any(left_at_once),
            When::NeedsAttention => false,
        },
        ..News::default()
    };
    for (token, mut troubles) in wrong {
        troubles.retain(|trouble| when != When::NeedsAttention || trouble.needs_person);
        let kinds: BTreeSet<&str> = troubles.iter().map(|trouble| trouble.kind.as_str()).collect();
        let kind = kinds.into_iter().collect::<Vec<_>>().join("; ");
        match told.get(&token) {
            // Devices that Apple would not assign are left alone for a while: that is not over.
            Some(before)
                if kind.is_empty() && before == NOT_ASSIGNED && steps().any(|it| waits(it, &token)) => {}
            Some(_) if kind.is_empty() => drop(news.over.insert(token)),
            Some(before) if *before == kind => {}
            None if kind.is_empty() => {}
            _ => drop(news.begun.insert(token, kind)),
        }
    }
    news
}

/// Something that is wrong after a step.
struct Trouble {
    kind: String,
    needs_person: bool,
}

/// The words of records that are of the run and of no step of its workflow.
const OF_THE_RUN: [&str; 2] = ["limit: ", "room: "];

/// It was stopped by a signal, or by a freeze.
fn was_stopped(step: &StepRecord) -> bool {
    matches!(&step.outcome, Some(Outcome::Failed(failure)) if failure.state == State::Stopped && !failure.at_limit)
}

/// Apple would not assign devices.
const NOT_ASSIGNED: &str = "apply: devices were not assigned";

fn trouble(step: &StepRecord) -> Vec<Trouble> {
    let Some(outcome) = &step.outcome else { return Vec::new() };
    let state = outcome.state();
    let needs_person = state.needs_attention();
    let of = |kind: String| Trouble { kind: format!("{}: {kind}", step.uses), needs_person };
    match outcome {
        Outcome::Failed(_) if was_stopped(step) => Vec::new(),
        // How Apple or the network fail differs from hour to hour.
        Outcome::Failed(failure) if matches!(failure.state, State::Unavailable | State::Stopped) => {
            vec![of(failure.state.as_str().to_owned())]
        }
        Outcome::Failed(failure) => vec![of(blurred(&failure.error))],
        Outcome::Refused { breaches, .. } => {
            let rails: Vec<String> = breaches.iter().map(rail).collect();
            vec![of(format!("breaks {}", rails.join(", ")))]
        }
        Outcome::Objected { review, .. } => vec![of(format!("{} refuses", review.policy))],
        // The same plan, made again, waits on: that is no news.
        Outcome::Waits(waits) => {
            let plan = waits.planned.plan.as_ref().map_or("a plan", Digest::as_str);
            vec![of(format!("{plan} waits"))]
        }
        Outcome::Declined { run, .. } => vec![of(format!("a person has refused the plan of {run}"))],
        Outcome::Decided(decided) => {
            let policy = decided.policy.as_ref().map_or("the policy", |policy| policy.as_str());
            match (&decided.resting, decided.faults.first()) {
                (Some(_), _) => vec![Trouble { needs_person: true, ..of(format!("{policy} rests")) }],
                (None, Some(fault)) => vec![of(format!("{policy} fails: {}", blurred(&fault.reason)))],
                (None, None) => Vec::new(),
            }
        }
        Outcome::Synced(synced) if synced.set_aside > 0 => vec![of("devices cannot be read".to_owned())],
        Outcome::Applied(applied) => {
            let mut troubles = Vec::new();
            if applied.failed > 0 {
                troubles.push(Trouble { kind: NOT_ASSIGNED.to_owned(), needs_person });
            }
            let refused: Vec<&str> = applied.refused_profiles.keys().map(|name| name.as_str()).collect();
            if !refused.is_empty() {
                troubles.push(of(format!("Apple refuses {}", refused.join(", "))));
            }
            troubles
        }
        _ if state.is_bad() => vec![of(state.as_str().to_owned())],
        _ => Vec::new(),
    }
}

fn rail(breach: &Breach) -> String {
    match breach {
        Breach::FirstAssignments { .. } => "first_assignments".to_owned(),
        Breach::Reassignments { .. } => "reassignments".to_owned(),
        Breach::Removals(_) => "removals".to_owned(),
        Breach::ProtectedDevices { .. } => "protect_serials".to_owned(),
        Breach::Protected { profile, .. } => format!("protect_profiles ({profile})"),
    }
}

/// Many devices left in this very run.
fn left_at_once(step: &StepRecord) -> bool {
    matches!(&step.outcome, Some(Outcome::Synced(synced)) if many_left(synced))
}

/// Devices of the token are left alone after a refusal of Apple's.
fn waits(step: &StepRecord, token: &Option<TokenName>) -> bool {
    let totals = match &step.outcome {
        Some(Outcome::Planned(planned)) if step.token == *token => &planned.totals,
        _ => return false,
    };
    totals.skipped(Skip::Waiting) > 0
}

/// A text without the words that have digits in them: counts, serial numbers, times.
fn blurred(text: &str) -> String {
    let word = |word: &str| {
        if word.bytes().any(|byte| byte.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::rails::Exceeded;
    use crate::run::{Applied, Failure, Planned, Synced, Trigger};

    /// Runs one after the other, `;` between: of each the tokens with what befell them, `TOKEN WHAT`, `,` between,
    /// told as far as they are news.
    #[track_caller]
    fn check(when: When, story: &str, expected: Expect) {
        let (mut told, mut found) = (Told::new(), String::new());
        for (number, line) in story.split(';').enumerate() {
            let run = run(line.trim());
            let news = news(&run, when, &told);
            let name =
                |token: &Option<TokenName>| token.as_ref().map_or("the run".to_owned(), ToString::to_string);
            let mut said = Vec::new();
            said.extend(news.happened.then(|| "something happened".to_owned()));
            said.extend(news.begun.iter().map(|(token, kind)| format!("{}: {kind}", name(token))));
            said.extend(news.over.iter().map(|token| format!("{}: works again", name(token))));
            found += &format!("{}: {}\n", number + 1, said.join(", "));
            told.retain(|token, _| !news.over.contains(token));
            told.extend(news.begun);
        }
        expected.assert_eq(&found);
    }

    fn run(line: &str) -> Run {
        let time = jiff::Timestamp::UNIX_EPOCH;
        let step = |text: &str| {
            let (token, what) = text.trim().split_once(' ').unwrap();
            let failed = |error: &str, state| {
                Outcome::Failed(Failure { error: error.to_owned(), hint: None, state, at_limit: false })
            };
            let (uses, outcome) = match what {
                "well" => ("sync", Outcome::Synced(Synced::default())),
                "assigns" => ("apply", Outcome::Applied(Applied { calls: 1, ..Applied::default() })),
                "not-assigned" => {
                    ("apply", Outcome::Applied(Applied { calls: 1, failed: 2, ..Applied::default() }))
                }
                "waits" => {
                    let mut planned = Planned::default();
                    planned.totals.skips.insert(Skip::Waiting, 2);
                    ("plan", Outcome::Planned(planned))
                }
                "away" => ("sync", failed("no answer", State::Unavailable)),
                "stopped" => ("sync", failed("stopped before the end", State::Stopped)),
                "limit" => {
                    let failure =
                        Failure { error: String::new(), hint: None, state: State::Stopped, at_limit: true };
                    ("limit", Outcome::Failed(failure))
                }
                "rail" => (
                    "plan",
                    Outcome::Refused {
                        totals: Default::default(),
                        breaches: vec![Breach::Reassignments(Exceeded { wanted: 9, allowed: 5, part: None })],
                    },
                ),
                error => ("sync", failed(error, State::NeedsPerson)),
            };
            StepRecord {
                index: 0,
                uses: uses.to_owned(),
                id: None,
                token: (token != "-").then(|| token.parse().unwrap()),
                started_at: time,
                ended_at: Some(time),
                outcome: Some(outcome),
                waited: None,
            }
        };
        Run {
            id: "20260109-091320-bcdfgh".parse().unwrap(),
            workflow: "auto-assign".parse().unwrap(),
            trigger: Trigger::Hand,
            dry: false,
            shadow: false,
            started_at: time,
            ended_at: None,
            state: State::Running,
            skipped: None,
            steps: line.split(',').map(step).collect(),
        }
    }

    #[test]
    fn a_failure_is_told_when_it_begins_and_when_it_is_over() {
        check(
            When::Changed,
            "emea well; emea away; emea away; emea well; emea well",
            expect![[r#"
                1: 
                2: emea: sync: unavailable
                3: 
                4: emea: works again
                5: 
            "#]],
        );
    }

    #[test]
    fn a_clean_stop_is_neither_trouble_nor_its_end() {
        check(
            When::Changed,
            "emea well; emea stopped; emea away; emea stopped; emea well",
            expect![[r#"
                1: 
                2: 
                3: emea: sync: unavailable
                4: 
                5: emea: works again
            "#]],
        );
    }

    #[test]
    fn a_run_that_reaches_its_limit_is_told_until_one_does_not() {
        check(
            When::Changed,
            "emea stopped, - limit; emea stopped, - limit; emea stopped; emea well; emea well",
            expect![[r#"
                1: the run: limit: stopped
                2: 
                3: 
                4: the run: works again
                5: 
            "#]],
        );
    }

    #[test]
    fn a_failure_of_another_kind_is_told_and_other_numbers_are_none() {
        check(
            When::Failed,
            "emea terms of 3 pages; emea terms of 5 pages; emea token ended; emea well",
            expect![[r#"
                1: emea: sync: terms of # pages
                2: 
                3: emea: sync: token ended
                4: emea: works again
            "#]],
        );
    }

    #[test]
    fn each_token_has_its_own_story() {
        check(
            When::Changed,
            "emea rail, amer well; emea rail, amer away; amer well; emea well, amer well",
            expect![[r#"
                1: emea: plan: breaks reassignments
                2: amer: sync: unavailable
                3: amer: works again
                4: emea: works again
            "#]],
        );
    }

    #[test]
    fn what_changes_is_told_each_time_unless_only_trouble_is_wanted() {
        let story = "emea assigns; emea assigns";
        check(
            When::Changed,
            story,
            expect![[r#"
                1: something happened
                2: something happened
            "#]],
        );
        check(
            When::NeedsAttention,
            "emea assigns; emea away; emea rail; emea away",
            expect![[r#"
                1: 
                2: 
                3: emea: plan: breaks reassignments
                4: emea: works again
            "#]],
        );
    }

    #[test]
    fn devices_that_are_left_alone_after_a_refusal_are_not_well_again() {
        check(
            When::Failed,
            "emea not-assigned; emea waits; emea not-assigned; emea well",
            expect![[r#"
                1: emea: apply: devices were not assigned
                2: 
                3: 
                4: emea: works again
            "#]],
        );
    }

    #[test]
    fn always_keeps_saying() {
        check(
            When::Always,
            "- well; - well",
            expect![[r#"
                1: something happened
                2: something happened
            "#]],
        );
    }
}
