//! The loop of the daemon: waits for whatever comes first and has it done.
//!
//! What is due is worked out from the schedules and from what is on record, never from a timer that
//! may have been missed. Times that passed while no daemon ran are caught up or skipped, as the
//! workflow says, at start and at reload; a machine that slept under a daemon runs once, late, when
//! it wakes. A scheduled time is a row in the store, unique, so it is carried out once, by whoever
//! inserts it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::WorkflowName;
use domain::run::{State, Trigger};
use domain::schedule::jitter;
use domain::workflow::{Missed, Overlap, Workflow};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::engine::Engine;
use crate::failure::Error;
use crate::outbox;
use crate::runner::{self, RunOptions};
use crate::settings::Settings;
use crate::stop::Stopper;
use crate::store::NewRun;
use crate::upkeep;

/// What can happen to a daemon.
#[derive(Debug)]
pub enum Event {
    /// The operator's files have changed.
    Reload,
    /// It is to end, cleanly.
    Shutdown,
}

/// Reads the operator's files anew, given what was read before; what is wrong with them, if anything.
/// Takes its time: plugins are compiled.
pub type Reload = Arc<dyn Fn(&Settings) -> Result<Settings, String> + Send + Sync>;

/// The longest the daemon sleeps: a clock that jumps is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long runs have, after the wish to end, to come to the end of a page or a call.
const GRACE: Duration = Duration::from_secs(30);

/// A workflow with a schedule, and the next time it is due.
struct Due {
    workflow: Arc<Workflow>,
    next: Option<Timestamp>,
}

/// Runs workflows when they are due, until told to end. Fails only if the store does.
pub async fn serve(
    mut engine: Engine,
    mut events: mpsc::Receiver<Event>,
    reload: Reload,
) -> Result<(), Error> {
    engine.close_interrupted_runs().await?;
    // Beside the loop: no run waits for a channel, and no channel for a run.
    let (current, engines) = watch::channel(engine.clone());
    let no_more = Stopper::default();
    let upkeep = tokio::spawn(upkeep::look_after(engines.clone(), no_more.listener()));
    let deliveries = tokio::spawn(outbox::deliver(engines, no_more.listener()));
    let mut runs = Runs::default();
    let mut due = runs.catch_up(&engine).await?;
    let mut before = engine.now();
    let (mut reading, mut read_again) = (JoinSet::new(), false);
    loop {
        let now = engine.now();
        if now < before {
            tracing::warn!("the clock went back; the next times are worked out anew");
            due = runs.catch_up(&engine).await?;
        }
        before = now;
        for entry in &mut due {
            let Some(time) = entry.next.filter(|next| starts_at(&entry.workflow, *next) <= now) else {
                continue;
            };
            runs.start(&engine, &entry.workflow, Trigger::Schedule { at: time }).await?;
            entry.next = next_due(&entry.workflow, time.max(now));
        }
        let soonest = due.iter().filter_map(|entry| Some(starts_at(&entry.workflow, entry.next?))).min();
        let pause = soonest.map_or(LONGEST_SLEEP, |time| until(engine.now(), time).min(LONGEST_SLEEP));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Some(ended) = runs.tasks.join_next_with_id() => runs.ended(&engine, ended).await?,
            // Whatever runs goes on with what it began with.
            Some(done) = reading.join_next() => {
                match done {
                    Ok(Ok(settings)) => {
                        engine = engine.with_settings(settings);
                        current.send_replace(engine.clone());
                        due = runs.catch_up(&engine).await?;
                        tracing::info!("configuration read again: {} workflows", engine.settings.workflows.len());
                    }
                    Ok(Err(mistakes)) => tracing::error!(
                        "the configuration has mistakes; going on with the one before\n{mistakes}"
                    ),
                    Err(panicked) => tracing::error!("the configuration could not be read: {panicked}"),
                }
                if std::mem::take(&mut read_again) {
                    read(&mut reading, &reload, &engine);
                }
            }
            event = events.recv() => match event {
                // Files that change while they are read are read once more.
                Some(Event::Reload) if !reading.is_empty() => read_again = true,
                Some(Event::Reload) => read(&mut reading, &reload, &engine),
                Some(Event::Shutdown) | None => break,
            },
        }
    }
    runs.finish(&engine).await?;
    no_more.stop();
    if let Err(panicked) = deliveries.await {
        tracing::error!("the outbox broke off: {panicked}");
    }
    if let Err(panicked) = upkeep.await {
        tracing::error!("the upkeep broke off: {panicked}");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Reads the operator's files beside the loop.
fn read(reading: &mut JoinSet<Result<Settings, String>>, reload: &Reload, engine: &Engine) {
    let (reload, before) = (reload.clone(), engine.settings.clone());
    reading.spawn_blocking(move || reload(&before));
}

/// The runs that are going on, at most one of each workflow.
#[derive(Default)]
struct Runs {
    stopper: Stopper,
    tasks: JoinSet<()>,
    going: BTreeMap<WorkflowName, Going>,
}

/// A run that is going on, and the time that waits behind it.
struct Going {
    task: tokio::task::Id,
    one_more: Option<Timestamp>,
}

impl Runs {
    /// Looks at what came due while nobody served, and works out what is due next.
    async fn catch_up(&mut self, engine: &Engine) -> Result<Vec<Due>, Error> {
        let now = engine.now();
        let mut due = Vec::new();
        for workflow in engine.settings.workflows.values() {
            let Some(timing) = &workflow.timing else { continue };
            let last = engine.store.last_scheduled(&workflow.name).await?;
            let passed = last.and_then(|last| timing.schedule.last_due(last, now));
            let next = match passed {
                // Its time has come, its jitter has not gone by.
                Some((at, _)) if starts_at(workflow, at) > now => Some(at),
                // Its time is being used; the row may not be there yet.
                Some(_) if self.going.contains_key(&workflow.name) => next_due(workflow, now),
                Some((at, times)) => {
                    self.missed(engine, workflow, timing.missed, at, times).await?;
                    next_due(workflow, now)
                }
                None => next_due(workflow, now),
            };
            due.push(Due { workflow: workflow.clone(), next });
        }
        Ok(due)
    }

    async fn missed(
        &mut self,
        engine: &Engine,
        workflow: &Arc<Workflow>,
        missed: Missed,
        at: Timestamp,
        times: u64,
    ) -> Result<(), Error> {
        let name = &workflow.name;
        match missed {
            Missed::RunOnce => {
                tracing::info!(workflow = %name, "{name}: scheduled times that went by: {times}; running once");
                self.start(engine, workflow, Trigger::CaughtUp { at }).await
            }
            Missed::Skip => {
                tracing::info!(workflow = %name, "{name}: scheduled times that went by: {times}; skipped");
                record_skipped(engine, workflow, at).await
            }
        }
    }

    /// Starts a run beside the loop; or, if the workflow's last one is still going, does what the
    /// workflow says about that.
    async fn start(
        &mut self,
        engine: &Engine,
        workflow: &Arc<Workflow>,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let name = &workflow.name;
        if let Some(going) = self.going.get_mut(name)
            && let Trigger::Schedule { at } | Trigger::CaughtUp { at } = trigger
        {
            return match workflow.timing.as_ref().map_or(Overlap::Skip, |timing| timing.overlap) {
                Overlap::Queue => {
                    going.one_more = Some(at);
                    Ok(())
                }
                Overlap::Skip => {
                    tracing::warn!(workflow = %name, "{name} is due and its last run is still going; skipped");
                    record_skipped(engine, workflow, at).await
                }
            };
        }
        let (engine, workflow, stop) = (engine.clone(), workflow.clone(), self.stopper.listener());
        let task = self.tasks.spawn(async move {
            if let Err(error) = runner::run(&engine, &workflow, RunOptions::of(trigger), &stop).await {
                let workflow = &workflow.name;
                tracing::error!(%workflow, "{workflow} could not be run: {}", error.failure().error);
            }
        });
        self.going.insert(name.clone(), Going { task: task.id(), one_more: None });
        Ok(())
    }

    /// A run has ended: begins the one that waits behind it.
    async fn ended(&mut self, engine: &Engine, ended: Result<(Id, ()), JoinError>) -> Result<(), Error> {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!("a run broke off: {error}");
                engine.close_interrupted_runs().await?;
                error.id()
            }
        };
        let name = self.going.iter().find(|(_, going)| going.task == task).map(|(name, _)| name.clone());
        let Some((name, going)) = name.and_then(|name| self.going.remove_entry(&name)) else { return Ok(()) };
        match (going.one_more, engine.settings.workflows.get(&name).cloned()) {
            (Some(at), Some(workflow)) => self.start(engine, &workflow, Trigger::Schedule { at }).await,
            _ => Ok(()),
        }
    }

    /// Lets the runs come to the end of a page or a call, where all they did is in the store. One
    /// that hangs in a call is left behind after a while: what it had in flight is read back.
    async fn finish(mut self, engine: &Engine) -> Result<(), Error> {
        if !self.tasks.is_empty() {
            tracing::info!(
                "stopping when the runs that are going on have come to an end: {}",
                self.tasks.len()
            );
        }
        self.stopper.stop();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            self.tasks.shutdown().await;
            engine.close_interrupted_runs().await?;
        }
        Ok(())
    }
}

/// A time that was not used is on record all the same.
async fn record_skipped(engine: &Engine, workflow: &Workflow, at: Timestamp) -> Result<(), Error> {
    let run = NewRun {
        id: engine.new_run_id(),
        workflow: workflow.name.clone(),
        trigger: Trigger::Schedule { at },
        dry: false,
        started_at: engine.now(),
        state: State::Skipped,
    };
    engine.store.open_run(run).await?;
    Ok(())
}

fn next_due(workflow: &Workflow, after: Timestamp) -> Option<Timestamp> {
    workflow.timing.as_ref()?.schedule.next_due(after)
}

/// When a run for this time starts: later by the workflow's jitter.
fn starts_at(workflow: &Workflow, due: Timestamp) -> Timestamp {
    let most = workflow.timing.as_ref().map_or(Duration::ZERO, |timing| timing.jitter);
    due.checked_add(jitter(workflow.name.as_str(), most)).unwrap_or(due)
}

fn until(now: Timestamp, time: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or(Duration::ZERO)
}
