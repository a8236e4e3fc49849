//! `deputy device history`: what happened to a device, in the order we learned of it.

use std::fmt::Write as _;

use domain::history::{FieldChange, PastChange, PastKind};
use domain::id::{ProfileId, RunId, SerialNumber};
use domain::plan::Profiles;
use domain::waiting::Waited;
use engine::store::{ActionRecord, StoredDevice};
use jiff::Timestamp;
use serde_json::json;

use super::explain::said;
use super::{action_json, find, verdict_json};
use crate::Common;
use crate::app::App;
use crate::commands::runs;
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, time};

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, serial: &SerialNumber, limit: u32) -> Outcome {
    let store = &app.engine.store;
    let mut data = Vec::new();
    for StoredDevice { token, .. } in &find(app, serial).await? {
        let changes = store.device_history(token, serial, limit).await?;
        let actions = store.actions_of(token, serial, limit).await?;
        let verdicts = store.verdicts_of(token, serial, limit).await?;
        if common.json {
            let mut done = Vec::new();
            for action in &actions {
                done.push(action_json(app, token, action).await?);
            }
            let verdicts: Vec<_> = verdicts.iter().map(verdict_json).collect();
            data.push(json!({
                "token": token, "changes": changes, "verdicts": verdicts, "actions": done,
            }));
            continue;
        }
        let profiles = app.engine.profiles(token).await?;
        let mut entries: Vec<(Timestamp, RunId, String)> = Vec::new();
        // Oldest first; what was learned of at the same time stays in its order.
        let told = changes.iter().rev().filter(|change| change.kind != PastKind::Done);
        entries.extend(told.map(|it| (it.seen_at, it.run.clone(), change_words(it, &profiles))));
        for verdict in verdicts.into_iter().rev() {
            // A verdict bears the time its run began; the run had synced before it asked.
            let asked = store.askings_of(token, &verdict.run).await?;
            let asked = asked.iter().find(|asked| asked.decided.policy.as_ref() == Some(&verdict.policy));
            let at = asked.map_or(verdict.decided_at, |asked| asked.at);
            let what = format!("{} {}: {}", verdict.policy, said(&verdict), verdict.verdict.reason);
            entries.push((at, verdict.run, what));
        }
        for action in actions.into_iter().rev() {
            let waiting = store.waiting(Some(&action.run)).await?;
            let waited = runs::waited(&waiting, token, &action).cloned();
            entries.extend(action_words(action, waited.as_ref(), &profiles));
        }
        entries.sort_by_key(|(at, ..)| *at);
        let mut words = format!("{serial} of token {token}\n");
        if entries.is_empty() {
            words.push_str("  nothing is on record of what happened to it\n");
        }
        let skip = entries.len().saturating_sub(limit as usize);
        for (at, run, what) in entries.into_iter().skip(skip) {
            let _ = writeln!(words, "  {}  run {run}: {what}", time(at));
        }
        print(&words);
    }
    if common.json {
        print_json("history", &data.into());
    }
    Ok(Exit::Success)
}

/// What happened at Apple.
pub(super) fn change_words(change: &PastChange, profiles: &Profiles) -> String {
    let mut words = match change.kind {
        PastKind::Added => "listed for the first time",
        PastKind::Changed => "changed at Apple",
        PastKind::Gone => "left this server",
        PastKind::Returned => "came back to this server",
        PastKind::Shown => "Apple shows what was assigned",
        PastKind::NotShown => "Apple does not show what was assigned, so that it counts no more",
        PastKind::Done => "what was taken away is gone",
    }
    .to_owned();
    // Worth a word if we learned of it later than it happened.
    if let Some(at) = change.at.filter(|at| time(*at) != time(change.seen_at)) {
        let _ = write!(words, " at {}", time(at));
    }
    for FieldChange { field, from, to } in &change.fields {
        let value = |value: &Option<String>| value_words(field, value.as_deref(), profiles);
        let _ = write!(words, "\n      {field}: {} -> {}", value(from), value(to));
    }
    words
}

/// A value as Apple sent it; a profile in words.
fn value_words(field: &str, value: Option<&str>, profiles: &Profiles) -> String {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return "nothing".to_owned() };
    let id: Option<ProfileId> = if field == "profile_uuid" { value.parse().ok() } else { None };
    id.map_or_else(|| value.to_owned(), |id| profiles.in_words(&id))
}

/// What was done and what came of it; by when it was answered, or sent, or planned.
fn action_words(
    action: ActionRecord,
    waited: Option<&Waited>,
    profiles: &Profiles,
) -> Option<(Timestamp, RunId, String)> {
    let came = waited.map_or_else(|| action.state.as_str().to_owned(), |waited| waited.of_an_action());
    let sent = action.sent.as_ref().filter(|_| action.removal.is_none());
    let attempted =
        sent.map_or_else(|| action.attempted(), |sent| format!("assignment of {}", profiles.in_words(sent)));
    let what = format!("{attempted}: {came}");
    let at = action.answered_at.or(action.sent_at).or_else(|| action.run.began())?;
    Some((at, action.run, what))
}
