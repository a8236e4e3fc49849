//! A run in words, the same for a terminal, a log and a message.

mod many;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::id::ProfileName;
use crate::plan::{Breach, Skip, Totals};
use crate::removal::{Removal, Removed};
use crate::review::Decision;
use crate::run::{
    Applied, Decided, Outcome, Planned, Reminded, Reviewed, Run, SkipReason, SkippedTimes, State, StepRecord,
    Synced, Trigger,
};
use crate::token::in_words;

pub use many::needs_a_person;

/// The run as a few lines: a heading, then a line for each step, with hints where somebody can act.
pub fn report(run: &Run) -> String {
    format!("{}\n{}", heading(run), steps(run))
}

/// A line for each step, with hints where somebody can act.
pub fn steps(run: &Run) -> String {
    let tokens: BTreeSet<_> = run.steps.iter().filter_map(|step| step.token.as_ref()).collect();
    let (several_tokens, many) = (tokens.len() > 1, tokens.len() > many::MANY);
    let mut text = if many { many::lines(run) } else { String::new() };
    // Lanes go side by side; read, each token's steps belong together.
    let mut steps: Vec<&StepRecord> = run.steps.iter().filter(|step| !many || step.token.is_none()).collect();
    steps.sort_by_key(|step| (step.token.is_none(), step.token.clone(), step.index));
    for step in steps {
        let token = step.token.as_ref().filter(|_| several_tokens);
        let whose = token.map_or(String::new(), |token| format!("{token}: "));
        let _ = writeln!(text, "  {:<8} {whose}{}", step.name(), step_line(run, step));
        for line in details(run, step) {
            let _ = writeln!(text, "           {line}");
        }
    }
    text
}

/// One line: which run, of what, how it ended.
pub fn heading(run: &Run) -> String {
    let dry = if run.dry { " (dry run)" } else { "" };
    let why = match &run.trigger {
        Trigger::Schedule { .. } => String::new(),
        Trigger::CaughtUp { .. } => {
            let late = run.lateness(Duration::ZERO).map(|late| format!(" {} late", in_words(late)));
            format!(", to catch up{}", late.unwrap_or_default())
        }
        Trigger::Hand => ", by hand".to_owned(),
    };
    if let Some(skipped) = &run.skipped {
        return format!("run {} of {}: {}", run.id, run.workflow, skipped_line(run, skipped));
    }
    let state = match run.state {
        State::Running => "running",
        State::Skipped => "skipped",
        State::Succeeded => "succeeded",
        State::Unavailable => "Apple did not answer as it should; the next run tries again",
        State::Stopped => "stopped before its end; the next run goes on",
        State::Interrupted => "interrupted; the next run goes on",
        State::Failed => "failed",
        State::Refused if run.changed_something() => "refused in part",
        State::Refused if !run.steps.iter().any(broke_a_rail) => "refused by its review; nothing was changed",
        State::Refused => "refused by a rail; nothing was changed",
        State::NeedsPerson => "needs a person",
    };
    format!("run {} of {}{dry}{why}: {state}", run.id, run.workflow)
}

/// Which times were skipped, and why.
fn skipped_line(run: &Run, skipped: &SkippedTimes) -> String {
    let short = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let last = run.trigger.scheduled_at().unwrap_or(run.started_at);
    let times = match skipped.times {
        1 => format!("the time {}", short(last)),
        many => format!("{many} times, {} to {},", short(skipped.from), short(last)),
    };
    let note = skipped.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    let why = match skipped.why {
        SkipReason::Missed => "it went by while nothing could run",
        SkipReason::Overlap => "the run before was still going",
        SkipReason::Paused => "the workflow was paused",
        SkipReason::Disabled => "the workflow's file says `enabled = false`",
    };
    format!("{times} skipped: {why}{note}")
}

fn broke_a_rail(step: &StepRecord) -> bool {
    matches!(step.outcome, Some(Outcome::Refused { .. }))
}

/// So many devices left at once that somebody should look whether they really did.
pub(crate) fn many_left(synced: &Synced) -> bool {
    synced.gone > 50 && synced.gone > synced.devices / 10
}

fn step_line(run: &Run, step: &StepRecord) -> String {
    match &step.outcome {
        None if run.state == State::Running => "going on".to_owned(),
        None => "broken off".to_owned(),
        Some(Outcome::Synced(synced)) => synced_line(synced),
        Some(Outcome::Decided(decided)) => decided_line(decided),
        Some(Outcome::Planned(Planned { totals, .. })) => totals_line(totals),
        Some(Outcome::Objected { totals, review }) => {
            let word = match review.opinion.decision {
                Decision::Refuse => "refused",
                _ => "waits for a person",
            };
            format!("{word}: {}", totals_line(totals))
        }
        Some(Outcome::Refused { totals, .. }) => format!("refused: {}", totals_line(totals)),
        Some(Outcome::Applied(applied)) => applied_line(applied),
        Some(Outcome::Removed(removed)) => removed_line(removed),
        Some(Outcome::Reminded(reminded)) => reminded_line(reminded),
        Some(Outcome::Notified { sent, failed }) if sent.is_empty() && failed.is_empty() => {
            "nobody to tell".to_owned()
        }
        Some(Outcome::Notified { sent, .. }) => {
            format!("told {}", join(sent.iter().map(ToString::to_string)))
        }
        Some(Outcome::LeftOut { why }) => format!("left out: {why}"),
        Some(Outcome::NotNeeded { why }) => why.clone(),
        Some(Outcome::Failed(failure)) => format!("failed: {}", failure.error),
    }
}

/// What more there is to say of a step, a line each.
fn details(run: &Run, step: &StepRecord) -> Vec<String> {
    match &step.outcome {
        Some(Outcome::Decided(decided)) => {
            let faults = decided.faults.iter().map(|fault| {
                let becomes = match &decided.default {
                    Some(profile) => format!("held, or given {profile} if without a profile"),
                    None => "held".to_owned(),
                };
                format!("{} {becomes}, such as {}: {}", devices(fault.devices), fault.example, fault.reason)
            });
            faults.chain(failing_lines(decided)).collect()
        }
        Some(Outcome::Planned(Planned { review: Some(review), .. })) => vec![review_line(review)],
        Some(Outcome::Objected { review, .. }) => {
            let mut lines = vec![review_line(review)];
            lines.push(match review.opinion.decision {
                Decision::Refuse => format!(
                    "hint: `deputy plan {}` shows the devices; change what `{}` objects to, or its settings",
                    run.workflow, review.policy
                ),
                _ => to_approve(run),
            });
            lines
        }
        Some(Outcome::Refused { breaches, .. }) => {
            let mut lines: Vec<String> = breaches.iter().map(|breach| format!("rail: {breach}")).collect();
            lines.push(way_past(run, breaches));
            lines
        }
        Some(Outcome::Applied(applied)) => {
            let refused = applied.refused_profiles.iter();
            refused
                .map(|(profile, why)| format!("Apple did not take the profile `{profile}`: {why}"))
                .collect()
        }
        Some(Outcome::Synced(synced)) => {
            let mut lines: Vec<String> =
                synced.unreadable.iter().map(|note| format!("set aside: {note}")).collect();
            let more = synced.set_aside.saturating_sub(lines.len() as u64);
            if more > 0 {
                lines.push(format!("set aside: {} more", devices(more)));
            }
            if many_left(synced) {
                lines.push(
                    "hint: many left at once; if they should not have, look for them in Apple's portal"
                        .to_owned(),
                );
            }
            lines
        }
        Some(Outcome::Reminded(reminded)) => {
            let failed = reminded.failed.iter().map(|note| format!("not delivered: {note}"));
            reminded.sent.iter().cloned().chain(failed).chain(reminded.faults.iter().cloned()).collect()
        }
        Some(Outcome::Notified { failed, .. }) => {
            failed.iter().map(|(channel, why)| format!("not delivered to {channel}: {why}")).collect()
        }
        Some(Outcome::Failed(failure)) => failure.hint.iter().map(|hint| format!("hint: {hint}")).collect(),
        _ => Vec::new(),
    }
}

/// That a plugin rests, and until when; or that it will.
fn failing_lines(decided: &Decided) -> Vec<String> {
    match (&decided.policy, &decided.resting) {
        (Some(policy), Some(resting)) => vec![
            format!("{policy} rests until {}", resting.until.strftime("%Y-%m-%d %H:%M UTC")),
            format!(
                "hint: mend the plugin, its settings or its tables, which wakes it, or type `deputy plugin rest {policy} --end`"
            ),
        ],
        (Some(policy), None) if decided.is_failing() => {
            vec![format!("hint: {policy} fails on most devices: mend the plugin, its settings or its tables")]
        }
        _ => Vec::new(),
    }
}

/// Who said what of a plan.
fn review_line(review: &Reviewed) -> String {
    let said = match (&review.approved, review.opinion.decision) {
        (Some(run), _) => return format!("approved by a person, after run {run} had asked"),
        (None, Decision::Approve) => "approves",
        (None, Decision::Ask) if review.fault => "could not say",
        (None, Decision::Ask) => "asks for a person",
        (None, Decision::Refuse) => "refuses",
    };
    let reason = &review.opinion.reason;
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(": {}", reason.replace('\n', "\n             "))
    };
    format!("{} {said}{reason}", review.policy)
}

/// How to go on after a review that asked.
fn to_approve(run: &Run) -> String {
    format!(
        "hint: `deputy runs show {} --actions 1000` shows the devices; if it is right, `deputy approve {}` does it",
        run.id, run.id
    )
}

/// How to go on after a broken rail.
fn way_past(run: &Run, breaches: &[Breach]) -> String {
    let flags = breaches.iter().filter_map(|breach| match breach {
        Breach::FirstAssignments { wanted, .. } => Some(format!(" --first-assignments {wanted}")),
        Breach::Reassignments { wanted, .. } => Some(format!(" --reassignments {wanted}")),
        Breach::Protected { .. } => None,
    });
    let (flags, workflow): (String, _) = (flags.collect(), &run.workflow);
    if breaches.iter().any(|breach| matches!(breach, Breach::Protected { .. })) {
        return "hint: change the policy, or take the profile out of `protect_profiles` in the workflow"
            .to_owned();
    }
    format!(
        "hint: `deputy plan {workflow}{flags}` shows the devices; if it is right, `deputy run {workflow}{flags}` does it"
    )
}

fn synced_line(synced: &Synced) -> String {
    let Synced { added, changed, gone, pages, .. } = synced;
    let how = if synced.full { "every device" } else { "the changes" };
    let mut line = format!(
        "{}: {added} new, {changed} changed, {gone} gone ({how}, {pages} {})",
        devices(synced.devices),
        if *pages == 1 { "page" } else { "pages" },
    );
    if synced.read_back > 0 {
        let _ = write!(line, "; {} in flight read back", synced.read_back);
    }
    line
}

fn decided_line(decided: &Decided) -> String {
    let policy = decided.policy.as_ref().map_or(String::new(), |policy| format!(" by {policy}"));
    let mut parts: Vec<String> =
        decided.assign.iter().map(|(profile, count)| format!("{profile} {count}")).collect();
    if decided.held > 0 {
        parts.push(format!("held {}", decided.held));
    }
    if decided.ignored > 0 {
        parts.push(format!("ignored {}", decided.ignored));
    }
    format!("{}{policy}: {}", devices(decided.devices), or_nothing(parts))
}

fn totals_line(totals: &Totals) -> String {
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

fn applied_line(applied: &Applied) -> String {
    let mut parts = Vec::new();
    if !applied.defined.is_empty() {
        parts.push(format!("defined {}", join(applied.defined.iter().map(ProfileName::to_string))));
    }
    let outcomes = [
        (applied.succeeded, "assigned"),
        (applied.failed, "failed"),
        (applied.throttled, "throttled"),
        (applied.not_accessible, "no longer ours"),
        (applied.in_flight, "in flight"),
    ];
    parts.extend(
        outcomes.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")),
    );
    if applied.calls > 0 {
        parts.push(count(applied.calls, "call"));
    }
    if let Some(confirmed) = applied.confirmed {
        parts.push(format!("{confirmed} read back"));
    }
    or_nothing(parts)
}

fn removed_line(removed: &Removed) -> String {
    let done = match removed.what {
        Removal::Unassign => "without a profile now",
        Removal::Disown => "released from the organisation",
    };
    let outcomes = [
        (removed.succeeded, done),
        (removed.failed, "failed"),
        (removed.not_accessible, "not this server's"),
        (removed.in_flight, "in flight"),
    ];
    let mut parts: Vec<String> = outcomes
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if removed.calls > 0 {
        parts.push(count(removed.calls, "call"));
    }
    or_nothing(parts)
}

fn reminded_line(reminded: &Reminded) -> String {
    let tokens = count(reminded.tokens, "token");
    match reminded.sent.len() {
        0 => format!("{tokens}, nothing due"),
        sent => format!("{tokens}, {} sent", count(sent as u64, "reminder")),
    }
}

fn devices(number: u64) -> String {
    count(number, "device")
}

fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn join(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

fn or_nothing(parts: Vec<String>) -> String {
    if parts.is_empty() { "nothing to do".to_owned() } else { join(parts) }
}
