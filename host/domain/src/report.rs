//! A run in words, the same for a terminal, a log and a message.

mod many;
mod plans;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::id::ProfileName;
use crate::removal::{Removal, Removed};
use crate::run::{
    Applied, Decided, LIMIT, Outcome, ReadBack, Reminded, Run, SkipReason, SkippedTimes, State, StepRecord,
    Synced, Trigger,
};
use crate::token::in_words;
use crate::waiting::{Answer, CameTo};

pub use many::needs_a_person;
use plans::{
    how_to_answer, move_lines, planned_details, planned_line, rail_lines, review_line, shadowed_line,
    totals_line, waits_word,
};
pub use plans::{planned_lines, waits_for, way_past};

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
    let dry = match (run.dry, run.shadow) {
        (true, _) => " (dry run)",
        (false, true) => " (shadow)",
        (false, false) => "",
    };
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
    let titled = |state: &str| format!("run {} of {}{dry}{why}: {state}", run.id, run.workflow);
    let state = match run.state {
        State::Running => "running",
        State::Skipped => "skipped",
        State::Succeeded => "succeeded",
        State::Unavailable => "Apple did not answer as it should; the next run tries again",
        State::Stopped => stopped_by(run),
        State::Interrupted => "interrupted; the next run goes on",
        State::Failed => "failed",
        State::Refused if run.changed_something() => "refused in part",
        State::Refused => return titled(&format!("{}; nothing was changed", refused_by(run))),
        State::Approved | State::Replaced | State::Lapsed | State::Waiting => {
            let unchanged = if run.state == State::Lapsed && !run.changed_something() {
                "; nothing was changed"
            } else {
                ""
            };
            return titled(&format!("{}{unchanged}", waited(run)));
        }
        State::NeedsPerson => "needs a person",
    };
    titled(state)
}

/// What became of the plan that a run left waiting; of several, of the one that the run's state is about.
fn waited(run: &Run) -> String {
    let all = || run.steps.iter().filter_map(|step| step.waited.as_ref());
    // As long as one needs somebody, the others do not count.
    let open = all()
        .find(|it| it.end.is_none() && it.answer.is_none())
        .or_else(|| all().find(|it| it.end.is_none()));
    let ended = |came_to| all().find(|it| it.end.as_ref().is_some_and(|end| end.came_to == came_to));
    let found = match run.state {
        State::Approved => ended(CameTo::Approved),
        State::Replaced => ended(CameTo::Replaced),
        State::Lapsed => ended(CameTo::Lapsed),
        _ => open,
    };
    let waits = run.state == State::Waiting && found.is_none_or(|it| it.answer.is_none());
    match found {
        _ if waits => "waits for a person".to_owned(),
        Some(found) if run.state == State::Waiting => found.in_words(),
        Some(found) => format!("waited for a person; {}", found.in_words()),
        None => "waited for a person".to_owned(),
    }
}

/// What stopped it.
fn stopped_by(run: &Run) -> &'static str {
    let at_limit =
        |step: &&StepRecord| matches!(&step.outcome, Some(Outcome::Failed(failure)) if failure.at_limit);
    match run.steps.iter().rfind(at_limit) {
        Some(step) if step.uses == LIMIT => "stopped at its time limit; the next run goes on",
        Some(_) => "stopped at the time limit of a step; the next run goes on",
        None => "stopped before its end; the next run goes on",
    }
}

/// Who or what refused it.
fn refused_by(run: &Run) -> String {
    let mut told = run.steps.iter().filter_map(|step| match step.outcome.as_ref()? {
        Outcome::Refused { .. } => Some("refused by a rail".to_owned()),
        Outcome::Objected { .. } => Some("refused by its review".to_owned()),
        Outcome::Outdated(_) => Some("refused, since the world has moved on".to_owned()),
        Outcome::Declined { answer, .. } => Some(refused_by_whom(answer.as_ref())),
        Outcome::Waits(_) => {
            let refused = step.waited.as_ref().filter(|it| it.is_refused().is_some());
            Some(refused_by_whom(refused.and_then(|it| it.answer.as_ref())))
        }
        _ => None,
    });
    told.next_back().unwrap_or_else(|| "refused".to_owned())
}

fn refused_by_whom(answer: Option<&Answer>) -> String {
    format!("refused by {}", answer.map_or_else(|| "a person".to_owned(), Answer::to_string))
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
        Some(Outcome::Planned(planned)) => planned_line(planned),
        Some(Outcome::Waits(waits)) => {
            format!("{}: {}", waits_word(step, waits), planned_line(&waits.planned))
        }
        Some(
            Outcome::Objected { totals, .. }
            | Outcome::Declined { totals, .. }
            | Outcome::Refused { totals, .. },
        ) => {
            format!("refused: {}", totals_line(totals))
        }
        Some(Outcome::Outdated(_)) => "refused: the world is not the one the plan was made for".to_owned(),
        Some(Outcome::Shadowed(shadowed)) => shadowed_line(shadowed),
        Some(Outcome::Applied(applied)) => applied_line(applied),
        Some(Outcome::ReadBack(found)) => read_back(found),
        Some(Outcome::Frozen { until, reason, devices: number }) => {
            let until = until.strftime("%Y-%m-%d %H:%M UTC");
            format!("not done, frozen until {until}: {reason}; {} to be changed then", devices(*number))
        }
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
        Some(Outcome::Planned(planned)) => planned_details(planned),
        Some(Outcome::Waits(waits)) => {
            let mut lines = planned_details(&waits.planned);
            lines.extend(how_to_answer(run, step, waits));
            lines
        }
        Some(Outcome::Objected { review, .. }) => vec![
            review_line(review),
            format!(
                "hint: `deputy plan {}` shows the devices; change what `{}` objects to, or its settings",
                run.workflow, review.policy
            ),
        ],
        Some(Outcome::Declined { run, answer, .. }) => {
            let who = answer.as_ref().map_or_else(|| "a person".to_owned(), Answer::to_string);
            vec![
                format!("{who} has refused this very plan, of run {run}"),
                format!("hint: `deputy approve {run}` lets it through after all"),
            ]
        }
        Some(Outcome::Refused { breaches, .. }) => {
            let mut lines = rail_lines(breaches);
            lines.push(way_past(breaches));
            lines
        }
        Some(Outcome::Outdated(outdated)) => {
            let mut lines = outdated.lines();
            lines.push(format!("hint: {}", outdated.hint()));
            lines
        }
        Some(Outcome::Shadowed(shadowed)) => {
            let mut lines = move_lines(&shadowed.moves);
            lines.push(if shadowed.would_wait {
                "in earnest the plan would have waited for a person".to_owned()
            } else {
                "hint: to do it, take `mode = \"shadow\"` out of the workflow".to_owned()
            });
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

/// What became of what was in flight.
pub fn read_back(found: &ReadBack) -> String {
    let ReadBack { devices: all, done, unknown } = *found;
    let not = all.saturating_sub(done + unknown);
    let mut line = format!("found in flight: {}; {done} done", devices(all));
    if not > 0 {
        let _ = write!(line, ", {not} not");
    }
    if unknown > 0 {
        let _ = write!(line, ", of {unknown} Apple does not tell yet");
    }
    line
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
