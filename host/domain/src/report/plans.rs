//! A plan in words: what it would do, what limits it, who says what of it, and how a person goes on.

use jiff::Timestamp;

use super::{count, devices, join};
use crate::id::ProfileName;
use crate::plan::{Origin, Skip, Totals};
use crate::rails::{Breach, Exceeded};
use crate::review::{Decision, Move};
use crate::run::{Differs, Planned, Reviewed, Run, Shadowed, State, StepRecord, Waits};
use crate::waiting::Answer;

/// The numbers of a plan, and whose it is.
pub(super) fn planned_line(planned: &Planned) -> String {
    let line = totals_line(&planned.totals);
    match &planned.origin {
        None => line,
        Some(Origin::File { run, workflow }) => format!("the plan of run {run} of {workflow}: {line}"),
        Some(Origin::Serials) => line,
        Some(Origin::Rollback { run }) => format!("run {run} taken back: {line}"),
    }
}

/// A plan in a few lines: its numbers, then the rails it breaks and what else is to be said of it.
pub fn planned_lines(planned: &Planned) -> Vec<String> {
    let mut lines = vec![planned_line(planned)];
    lines.extend(planned_details(planned));
    lines
}

pub(super) fn planned_details(planned: &Planned) -> Vec<String> {
    let mut lines = rail_lines(&planned.breaches);
    lines.extend(planned.review.iter().map(review_line));
    lines.extend(planned.approved.iter().map(|run| {
        let who = planned.answer.as_ref().map_or_else(|| "a person".to_owned(), Answer::to_string);
        let rest = if planned.rest { "the rest of the plan " } else { "" };
        format!("{rest}approved by {who}, after run {run} had asked")
    }));
    lines.extend(planned.differs.iter().map(differs_line));
    if planned.arrived > 0 {
        lines.push(format!("{} came since it was made, and it does not know them", devices(planned.arrived)));
    }
    lines
}

/// Who said what of a plan.
pub(super) fn review_line(review: &Reviewed) -> String {
    let said = match review.opinion.decision {
        Decision::Approve => "approves",
        Decision::Ask if review.fault => "could not say",
        Decision::Ask => "asks for a person",
        Decision::Refuse => "refuses",
    };
    let reason = &review.opinion.reason;
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(": {}", reason.replace('\n', "\n             "))
    };
    format!("{} {said}{reason}", review.policy)
}

/// Why a plan waits, in one line.
pub fn waits_for(waits: &Waits) -> String {
    let Planned { breaches, review, totals, .. } = &waits.planned;
    let rails = breaches.iter().map(|breach| format!("rail: {breach}"));
    let asks = review.iter().filter(|it| it.opinion.decision == Decision::Ask).map(review_line);
    let mut why: Vec<String> = rails.chain(asks).collect();
    // Rails and review let it pass, but a person had approved another.
    if let (true, Some(differs)) = (why.is_empty(), &waits.planned.differs) {
        why.push(format!("it is not the plan of run {}, which a person approved", differs.from));
    }
    format!("{}; {}", why.join("; "), totals_line(totals))
}

pub(super) fn rail_lines(breaches: &[Breach]) -> Vec<String> {
    breaches.iter().map(|breach| format!("rail: {breach}")).collect()
}

/// What it waits for, or what came of that.
pub(super) fn waits_word(step: &StepRecord, waits: &Waits) -> String {
    match (waits.until, &step.waited) {
        (None, _) => "would wait for a person".to_owned(),
        (Some(_), None) => "waits for a person".to_owned(),
        (Some(_), Some(waited)) => waited.in_words(),
    }
}

/// How to go on after a plan that waits.
pub(super) fn how_to_answer(run: &Run, step: &StepRecord, waits: &Waits) -> Vec<String> {
    match (&waits.planned.same_as, waits.until) {
        (Some(asked), _) => vec![
            format!("it is the plan that run {asked} asked about"),
            format!("hint: {}", to_approve(asked)),
        ],
        // What became of it since, the heading says.
        (None, Some(_)) if !matches!(run.state, State::Running | State::Waiting) => Vec::new(),
        (None, Some(until)) => {
            let lapses = |until: Timestamp| format!("it lapses {}", until.strftime("%Y-%m-%d %H:%M UTC"));
            match &step.waited {
                Some(waited) if waited.end.is_some() => Vec::new(),
                Some(waited) if waited.answer.is_some() => vec![lapses(waited.until)],
                _ => vec![format!("hint: {}", to_approve(&run.id)), lapses(until)],
            }
        }
        (None, None) => vec![format!(
            "hint: `deputy run {}` asks in earnest; `deputy approve {} --yes` carries out this very plan",
            run.workflow, run.id
        )],
    }
}

/// How to approve or refuse what a run asked about.
fn to_approve(run: &crate::id::RunId) -> String {
    format!(
        "`deputy runs show {run} --actions 1000` shows the devices; if it is right, `deputy approve {run}` does it, else `deputy approve {run} --refuse` ends it"
    )
}

/// How a plan differs from the one that waited before.
fn differs_line(differs: &Differs) -> String {
    let numbers = [(differs.more, "more"), (differs.fewer, "fewer"), (differs.otherwise, "otherwise")];
    let mut parts: Vec<String> = numbers
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, how)| format!("{} {how}", devices(*number)))
        .collect();
    if !differs.examples.is_empty() {
        let examples: Vec<&str> = differs.examples.iter().map(|serial| serial.as_str()).collect();
        parts.push(format!("such as {}", examples.join(", ")));
    }
    parts.extend(differs.profiles.iter().map(|profile| format!("the profile {profile} says something else")));
    format!("it is not the plan of run {}, which it takes the place of: {}", differs.from, join(parts))
}

/// What a workflow in shadow mode would have done.
pub(super) fn shadowed_line(shadowed: &Shadowed) -> String {
    let Shadowed { devices: all, agree, moves, .. } = shadowed;
    let would: u64 = moves.iter().map(|it| it.devices).sum();
    let would =
        if would == 0 { "would do nothing".to_owned() } else { format!("would change {}", devices(would)) };
    format!("shadow, nothing is sent: {would}; of {} {agree} are where it wants them", devices(*all))
}

/// As many ways from profile to profile are told.
const MOVES: usize = 10;

pub(super) fn move_lines(moves: &[Move]) -> Vec<String> {
    let line = |it: &Move| format!("{} on {}, it wants {}", devices(it.devices), it.has(), it.to);
    let mut lines: Vec<String> = moves.iter().take(MOVES).map(line).collect();
    let more: u64 = moves.iter().skip(MOVES).map(|it| it.devices).sum();
    if more > 0 {
        lines.push(format!("and {} more", devices(more)));
    }
    lines
}

/// How a person who asked for something goes on after a broken rail.
pub fn way_past(breaches: &[Breach]) -> String {
    let flag = |name: &str, it: &Exceeded| format!("--{name} {}", it.wanted);
    let flags = breaches.iter().filter_map(|breach| match breach {
        Breach::FirstAssignments(it) => Some(flag("first-assignments", it)),
        Breach::Reassignments(it) => Some(flag("reassignments", it)),
        Breach::Removals(it) => Some(flag("removals", it)),
        Breach::Protected { .. } | Breach::ProtectedDevices { .. } => None,
    });
    let flags: Vec<String> = flags.collect();
    let protected =
        |breach: &Breach| matches!(breach, Breach::Protected { .. } | Breach::ProtectedDevices { .. });
    if breaches.iter().any(protected) {
        return "hint: leave them out, or take them out of `protect_profiles` and `protect_serials`"
            .to_owned();
    }
    format!("hint: if it is right, `{}` lets it through, this once", flags.join(" "))
}

pub(super) fn totals_line(totals: &Totals) -> String {
    let mut parts = Vec::new();
    if !totals.defines.is_empty() {
        parts.push(format!("define {}", join(totals.defines.iter().map(ProfileName::to_string))));
    }
    if totals.first_assignments > 0 {
        parts.push(count(totals.first_assignments, "first assignment"));
    }
    if totals.reassignments > 0 {
        parts.push(count(totals.reassignments, "reassignment"));
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    for skip in [
        Skip::AlreadyRight,
        Skip::Held,
        Skip::Fault,
        Skip::Ignored,
        Skip::Waiting,
        Skip::InFlight,
        Skip::Undecided,
        Skip::Before,
    ] {
        if totals.skipped(skip) > 0 {
            parts.push(format!("{} {skip}", totals.skipped(skip)));
        }
    }
    join(parts)
}
