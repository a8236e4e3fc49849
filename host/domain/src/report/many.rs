//! A run over many tokens in few lines: what went well is added up, what went wrong is told once for all
//! to whom it happened.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{count, details, step_line};
use crate::id::TokenName;
use crate::plan::Totals;
use crate::run::{Applied, Decided, Failure, Outcome, Planned, Run, State, StepRecord, Synced};

/// With more tokens than this nobody reads a line for each.
pub(super) const MANY: usize = 10;
/// As many are named when the same happened to several.
const NAMED: usize = 5;

/// What happened to several tokens alike.
#[derive(Default)]
struct Alike<'a> {
    /// Added up, for how many.
    well: Option<(Outcome, u64)>,
    /// By the line that tells it, with its hint.
    badly: BTreeMap<(String, Option<String>), Vec<&'a TokenName>>,
    /// What is like nothing else.
    apart: Vec<&'a StepRecord>,
}

/// The steps that were done for each token apart.
pub(super) fn lines(run: &Run) -> String {
    let mut steps: BTreeMap<(u32, &str), Alike<'_>> = BTreeMap::new();
    for step in &run.steps {
        if let Some(token) = &step.token {
            steps.entry((step.index, step.name())).or_default().put(run, step, token);
        }
    }
    let mut text = String::new();
    for ((_, uses), alike) in steps {
        if let Some((outcome, tokens)) = &alike.well {
            let sum = StepRecord { outcome: Some(outcome.clone()), ..blank(run, uses) };
            let _ = writeln!(text, "  {uses:<8} {}: {}", count(*tokens, "token"), step_line(run, &sum));
        }
        for ((line, hint), tokens) in &alike.badly {
            let _ = writeln!(text, "  {uses:<8} {}: {line}", names(tokens));
            if let Some(hint) = hint {
                let _ = writeln!(text, "           hint: {hint}");
            }
        }
        for step in &alike.apart {
            let whose = step.token.as_ref().map_or(String::new(), |token| format!("{token}: "));
            let _ = writeln!(text, "  {uses:<8} {whose}{}", step_line(run, step));
            for line in details(run, step) {
                let _ = writeln!(text, "           {line}");
            }
        }
    }
    text
}

impl<'a> Alike<'a> {
    fn put(&mut self, run: &Run, step: &'a StepRecord, token: &'a TokenName) {
        match &step.outcome {
            Some(Outcome::Failed(Failure { error, hint, .. })) => {
                let told = (
                    format!("failed: {}", anyone(error, token)),
                    hint.as_ref().map(|hint| anyone(hint, token)),
                );
                self.badly.entry(told).or_default().push(token);
            }
            Some(Outcome::NotNeeded { .. } | Outcome::LeftOut { .. }) => {
                self.badly.entry((step_line(run, step), None)).or_default().push(token);
            }
            Some(outcome) if is_plain(outcome) => match &mut self.well {
                Some((sum, tokens)) => {
                    add(sum, outcome);
                    *tokens += 1;
                }
                none => *none = Some((outcome.clone(), 1)),
            },
            _ => self.apart.push(step),
        }
    }
}

/// Nothing about it has to be told of this token alone.
fn is_plain(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Synced(synced) => synced.set_aside == 0 && !super::many_left(synced),
        Outcome::Decided(decided) => decided.faults.is_empty() && decided.resting.is_none(),
        Outcome::Planned(Planned { breaches, review, approved, origin, arrived, .. }) => {
            breaches.is_empty() && review.is_none() && approved.is_none() && origin.is_none() && *arrived == 0
        }
        Outcome::Applied(applied) => applied.refused_profiles.is_empty(),
        _ => false,
    }
}

/// Adds what came of the same step for another token.
fn add(sum: &mut Outcome, other: &Outcome) {
    match (sum, other) {
        (Outcome::Synced(sum), Outcome::Synced(other)) => {
            let Synced { full, pages, added, changed, gone, devices, read_back, .. } = other;
            sum.full |= full;
            sum.pages += pages;
            sum.added += added;
            sum.changed += changed;
            sum.gone += gone;
            sum.devices += devices;
            sum.read_back += read_back;
        }
        (Outcome::Decided(sum), Outcome::Decided(other)) => {
            let Decided { devices, assign, held, ignored, usage, .. } = other;
            sum.usage += *usage;
            sum.devices += devices;
            sum.held += held;
            sum.ignored += ignored;
            for (profile, number) in assign {
                *sum.assign.entry(profile.clone()).or_default() += number;
            }
        }
        (Outcome::Planned(Planned { totals: sum, .. }), Outcome::Planned(Planned { totals: other, .. })) => {
            let Totals { devices, first_assignments, reassignments, skips, by_profile, defines } = other;
            sum.devices += devices;
            sum.first_assignments += first_assignments;
            sum.reassignments += reassignments;
            for (skip, number) in skips {
                *sum.skips.entry(*skip).or_default() += number;
            }
            for (profile, number) in by_profile {
                *sum.by_profile.entry(profile.clone()).or_default() += number;
            }
            sum.defines.extend(defines.iter().cloned());
        }
        (Outcome::Applied(sum), Outcome::Applied(other)) => {
            let Applied {
                defined,
                calls,
                succeeded,
                failed,
                throttled,
                not_accessible,
                in_flight,
                confirmed,
                ..
            } = other;
            sum.defined.extend(defined.iter().cloned());
            sum.defined.sort();
            sum.defined.dedup();
            sum.calls += calls;
            sum.succeeded += succeeded;
            sum.failed += failed;
            sum.throttled += throttled;
            sum.not_accessible += not_accessible;
            sum.in_flight += in_flight;
            sum.confirmed = match (sum.confirmed, confirmed) {
                (None, None) => None,
                (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
            };
        }
        _ => {}
    }
}

/// What a person has to see to, a line for all to whom the same happened.
pub fn needs_a_person(run: &Run) -> Vec<String> {
    let mut alike: BTreeMap<String, (String, Vec<&TokenName>)> = BTreeMap::new();
    for step in &run.steps {
        let Some(outcome) = step.outcome.as_ref().filter(|it| it.state() >= State::Refused) else { continue };
        let line = match outcome {
            Outcome::Failed(Failure { error, hint, .. }) => {
                let hint = hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
                format!("{error}{hint}")
            }
            Outcome::Refused { breaches, .. } => {
                let breaches: Vec<String> = breaches.iter().map(ToString::to_string).collect();
                format!("refused by a rail: {}", breaches.join("; "))
            }
            Outcome::Objected { review, .. } => {
                format!("refused by {}: {}", review.policy, review.opinion.reason)
            }
            Outcome::Outdated(outdated) => format!("the world has moved on: {}", outdated.lines().join("; ")),
            // What waits is told by whoever looks at all that waits; what a person refused needs nobody.
            Outcome::Waits(_) | Outcome::Declined { .. } => continue,
            // That a plugin rests is told as long as it does, by whoever looks at plugins.
            Outcome::Decided(decided) if decided.resting.is_none() => {
                let policy = decided.policy.as_ref().map_or("the policy", |policy| policy.as_str());
                let why = decided.faults.first().map_or("", |note| &*note.reason);
                format!(
                    "{policy} failed on {} of {}: {why}; mend the plugin, its settings or its tables",
                    decided.failed_on(),
                    super::devices(decided.devices),
                )
            }
            _ => continue,
        };
        let told = step.token.as_ref().map_or(line.clone(), |token| anyone(&line, token));
        alike.entry(told).or_insert_with(|| (line, Vec::new())).1.extend(&step.token);
    }
    let line = |(told, (line, tokens)): (String, (String, Vec<&TokenName>))| match tokens.as_slice() {
        [] | [_] => line,
        several => format!("{}: {told}", names(several)),
    };
    alike.into_iter().map(line).collect()
}

/// The text without the name of the token it is about, to tell whether another's is the same.
fn anyone(text: &str, token: &TokenName) -> String {
    let in_label = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let pieces = text.split_inclusive(|c| !in_label(c));
    let piece = |piece: &str| match piece.strip_prefix(token.as_str()) {
        Some(rest) if !rest.starts_with(in_label) => format!("NAME{rest}"),
        _ => piece.to_owned(),
    };
    pieces.map(piece).collect()
}

/// A few of them by name.
fn names(tokens: &[&TokenName]) -> String {
    let named: Vec<&str> = tokens.iter().take(NAMED).map(|token| token.as_str()).collect();
    let more = tokens.len().saturating_sub(NAMED);
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn blank(run: &Run, uses: &str) -> StepRecord {
    StepRecord {
        index: 0,
        uses: uses.to_owned(),
        id: None,
        token: None,
        started_at: run.started_at,
        ended_at: None,
        outcome: None,
        waited: None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::run::Trigger;

    fn step(token: usize, uses: &str, outcome: Outcome) -> StepRecord {
        let started_at = jiff::Timestamp::UNIX_EPOCH;
        let token = Some(format!("customer-{token}").parse().unwrap());
        StepRecord {
            index: 0,
            uses: uses.to_owned(),
            id: None,
            token,
            started_at,
            ended_at: None,
            outcome: Some(outcome),
            waited: None,
        }
    }

    #[test]
    fn many_tokens_are_told_in_few_lines() {
        let synced = |devices| {
            Outcome::Synced(Synced { full: true, pages: 2, added: devices, devices, ..Synced::default() })
        };
        let terms = |token| {
            Outcome::Failed(Failure {
                error: format!("could not open a session for `customer-{token}`: terms"),
                hint: Some(format!("type `deputy token check customer-{token}`")),
                state: State::NeedsPerson,
                at_limit: false,
            })
        };
        let mut steps: Vec<StepRecord> = (0..12).map(|token| step(token, "sync", synced(3))).collect();
        steps.extend((12..20).map(|token| step(token, "sync", terms(token))));
        let set_aside =
            Synced { set_aside: 1, unreadable: vec!["C02AA: no".to_owned()], ..Synced::default() };
        steps.push(step(20, "sync", Outcome::Synced(set_aside)));
        let run = Run {
            id: "20260109-091320-k3f9wq".parse().unwrap(),
            workflow: "auto-assign".parse().unwrap(),
            trigger: Trigger::Hand,
            dry: false,
            shadow: false,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            ended_at: None,
            state: State::NeedsPerson,
            skipped: None,
            steps,
        };
        expect![[r#"
            run 20260109-091320-k3f9wq of auto-assign, by hand: needs a person
              sync     12 tokens: 36 devices: 36 new, 0 changed, 0 gone (every device, 24 pages)
              sync     customer-12, customer-13, customer-14, customer-15, customer-16 and 3 more: failed: could not open a session for `NAME`: terms
                       hint: type `deputy token check NAME`
              sync     customer-20: 0 devices: 0 new, 0 changed, 0 gone (the changes, 0 pages)
                       set aside: C02AA: no
        "#]].assert_eq(&super::super::report(&run));
        expect!["customer-12, customer-13, customer-14, customer-15, customer-16 and 3 more: could not open a session for `NAME`: terms; type `deputy token check NAME`"].assert_eq(&needs_a_person(&run).join("\n"));
    }
}
