//! Which workflows are due, and that every scheduled time comes to be on record.
//!
//! What is done about a time is decided in [`domain::agenda`]. Here it is looked up what is known, and
//! written down what was decided, before any of it is done: the row of a run, or of times that are
//! skipped, in one transaction with how far the schedule is dealt with. So a process that dies leaves
//! either a time that is still to come, or a run that the next start finds.
//!
//! A workflow is dealt with from the moment it is first seen: what it would have done before that was
//! promised to nobody. When its schedule changes, the times that went by are those of the schedule that
//! was in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agenda::{Agenda, Entry, Known, WorkflowPause, agenda, next_look};
use domain::id::WorkflowName;
use domain::run::{SkippedTimes, State, Trigger};
use domain::schedule::{Schedule, jitter};
use domain::workflow::{Mode, Timing, Workflow};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::engine::Engine;
use crate::failure::Error;
use crate::runner::Opened;
use crate::store::{Dealt, InForce, NewRun, Progress};

/// The schedules that are in force, and when each is to be looked at next.
#[derive(Default)]
pub(crate) struct Timetable {
    rows: BTreeMap<WorkflowName, Row>,
    looked_at: Option<Timestamp>,
}

struct Row {
    workflow: Arc<Workflow>,
    progress: Progress,
    next: Option<Timestamp>,
}

/// A run whose time has come. It is open in the store, and ours.
pub(crate) struct Begun {
    pub(crate) workflow: Arc<Workflow>,
    pub(crate) trigger: Trigger,
    pub(crate) opened: Opened,
}

impl Timetable {
    /// Takes up the workflows as they are configured now. Returns the runs that are due because of it.
    pub(crate) async fn take_up(
        &mut self,
        engine: &Engine,
        is_going: impl Fn(&WorkflowName) -> bool,
    ) -> Result<Vec<Begun>, Error> {
        let now = engine.now();
        let scheduled = engine.settings.workflows.values().filter(|it| it.timing.is_some());
        let names: Vec<WorkflowName> = scheduled.clone().map(|it| it.name.clone()).collect();
        for gone in engine.store.forget_schedules(names).await? {
            tracing::info!(workflow = %gone, "{gone} is not scheduled any more");
        }
        let (stored, pauses) = (engine.store.progress().await?, engine.store.pauses().await?);
        let mut before = std::mem::take(&mut self.rows);
        let mut looking = Looking::default();
        for workflow in scheduled {
            let Some(timing) = &workflow.timing else { continue };
            let name = &workflow.name;
            let in_force = in_force(workflow, timing);
            // What is known here is newer than what is stored: it was found that no time has come since.
            let known = before.remove(name).map(|row| row.progress).or_else(|| stored.get(name).cloned());
            let progress = match known {
                None => Progress { in_force: in_force.clone(), upto: now, queued: None },
                Some(known) => Progress { upto: known.upto.min(now), ..known },
            };
            let mut row = Row { workflow: workflow.clone(), progress, next: None };
            if row.progress.in_force.expression.is_empty() {
                row.progress.in_force = in_force.clone();
            }
            if row.progress.in_force != in_force {
                let schedule = row.progress.in_force.schedule().unwrap_or_else(|| timing.schedule.clone());
                // What the old schedule asked for is not put off by the new one's jitter.
                let known = row.known(timing, SignedDuration::ZERO, is_going(name), pauses.get(name));
                looking.note(engine, workflow, agenda(&schedule, &known, now))?;
                row.progress = Progress { in_force, upto: now, queued: row.progress.queued };
                tracing::info!(workflow = %name, "{name} has another schedule from now on");
            }
            if stored.get(name) != Some(&row.progress) {
                looking.keep(workflow, stored.get(name), row.progress.clone());
            }
            row.look_again(timing);
            self.rows.insert(name.clone(), row);
        }
        looking.done(engine).await
    }

    /// Deals with every time that has come. Returns the runs that begin.
    pub(crate) async fn look(
        &mut self,
        engine: &Engine,
        is_going: impl Fn(&WorkflowName) -> bool,
    ) -> Result<Vec<Begun>, Error> {
        let now = engine.now();
        if self.looked_at.is_some_and(|before| now < before) {
            tracing::warn!("the clock went back; the next times are worked out anew");
            for row in self.rows.values_mut() {
                row.progress.upto = row.progress.upto.min(now);
                if let Some(timing) = row.workflow.clone().timing.as_ref() {
                    row.look_again(timing);
                }
            }
        }
        self.looked_at = Some(now);
        let has_come = |row: &Row| {
            let waits = row.progress.queued.is_some() && !is_going(&row.workflow.name);
            waits || row.next.is_some_and(|next| next <= now)
        };
        let mut looking = Looking::default();
        if !self.rows.values().any(has_come) {
            return Ok(Vec::new());
        }
        let (stored, pauses) = (engine.store.progress().await?, engine.store.pauses().await?);
        for (name, row) in self.rows.iter_mut().filter(|(_, row)| has_come(row)) {
            let workflow = row.workflow.clone();
            let Some(timing) = &workflow.timing else { continue };
            // A person who ends a pause puts on record what went by in it.
            if let Some(stored) = stored.get(name).filter(|it| it.upto > row.progress.upto && it.upto <= now)
            {
                row.progress = Progress { in_force: row.progress.in_force.clone(), ..stored.clone() };
            }
            let known = row.known(timing, jitter_of(&workflow, timing), is_going(name), pauses.get(name));
            let agenda = agenda(&timing.schedule, &known, now);
            let progress = Progress {
                in_force: row.progress.in_force.clone(),
                upto: agenda.upto,
                queued: agenda.queued,
            };
            looking.note(engine, &workflow, agenda)?;
            if progress != row.progress {
                looking.keep(&workflow, stored.get(name), progress.clone());
                row.progress = progress;
            }
            row.look_again(timing);
        }
        looking.done(engine).await
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.rows.values().filter_map(|row| row.next).min()
    }
}

impl Row {
    fn known<'a>(
        &self,
        timing: &Timing,
        jitter: SignedDuration,
        going: bool,
        pause: Option<&'a WorkflowPause>,
    ) -> Known<'a> {
        Known {
            from: self.progress.upto,
            jitter,
            missed: timing.missed,
            overlap: timing.overlap,
            going,
            queued: self.progress.queued,
            disabled: !self.progress.in_force.enabled,
            pause,
        }
    }

    fn look_again(&mut self, timing: &Timing) {
        self.next = next_look(&timing.schedule, jitter_of(&self.workflow, timing), self.progress.upto);
    }
}

/// What one look at the schedules found, on its way into the store.
#[derive(Default)]
struct Looking {
    dealt: Vec<Dealt>,
    rows: Vec<NewRun>,
    begun: Vec<Begun>,
}

impl Looking {
    /// The rows of an agenda.
    fn note(&mut self, engine: &Engine, workflow: &Arc<Workflow>, agenda: Agenda) -> Result<(), Error> {
        for entry in agenda.entries {
            let is_run = matches!(entry, Entry::Run { .. });
            let row = NewRun {
                id: engine.new_run_id(),
                workflow: workflow.name.clone(),
                trigger: trigger(&entry),
                dry: false,
                shadow: workflow.mode == Mode::Shadow,
                started_at: engine.now(),
                state: if is_run { State::Running } else { State::Skipped },
                skipped: skipped(&entry),
            };
            tell(&row);
            if is_run {
                let opened = Opened::new(engine, &row)?;
                self.begun.push(Begun { workflow: workflow.clone(), trigger: row.trigger.clone(), opened });
            }
            self.rows.push(row);
        }
        Ok(())
    }

    /// How far the schedule of the workflow is dealt with, once the rows noted since are there.
    fn keep(&mut self, workflow: &Workflow, stored: Option<&Progress>, progress: Progress) {
        let rows = std::mem::take(&mut self.rows);
        let (workflow, seen) = (workflow.name.clone(), stored.map(|stored| stored.upto));
        self.dealt.push(Dealt { workflow, seen, rows, progress });
    }

    /// Writes it all down. The runs whose time nobody else has taken are ours.
    async fn done(mut self, engine: &Engine) -> Result<Vec<Begun>, Error> {
        if !self.dealt.is_empty() {
            let ours = engine.store.deal_with(self.dealt).await?;
            self.begun.retain(|begun| ours.contains(&begun.opened.id));
        }
        Ok(self.begun)
    }
}

/// Puts on record the times of a workflow that went by while it was paused, as far as that was not done: by a
/// daemon that was off. To be called before the pause is ended.
pub async fn put_pause_on_record(engine: &Engine, workflow: &Arc<Workflow>) -> Result<(), Error> {
    let (name, now) = (&workflow.name, engine.now());
    let (stored, pauses) = (engine.store.progress().await?, engine.store.pauses().await?);
    let (Some(timing), Some(progress)) = (&workflow.timing, stored.get(name)) else { return Ok(()) };
    let Some(pause) = pauses.get(name).filter(|pause| pause.is_on(now)) else { return Ok(()) };
    let row = Row { workflow: workflow.clone(), progress: progress.clone(), next: None };
    let schedule = progress.in_force.schedule().unwrap_or_else(|| timing.schedule.clone());
    let known = row.known(timing, SignedDuration::ZERO, false, Some(pause));
    let agenda = agenda(&schedule, &known, now);
    let progress = Progress { upto: agenda.upto, queued: agenda.queued, ..progress.clone() };
    let mut looking = Looking::default();
    looking.note(engine, workflow, agenda)?;
    looking.keep(workflow, stored.get(name), progress);
    looking.done(engine).await?;
    Ok(())
}

impl InForce {
    /// The times it stands for, if that can still be said.
    fn schedule(&self) -> Option<Schedule> {
        Some(Schedule::new(self.expression.parse().ok()?, TimeZone::get(&self.timezone).ok()?))
    }
}

fn in_force(workflow: &Workflow, timing: &Timing) -> InForce {
    InForce {
        expression: timing.schedule.expression().to_owned(),
        timezone: timing.schedule.timezone().iana_name().unwrap_or_default().to_owned(),
        enabled: workflow.enabled,
    }
}

fn jitter_of(workflow: &Workflow, timing: &Timing) -> SignedDuration {
    jitter(workflow.name.as_str(), timing.jitter).try_into().unwrap_or(SignedDuration::ZERO)
}

fn trigger(entry: &Entry) -> Trigger {
    match entry {
        Entry::Run { at, late: true } => Trigger::CaughtUp { at: *at },
        Entry::Run { at, late: false } => Trigger::Schedule { at: *at },
        Entry::Skip { times, .. } => Trigger::Schedule { at: times.last },
    }
}

fn skipped(entry: &Entry) -> Option<SkippedTimes> {
    match entry {
        Entry::Run { .. } => None,
        Entry::Skip { times, why, note } => {
            Some(SkippedTimes { why: *why, from: times.first, times: times.count, note: note.clone() })
        }
    }
}

fn tell(row: &NewRun) {
    let name = &row.workflow;
    if let Some(SkippedTimes { why, times, .. }) = &row.skipped {
        tracing::info!(workflow = %name, "{name}: scheduled times skipped: {times}, {}", why.as_str());
    } else if let Trigger::CaughtUp { at } = row.trigger {
        tracing::info!(workflow = %name, "{name}: the time {at} went by; it is made up for now");
    }
}
