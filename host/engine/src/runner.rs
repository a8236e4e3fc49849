//! One workflow, carried out.
//!
//! Steps that concern devices are done for each token apart: a token's lane goes through them in
//! order, several lanes side by side, and what stops one lane stops no other. Steps of the whole
//! run, such as telling people, come when every lane has arrived. Each step is recorded before it
//! begins and when it ends.

mod lane;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::duration::Span;
use domain::id::{ChannelName, Digest, PluginName, RunId, StepId, TokenName, WorkflowName};
use domain::rails::RailsOverride;
use domain::run::{Failure, LIMIT, Outcome, Run, State, Trigger};
use domain::table::Tables;
use domain::waiting::Answer;
use domain::workflow::{Came, Condition, Mode, Step, Uses, Workflow};
use jiff::Timestamp;
use jiff::tz::Offset;
use tokio::task::JoinSet;

use self::lane::{TokenRun, at_limit};
use crate::engine::Engine;
use crate::failure::Error;
use crate::lock::Held;
use crate::step;
use crate::step::remind::Reminding;
use crate::stop::{Stop, Stopper};
use crate::store::{Book, NewRun};
use crate::watch;

/// How long a run that was told to end may take for it: longer than a call is waited for.
const GRACE: Duration = Duration::from_secs(20);

/// Whoever waits for another run is told, also where nothing else is logged.
pub const WAITING_TARGET: &str = "waiting";

/// How a run is to be done.
#[derive(Clone)]
pub struct RunOptions {
    /// Who asks.
    pub trigger: Trigger,
    /// Stop before anything is changed at Apple, and tell nobody.
    pub dry: bool,
    /// Change things at Apple also while a freeze says that nothing is changed.
    pub despite_freeze: bool,
    /// Only these tokens of the workflow's.
    pub tokens: Option<Vec<TokenName>>,
    /// In place of the workflow's rails, for this run.
    pub rails: RailsOverride,
    /// Plans that a person lets pass although they break rails, or their review asks.
    pub approved: Approvals,
    /// Hears how far each step is.
    pub observer: Observer,
}

/// What a person lets pass, by the token and by the step that asked.
pub type Approvals = BTreeMap<(TokenName, StepId), Approval>;

/// A person's word that a plan may go ahead: this very plan and no other.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The digest of the plan.
    pub plan: Digest,
    /// The run that asked about it.
    pub run: RunId,
    /// Its review had its say before that.
    pub reviewed: bool,
    /// Who lets it pass, and why.
    pub answer: Answer,
}

/// What all lanes of a run know of it.
pub(crate) struct About {
    pub(crate) workflow: WorkflowName,
    /// How far the workflow's wall clock is ahead of UTC.
    pub(crate) utc_offset: Offset,
    /// The tables its policies may look into, as they were when it began.
    pub(crate) tables: Tables,
    pub(crate) approved: Approvals,
    /// Things are changed at Apple also while a freeze says otherwise.
    pub(crate) despite_freeze: bool,
    /// Only to see: nothing is changed, and nobody has to answer.
    pub(crate) dry: bool,
    /// The workflow is in shadow mode.
    pub(crate) shadow: bool,
}

impl About {
    /// Of what a person does without a workflow; no policy is asked.
    pub(crate) fn no_workflow(despite_freeze: bool) -> Self {
        Self {
            workflow: "none-by-hand".parse().expect("a good name"),
            utc_offset: Offset::UTC,
            tables: Tables::default(),
            approved: BTreeMap::new(),
            despite_freeze,
            dry: false,
            shadow: false,
        }
    }

    /// Where what policies say is kept.
    pub(crate) fn book(&self) -> Book {
        if self.shadow { Book::Shadow } else { Book::Live }
    }

    async fn new(engine: &Engine, workflow: &Workflow, options: &RunOptions, now: Timestamp) -> Self {
        let plugins: Vec<PluginName> = workflow.policies().cloned().collect();
        let settings = engine.settings.clone();
        // Files are read, and large ones take a second.
        let tables = tokio::task::spawn_blocking(move || settings.tables_now(&plugins)).await;
        Self {
            workflow: workflow.name.clone(),
            utc_offset: workflow.utc_offset(now),
            tables: tables.unwrap_or_else(|panicked| {
                tracing::error!("tables could not be read: {panicked}");
                Tables::default()
            }),
            approved: options.approved.clone(),
            despite_freeze: options.despite_freeze,
            dry: options.dry,
            shadow: workflow.mode == Mode::Shadow,
        }
    }
}

/// How far a step is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// For which token; none for a step of the whole run.
    pub token: Option<TokenName>,
    /// The step.
    pub uses: &'static str,
    /// Devices done.
    pub done: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
}

/// Hears of progress. Called often; must be quick.
pub type Observer = Arc<dyn Fn(Progress) + Send + Sync>;

/// An observer that does not care.
pub fn nobody() -> Observer {
    Arc::new(|_| {})
}

impl RunOptions {
    /// A run asked for by a person.
    pub fn by_hand() -> Self {
        Self::of(Trigger::Hand)
    }

    /// A run asked for by `trigger`.
    pub fn of(trigger: Trigger) -> Self {
        Self {
            trigger,
            dry: false,
            despite_freeze: false,
            tokens: None,
            rails: RailsOverride::default(),
            approved: BTreeMap::new(),
            observer: nobody(),
        }
    }
}

/// A run that is open in the store, and that this process works on.
pub struct Opened {
    /// Its name.
    pub id: RunId,
    /// When it began.
    started_at: Timestamp,
    /// Tells other processes that somebody works on it.
    _held: Option<Held>,
}

impl Opened {
    /// The run that is about to be opened. Taken before its row is there, so that no other process finds
    /// it without anybody who works on it.
    pub(crate) fn new(engine: &Engine, run: &NewRun) -> Result<Self, Error> {
        Ok(Self { id: run.id.clone(), started_at: run.started_at, _held: engine.hold_run(&run.id)? })
    }
}

/// Carries out a workflow now and returns the run as it is on record. Fails only if the store does.
pub async fn run(
    engine: &Engine,
    workflow: &Workflow,
    options: RunOptions,
    stop: &Stop,
) -> Result<Option<Run>, Error> {
    let run = NewRun {
        id: engine.new_run_id(),
        workflow: workflow.name.clone(),
        trigger: options.trigger.clone(),
        dry: options.dry,
        shadow: workflow.mode == Mode::Shadow,
        started_at: engine.now(),
        state: State::Running,
        skipped: None,
    };
    let opened = Opened::new(engine, &run)?;
    if !engine.store.open_run(run).await? {
        return Ok(None);
    }
    carry_out(engine, workflow, options, opened, stop).await
}

/// Carries out a run that is open, and closes it.
pub(crate) async fn carry_out(
    engine: &Engine,
    workflow: &Workflow,
    options: RunOptions,
    opened: Opened,
    stop: &Stop,
) -> Result<Option<Run>, Error> {
    engine.lapse().await?;
    let (id, now) = (opened.id.clone(), opened.started_at);
    tracing::info!(run = %id, workflow = %workflow.name, "run {id} of {} begins", workflow.name);

    let limit = Stopper::default();
    let about = Arc::new(About::new(engine, workflow, &options, now).await);
    let late = AtomicBool::new(false);
    let running = Running { engine, workflow, options: &options, id: &id, now, about, late: &late };
    let done = {
        let listener = limit.listener();
        let work = running.all(&listener);
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => Some(done),
            // Whichever comes first ends the run between two pages or two calls, or, soon, in a call
            // that is not answered.
            () = stop.wait() => { limit.stop(); soon(&id, work).await }
            () = tokio::time::sleep(workflow.timeout) => {
                tracing::warn!(run = %id, "run {id} has reached its limit of {}", Span(workflow.timeout));
                late.store(true, Ordering::Relaxed);
                limit.stop();
                soon(&id, work).await
            }
        }
    };
    if done.is_none() {
        running.note_limit().await?;
    }
    let (state, done) = match done {
        Some(Ok(())) => (engine.store.run(&id).await?.map_or(State::Succeeded, |run| run.end()), Ok(())),
        Some(Err(error)) => (State::Failed, Err(error)),
        None => (State::Stopped, Ok(())),
    };
    engine.store.close_run(&id, state, engine.now()).await?;
    done?;
    let run = engine.store.run(&id).await?;
    if let Some(run) = &run {
        engine.announce(run).await?;
        tracing::info!(run = %id, workflow = %workflow.name, state = state.as_str(), "{}", domain::report::heading(run));
        if !run.dry && !run.shadow {
            watch::after_run(engine, workflow, run).await;
        }
    }
    Ok(run)
}

/// The end of a run that was told to end. None if it does not come soon: something hangs that does not
/// listen, and is left behind as if the process had ended.
async fn soon<T>(run: &RunId, work: impl Future<Output = T>) -> Option<T> {
    let done = tokio::time::timeout(GRACE, work).await;
    done.inspect_err(|_| tracing::error!(%run, "run {run} does not come to an end and is left behind")).ok()
}

/// The tokens a workflow serves: its own, or all that are configured; of these, the ones asked for.
pub fn tokens_of(engine: &Engine, workflow: &Workflow, only: Option<&[TokenName]>) -> Vec<TokenName> {
    let all = || engine.settings.tokens.keys().cloned().collect();
    let mut tokens: Vec<TokenName> = workflow.tokens.clone().unwrap_or_else(all);
    tokens.retain(|token| only.is_none_or(|only| only.contains(token)));
    tokens
}

struct Running<'a> {
    engine: &'a Engine,
    workflow: &'a Workflow,
    options: &'a RunOptions,
    id: &'a RunId,
    now: Timestamp,
    about: Arc<About>,
    /// The run has reached its time limit, and that is not on record yet.
    late: &'a AtomicBool,
}

impl Running<'_> {
    async fn all(&self, stop: &Stop) -> Result<(), Error> {
        let tokens = tokens_of(self.engine, self.workflow, self.options.tokens.as_deref());
        let mut steps: Vec<(u32, &Step)> = (0..).zip(&self.workflow.steps).collect();
        if let Some(failure) = self.engine.short_of_room() {
            let (engine, run) = (self.engine, self.id);
            tracing::error!(%run, "{}", failure.error);
            let number = engine.store.begin_step(run, 0, "room", None, None, engine.now()).await?;
            engine.store.end_step(run, number, &Outcome::Failed(failure), engine.now()).await?;
            // People are told, as far as there is room for that.
            steps.retain(|(_, step)| !step.uses.is_per_token());
        }
        for stretch in steps.chunk_by(|a, b| a.1.uses.is_per_token() == b.1.uses.is_per_token()) {
            if stretch[0].1.uses.is_per_token() {
                self.lanes(&tokens, stretch, stop).await?;
            } else {
                for (place, step) in stretch {
                    self.whole(*place, step, &tokens, stop).await?;
                }
            }
            self.note_limit().await?;
        }
        Ok(())
    }

    /// Puts on record that the run was stopped at its time limit, if it was: its steps only know that they were
    /// stopped.
    async fn note_limit(&self) -> Result<(), Error> {
        if !self.late.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (engine, run) = (self.engine, self.id);
        let steps = engine.store.run(run).await?.map(|run| run.steps).unwrap_or_default();
        let stopped = |outcome: &Outcome| outcome.state() == State::Stopped;
        if !steps.iter().any(|step| step.outcome.as_ref().is_none_or(stopped)) {
            return Ok(());
        }
        self.late.store(false, Ordering::Relaxed);
        let failure = Failure {
            error: format!("the run has reached its limit of {}", Span(self.workflow.timeout)),
            hint: Some(format!(
                "the next run goes on from there; if it takes that long, give {} a longer `timeout` in its `[schedule]`",
                self.workflow.name
            )),
            state: State::Stopped,
            at_limit: true,
        };
        let place = u32::try_from(self.workflow.steps.len()).unwrap_or(u32::MAX);
        let number = engine.store.begin_step(run, place, LIMIT, None, None, engine.now()).await?;
        Ok(engine.store.end_step(run, number, &Outcome::Failed(failure), engine.now()).await?)
    }

    /// Each token through the same steps, some of them side by side.
    async fn lanes(&self, tokens: &[TokenName], steps: &[(u32, &Step)], stop: &Stop) -> Result<(), Error> {
        let steps: Arc<Vec<(u32, Step)>> =
            Arc::new(steps.iter().map(|(place, step)| (*place, (*step).clone())).collect());
        let places = self.engine.places();
        let mut going = JoinSet::new();
        for token in tokens {
            let lane = TokenRun {
                engine: self.engine.clone(),
                run: self.id.clone(),
                now: self.now,
                about: self.about.clone(),
                rails: self.options.rails,
                observer: self.options.observer.clone(),
                stop: stop.clone(),
                steps: steps.clone(),
                token: token.clone(),
                places: places.clone(),
            };
            going.spawn(lane.go());
        }
        let mut all_well = Ok(());
        while let Some(ended) = going.join_next().await {
            match ended {
                // If the store failed, the other lanes are let come to their end.
                Ok(done) => all_well = all_well.and(done),
                // A panic in one lane is a mistake of ours; the other lanes still go on.
                Err(panicked) => tracing::error!(run = %self.id, "a token's run broke off: {panicked}"),
            }
        }
        all_well
    }

    /// A step of the whole run.
    async fn whole(&self, place: u32, step: &Step, tokens: &[TokenName], stop: &Stop) -> Result<(), Error> {
        let (engine, run) = (self.engine, self.id);
        let holds = step.when.holds(&self.came().await?);
        let number = engine
            .store
            .begin_step(run, place, step.uses.as_str(), step.own_id(), None, engine.now())
            .await?;
        let outcome = match holds {
            Err(why) => Ok(Outcome::LeftOut { why }),
            Ok(()) => {
                let limit = Stopper::default();
                let listener = limit.listener();
                let (done, late) =
                    stop.within(step.timeout, &limit, self.once(&step.uses, tokens, &listener)).await;
                done.map_err(|error| at_limit(error, step.timeout.filter(|_| late)))
            }
        };
        let outcome = outcome.unwrap_or_else(|error| Outcome::Failed(error.failure()));
        Ok(engine.store.end_step(run, number, &outcome, engine.now()).await?)
    }

    async fn once(&self, uses: &Uses, tokens: &[TokenName], stop: &Stop) -> Result<Outcome, Error> {
        let (engine, run) = (self.engine, self.id);
        match uses {
            Uses::Remind { policy, channels, look_at_servers } => {
                let channels = self.channels(channels.as_deref());
                let job = Reminding {
                    engine,
                    run,
                    now: self.now,
                    about: &self.about,
                    tokens,
                    policy: policy.as_ref(),
                    channels: &channels,
                    look_at_servers: *look_at_servers,
                    dry: self.options.dry || self.about.shadow,
                };
                job.remind(stop).await.map(Outcome::Reminded)
            }
            Uses::Notify { .. } if self.options.dry => {
                Ok(Outcome::NotNeeded { why: "a dry run tells nobody".to_owned() })
            }
            Uses::Notify { .. } if self.about.shadow => {
                Ok(Outcome::NotNeeded { why: "in shadow mode nobody is told".to_owned() })
            }
            Uses::Notify { when, channels } => {
                step::notify::notify(engine, run, *when, &self.channels(channels.as_deref())).await
            }
            _ => unreachable!("the other steps are done for each token"),
        }
    }

    /// What came of the steps so far, for whichever token. None where no condition asks.
    async fn came(&self) -> Result<Vec<Came>, Error> {
        if self.workflow.steps.iter().all(|step| step.uses.is_per_token() || step.when == Condition::Always) {
            return Ok(Vec::new());
        }
        let run = self.engine.store.run(self.id).await?;
        let steps = run.map(|run| run.steps).unwrap_or_default();
        let came = steps.iter().filter_map(|record| {
            let step = self.workflow.steps.get(record.index as usize)?;
            Some(Came::new(step.id.clone(), record.outcome.as_ref()?))
        });
        Ok(came.collect())
    }

    fn channels(&self, chosen: Option<&[ChannelName]>) -> Vec<ChannelName> {
        let all = || self.engine.settings.channels.keys().cloned().collect();
        chosen.map_or_else(all, <[ChannelName]>::to_vec)
    }
}
