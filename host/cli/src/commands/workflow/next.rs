//! `deputy workflow next`: the times to come, on the clocks of the workflow's zone and in UTC.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::agenda::WorkflowPause;
use domain::duration::Span;
use domain::id::WorkflowName;
use domain::schedule::jitter;
use domain::workflow::{Timing, Workflow};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, print_table, time};

/// Carries the command out.
pub(super) async fn run(common: &Common, name: Option<&WorkflowName>, count: u32) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let chosen = match name {
        Some(name) => vec![app.workflow(name)?],
        None => app.engine.settings.workflows.values().filter(|it| it.timing.is_some()).cloned().collect(),
    };
    let (now, pauses) = (app.engine.now(), app.engine.store.pauses().await?);
    let told: Vec<Told> = chosen.iter().map(|workflow| Told::of(workflow, &pauses, now, count)).collect();
    if common.json {
        print_json("workflows", &told.iter().map(Told::json).collect());
        return Ok(Exit::Success);
    }
    if told.is_empty() {
        print("no workflow has a schedule; `deputy run NAME` starts one by hand");
    }
    for (nth, told) in told.iter().enumerate() {
        if nth > 0 {
            print("\n");
        }
        told.print();
    }
    Ok(Exit::Success)
}

/// The times of one workflow.
struct Told<'a> {
    workflow: &'a Workflow,
    about: String,
    times: Vec<Time>,
}

struct Time {
    at: Timestamp,
    local: String,
    note: String,
}

impl<'a> Told<'a> {
    fn of(
        workflow: &'a Workflow,
        pauses: &BTreeMap<WorkflowName, WorkflowPause>,
        now: Timestamp,
        count: u32,
    ) -> Self {
        let Some(timing) = &workflow.timing else {
            let about = "without a schedule: only `deputy run` starts it".to_owned();
            return Self { workflow, about, times: Vec::new() };
        };
        let pause = pauses.get(&workflow.name).filter(|pause| pause.is_on(now));
        let mut times = Vec::new();
        let mut after = now;
        while times.len() < count as usize
            && let Some(at) = timing.schedule.next_due(after)
        {
            let paused = pause.is_some_and(|pause| pause.is_on(at));
            times.push(Time::of(timing.schedule.timezone(), at, paused));
            after = at;
        }
        Self { workflow, about: about(workflow, timing, pause, times.is_empty()), times }
    }

    fn print(&self) {
        print(&format!("{}: {}", self.workflow.name, self.about));
        let rows: Vec<[String; 3]> =
            self.times.iter().map(|it| [it.local.clone(), time(it.at), it.note.clone()]).collect();
        if !rows.is_empty() {
            print_table(["on its clocks", "utc", "note"], rows, "");
        }
    }

    fn json(&self) -> Value {
        let times: Vec<Value> =
            self.times.iter().map(|it| json!({ "at": it.at, "local": it.local, "note": it.note })).collect();
        json!({ "name": self.workflow.name, "about": self.about, "times": times })
    }
}

/// What holds for all of its times.
fn about(workflow: &Workflow, timing: &Timing, pause: Option<&WorkflowPause>, never: bool) -> String {
    let zone = timing.schedule.timezone();
    let zone = zone.iana_name().map_or("the machine's time zone".to_owned(), str::to_owned);
    let mut about = format!("`{}` in {zone}", timing.schedule.expression());
    let late = Duration::from_secs(jitter(workflow.name.as_str(), timing.jitter).as_secs());
    if !late.is_zero() {
        about += &format!("; starts {} after its time (jitter up to {})", Span(late), Span(timing.jitter));
    }
    if !workflow.enabled {
        about += "; disabled by its file: none of these is run";
    }
    if let Some(pause) = pause {
        let until = pause.until.map_or_else(
            || format!("until `deputy workflow resume {}`", workflow.name),
            |until| format!("until {}", time(until)),
        );
        about += &format!("; paused {until} by {}", pause.in_words());
    }
    if never {
        about += "; that never comes";
    }
    about
}

impl Time {
    fn of(zone: &TimeZone, at: Timestamp, paused: bool) -> Self {
        let local = at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string();
        let mut notes = Vec::new();
        notes.extend(change_of_clocks(zone, at));
        notes.extend(paused.then(|| "paused".to_owned()));
        Self { at, local, note: notes.join(", ") }
    }
}

/// What a change of clocks does to a time.
fn change_of_clocks(zone: &TimeZone, at: Timestamp) -> Option<String> {
    let before = at.checked_sub(SignedDuration::from_nanos(1)).ok()?;
    let (was, is) = (zone.to_offset(before), zone.to_offset(at));
    if is > was {
        return Some("the clocks go forward: the first moment after a time that does not exist".to_owned());
    }
    match zone.to_ambiguous_timestamp(zone.to_datetime(at)).offset() {
        AmbiguousOffset::Fold { before, .. } if zone.to_offset(at) == before => {
            Some("the clocks go back: the first time that this hour comes".to_owned())
        }
        AmbiguousOffset::Fold { .. } => {
            Some("the clocks go back: the second time that this hour comes".to_owned())
        }
        _ => None,
    }
}
