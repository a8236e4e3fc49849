//! One token's way through a run.
//!
//! A lane has its token to itself. Before its first step it asks Apple what became of what an earlier run left
//! in flight; then it goes through the steps in order, and what one leaves to those after it is kept here.

use std::sync::Arc;
use std::time::Duration;

use domain::freeze::Frozen;
use domain::id::{PluginName, RunId, StepId, TokenName};
use domain::rails::RailsOverride;
use domain::run::{Outcome, Planned, State};
use domain::token_facts::Heard;
use domain::workflow::{Came, Condition, Retry, Step, Uses};
use jiff::Timestamp;

use super::{About, Observer, Progress, WAITING_TARGET};
use crate::engine::Engine;
use crate::failure::Error;
use crate::lock::Held;
use crate::step::decide::Others;
use crate::step::place::Places;
use crate::step::plan::{Made, Planning};
use crate::step::{self, Lane};
use crate::stop::{Stop, Stopper};
use crate::store::{RecordedPlan, Verdicts};

/// After so long a lane that waits for its token says so.
const PATIENCE: Duration = Duration::from_secs(1);

/// One token's way through the steps.
pub(super) struct TokenRun {
    pub(super) engine: Engine,
    pub(super) run: RunId,
    pub(super) now: Timestamp,
    pub(super) about: Arc<About>,
    pub(super) rails: RailsOverride,
    pub(super) observer: Observer,
    pub(super) stop: Stop,
    pub(super) steps: Arc<Vec<(u32, Step)>>,
    pub(super) token: TokenName,
    pub(super) places: Places,
}

impl TokenRun {
    /// Where no step says anything of retries.
    const USUAL: Retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };

    pub(super) async fn go(self) -> Result<(), Error> {
        let Some((first, step)) = self.steps.first() else { return Ok(()) };
        let opened = match self.open().await {
            Ok((mut lane, held)) => match self.settle(&mut lane).await {
                Ok(()) => Ok((lane, held)),
                Err(error) => {
                    self.heard(&lane, error.heard()).await?;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        let (mut lane, _held) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let number = self.begin(*first, step).await?;
                return self.end(number, &Outcome::Failed(error.failure())).await;
            }
        };
        let mut heard = (lane.read_back > 0).then_some(Heard::Worked);
        let done = self.steps(&mut lane, &mut heard).await;
        // Once, when the lane has ended: the last word counts.
        self.heard(&lane, heard).await?;
        done
    }

    async fn steps(&self, lane: &mut Lane<'_>, heard: &mut Option<Heard>) -> Result<(), Error> {
        let mut so_far = SoFar::default();
        for (place, step) in self.steps.iter() {
            if let Err(why) = step.when.holds(&so_far.came) {
                // That nothing is built on what broke off goes without saying.
                if step.when != Condition::Succeeded {
                    let number = self.begin(*place, step).await?;
                    self.end(number, &Outcome::LeftOut { why }).await?;
                }
                continue;
            }
            let number = self.begin(*place, step).await?;
            let outcome = match self.limited(lane, *place, step, &mut so_far).await {
                Ok(outcome) => {
                    // The others do without Apple.
                    let asked = matches!(outcome, Outcome::Synced(_) | Outcome::Removed(_))
                        || matches!(&outcome, Outcome::Applied(applied) if applied.calls > 0);
                    *heard = if asked { Some(Heard::Worked) } else { *heard };
                    outcome
                }
                Err(error) => {
                    *heard = error.heard().or(*heard);
                    Outcome::Failed(error.failure())
                }
            };
            self.end(number, &outcome).await?;
            if outcome.broke_off() && self.stop.is_set() {
                break;
            }
            so_far.came.push(Came::new(step.id.clone(), &outcome));
        }
        Ok(())
    }

    /// One step, stopped at its time limit.
    async fn limited(
        &self,
        lane: &mut Lane<'_>,
        place: u32,
        step: &Step,
        so_far: &mut SoFar,
    ) -> Result<Outcome, Error> {
        let limit = Stopper::default();
        lane.stop = limit.listener();
        let work = self.step(lane, place, step, so_far);
        let (done, late) = self.stop.within(step.timeout, &limit, work).await;
        done.map_err(|error| at_limit(error, step.timeout.filter(|_| late)))
    }

    /// What Apple said of the token this lane had; of one imported meanwhile it says nothing.
    async fn heard(&self, lane: &Lane<'_>, heard: Option<Heard>) -> Result<(), Error> {
        let Some(heard) = heard else { return Ok(()) };
        Ok(self.engine.store.heard(&self.token, lane.imported_at, heard, self.engine.now()).await?)
    }

    /// The lane, once the token is ours.
    async fn open(&self) -> Result<(Lane<'_>, Held), Error> {
        let hold = self.engine.hold_token(&self.token, &self.stop);
        tokio::pin!(hold);
        let held = tokio::select! {
            held = &mut hold => held?,
            () = tokio::time::sleep(PATIENCE) => {
                self.tell_who_has_it().await?;
                hold.await?
            }
        };
        let (token, client) = self.engine.token_and_client(&self.token).await?;
        let lane = Lane {
            engine: &self.engine,
            run: &self.run,
            now: self.now,
            about: &self.about,
            token: self.token.clone(),
            imported_at: token.imported_at,
            client,
            stop: self.stop.clone(),
            observer: &self.observer,
            place: self.places.take(&self.stop).await,
            read_back: 0,
        };
        Ok((lane, held))
    }

    /// Says which runs the token is waited for.
    async fn tell_who_has_it(&self) -> Result<(), Error> {
        let (store, token) = (&self.engine.store, &self.token);
        for id in store.open_runs().await?.into_iter().filter(|id| *id != self.run) {
            let steps = store.run(&id).await?.map(|run| run.steps).unwrap_or_default();
            if steps.iter().any(|step| step.token.as_ref() == Some(token) && step.outcome.is_none()) {
                tracing::info!(target: WAITING_TARGET, "waiting for run {id} to finish with token {token}");
            }
        }
        Ok(())
    }

    /// Asks Apple about what an earlier run left in flight.
    async fn settle(&self, lane: &mut Lane<'_>) -> Result<(), Error> {
        // What a first fetch left behind that was cut off.
        self.engine.store.enter_serials(&self.token, lane.seen()).await?;
        lane.read_back = step::sync::read_back(lane, self.retry()).await?
            + step::remove::read_back(lane, self.retry()).await?;
        Ok(())
    }

    /// How the workflow wants failed calls tried again, by the first of its steps that says so.
    fn retry(&self) -> Retry {
        let of = |step: &Step| match &step.uses {
            Uses::Sync { retry, .. } | Uses::Apply { retry, .. } => Some(*retry),
            _ => None,
        };
        self.steps.iter().find_map(|(_, step)| of(step)).unwrap_or(Self::USUAL)
    }

    async fn step(
        &self,
        lane: &Lane<'_>,
        place: u32,
        step: &Step,
        so_far: &mut SoFar,
    ) -> Result<Outcome, Error> {
        let id = &step.id;
        Ok(match &step.uses {
            Uses::Sync { full, retry } => Outcome::Synced(step::sync::sync(lane, *full, *retry).await?),
            Uses::Decide { policy, on_fault } => {
                let others = Others { before: so_far.asked(), later: self.asked_after(place) };
                let (decided, changed) = step::decide::decide(lane, policy, on_fault, &others).await?;
                so_far.verdicts.changed = changed;
                // One that failed has said nothing: whoever is asked instead is asked about every device.
                so_far.verdicts.of.push(policy.clone());
                Outcome::Decided(decided)
            }
            Uses::Plan { .. } if so_far.verdicts.of.is_empty() => {
                so_far.plan = None;
                Outcome::NotNeeded { why: "no policy has decided".to_owned() }
            }
            Uses::Plan { rails, review, approve_within } => {
                let verdicts = Verdicts { book: self.about.book(), ..so_far.verdicts.clone() };
                so_far.next_plan();
                let planning = Planning {
                    place,
                    step: id,
                    rails: self.rails.over(rails),
                    review: review.as_ref(),
                    approve_within: *approve_within,
                };
                let made = step::plan::plan(lane, planning, verdicts).await?;
                if let (Outcome::Planned(planned), Some(plan)) = &made
                    && self.ends_with_plan(place)
                {
                    step::plan::went_ahead(lane, id, (plan, planned)).await?;
                }
                so_far.made(id, made)
            }
            Uses::Given { given, rails, review } => {
                let Some(given) = given.get(&self.token) else {
                    return Ok(Outcome::NotNeeded { why: "nothing is asked for".to_owned() });
                };
                let rails = self.rails.over(rails);
                let (review, approve_within) = (review.as_ref(), Duration::ZERO);
                let planning = Planning { place, step: id, rails, review, approve_within };
                so_far.made(id, step::plan::given(lane, planning, given).await?)
            }
            Uses::Apply { .. } if self.about.dry => {
                Outcome::NotNeeded { why: "a dry run ends with the plan".to_owned() }
            }
            Uses::Apply { retry, read_back } => match so_far.plan.take() {
                Some((_, plan, planned)) if self.about.shadow => {
                    step::plan::shadowed(lane, &plan, &planned).await?
                }
                Some((id, plan, planned)) => match lane.frozen().filter(|_| plan.totals().actions() > 0) {
                    Some(Frozen { until, reason }) => {
                        Outcome::Frozen { until, reason, devices: plan.totals().actions() }
                    }
                    None => {
                        step::plan::begins(lane, &id, &planned).await?;
                        let applied = step::apply::apply(lane, &plan, *retry, *read_back).await?;
                        if applied.is_whole() {
                            step::plan::went_ahead(lane, &id, (&plan, &planned)).await?;
                        }
                        Outcome::Applied(applied)
                    }
                },
                None => Outcome::NotNeeded { why: "there is no plan".to_owned() },
            },
            Uses::Remove { what, serials } => {
                Outcome::Removed(step::remove::remove(lane, *what, serials, self.retry()).await?)
            }
            Uses::Remind { .. } | Uses::Notify { .. } => {
                unreachable!("these steps are done once for the run")
            }
        })
    }

    /// In earnest, and no step after this one carries its plan out.
    fn ends_with_plan(&self, place: u32) -> bool {
        let applied = |(other, step): &(u32, Step)| *other > place && matches!(step.uses, Uses::Apply { .. });
        !self.about.dry && !self.about.shadow && !self.steps.iter().any(applied)
    }

    /// The policies that steps after this one ask.
    fn asked_after(&self, place: u32) -> Vec<PluginName> {
        let later = self.steps.iter().filter(|(other, _)| *other > place);
        let policies = later.filter_map(|(_, step)| match &step.uses {
            Uses::Decide { policy, .. } => Some(policy.clone()),
            _ => None,
        });
        policies.collect()
    }

    async fn begin(&self, place: u32, step: &Step) -> Result<i64, Error> {
        let now = self.engine.now();
        (self.observer)(Progress {
            token: Some(self.token.clone()),
            uses: step.uses.as_str(),
            done: 0,
            total: None,
        });
        let (store, uses, id) = (&self.engine.store, step.uses.as_str(), step.own_id());
        Ok(store.begin_step(&self.run, place, uses, id, Some(&self.token), now).await?)
    }

    async fn end(&self, number: i64, outcome: &Outcome) -> Result<(), Error> {
        let (token, run) = (&self.token, &self.run);
        if let Outcome::Failed(failure) = outcome {
            let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!("; {hint}"));
            match failure.state {
                State::NeedsPerson => tracing::error!(%token, %run, "{}{hint}", failure.error),
                _ => tracing::warn!(%token, %run, "{}{hint}", failure.error),
            }
        }
        Ok(self.engine.store.end_step(&self.run, number, outcome, self.engine.now()).await?)
    }
}

/// What a token's steps have left to those after them.
#[derive(Default)]
struct SoFar {
    /// What came of them.
    came: Vec<Came>,
    /// Who has decided: for the next plan, and for those before.
    verdicts: Verdicts,
    /// The plan that the next `apply` carries out, and the step that made it.
    plan: Option<(StepId, RecordedPlan, Planned)>,
}

impl SoFar {
    /// Keeps the plan that was made, if it may be carried out.
    fn made(&mut self, step: &StepId, (outcome, plan): Made) -> Outcome {
        self.plan = match (&outcome, plan) {
            (Outcome::Planned(planned), Some(plan)) => Some((step.clone(), plan, planned.clone())),
            _ => None,
        };
        outcome
    }

    /// The policies that came to an end of their devices.
    fn asked(&self) -> Vec<PluginName> {
        self.verdicts.not_of.iter().chain(&self.verdicts.of).cloned().collect()
    }

    /// The verdicts so far belong to a plan: what comes after makes another.
    fn next_plan(&mut self) {
        self.plan = None;
        self.verdicts.changed = None;
        self.verdicts.not_of.append(&mut self.verdicts.of);
    }
}

/// That a step was broken off at its own limit, if it was.
pub(super) fn at_limit(error: Error, limit: Option<Duration>) -> Error {
    match limit {
        Some(limit) => Error::AtLimit { limit, source: Box::new(error) },
        None => error,
    }
}
