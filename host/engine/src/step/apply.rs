//! Carries out a plan, and chooses nothing.
//!
//! An action is marked as sent before the call and settled after it. When an answer is lost, Apple
//! is asked what became of the devices before any of them is sent again. What is marked and never sent, because the
//! process ends, is asked about like the rest.

use std::time::Duration;

use domain::id::{ProfileId, ProfileName, SerialNumber};
use domain::plan::Target;
use domain::run::Applied;
use domain::workflow::Retry;

use super::{Lane, Tries};
use crate::apple::{self, AssignStatus, Assigned, Lookup, Next};
use crate::failure::Error;
use crate::store::{ActionState, QueuedAction, RecordedPlan};

/// The most devices in one call, unless the account says less. (Apple: "Assign a Profile".)
pub(crate) const BATCH: u32 = 1_000;

pub(crate) async fn apply(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    retry: Retry,
    read_back: bool,
) -> Result<Applied, Error> {
    let mut applied = Applied { confirmed: read_back.then_some(0), ..Applied::default() };
    let outcome = profiles(lane, plan, retry, &mut applied).await;
    match outcome {
        Ok(()) => Ok(applied),
        Err(error) => {
            // What is in flight stays so and is read back; the rest was never sent.
            lane.engine.store.drop_actions(plan, None).await?;
            let (done, all) = (applied.succeeded, plan.totals().actions());
            let done = format!("{done} of {all} devices assigned");
            Err(Error::Partly { done, source: Box::new(error) })
        }
    }
}

async fn profiles(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    retry: Retry,
    applied: &mut Applied,
) -> Result<(), Error> {
    for target in &lane.engine.store.targets(plan).await? {
        let done = match target {
            Target::Ours(profile) => match define(lane, profile, retry, applied).await {
                Ok(id) => assign_all(lane, plan, target, id, retry, applied).await,
                Err(error) => Err(error),
            },
            Target::Exactly { id, .. } => assign_all(lane, plan, target, id.clone(), retry, applied).await,
        };
        if let Err(error) = done {
            // One profile's trouble is not the others'.
            let why = refusal_of_profile(&error, target).ok_or(error)?;
            lane.engine.store.drop_actions(plan, Some(target)).await?;
            applied.refused_profiles.insert(name_of(target), why);
        }
    }
    Ok(())
}

/// How a report calls it.
fn name_of(target: &Target) -> String {
    match (target.name(), target) {
        (Some(name), _) => name.to_string(),
        (None, Target::Exactly { id, .. }) => id.to_string(),
        (None, Target::Ours(name)) => name.to_string(),
    }
}

/// What Apple has against a profile, if that is what the error is about. Apple's service breaks down,
/// with a 500, over values that it dislikes.
fn refusal_of_profile(error: &Error, target: &Target) -> Option<String> {
    match error {
        Error::Apple(apple::Error::ProfileRefused { code, .. }) => Some(code.clone()),
        // What was defined by others, or long ago, cannot be defined again from our files.
        Error::Apple(error)
            if matches!(target, Target::Exactly { .. }) && error.next() == Next::DefineProfile =>
        {
            Some("it does not know it any more".to_owned())
        }
        Error::Apple(apple::Error::Unavailable { call: apple::Call::DefineProfile, answer, .. })
            if answer.status == 500 =>
        {
            Some(format!("its service broke down over it ({answer})"))
        }
        _ => None,
    }
}

/// Apple's id of the profile as its file says now; defines it if Apple was never told.
async fn define(
    lane: &Lane<'_>,
    profile: &ProfileName,
    retry: Retry,
    applied: &mut Applied,
) -> Result<ProfileId, Error> {
    let (id, new) = define_profile(lane, profile, retry).await?;
    if new {
        applied.defined.push(profile.clone());
    }
    Ok(id)
}

/// Makes sure that Apple knows a profile as its file says now. True if it had to be told.
pub(crate) async fn define_profile(
    lane: &Lane<'_>,
    profile: &ProfileName,
    retry: Retry,
) -> Result<(ProfileId, bool), Error> {
    let store = &lane.engine.store;
    let definition = lane.engine.settings.profiles.get(profile).ok_or_else(|| {
        Error::Policy(crate::settings::Unusable {
            error: format!("no profile is called `{profile}`"),
            hint: Some(format!("add a file profiles/{profile}.toml")),
        })
    })?;
    if let Some(id) = store.profile_id(&lane.token, profile, &definition.digest).await? {
        return Ok((id, false));
    }
    lane.may_change()?;
    let id = lane.retrying(retry, || lane.client.define_profile(&definition.body)).await?;
    store.profile_defined(&lane.token, profile, definition, &id, lane.engine.now()).await?;
    Ok((id, true))
}

async fn assign_all(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    target: &Target,
    id: ProfileId,
    retry: Retry,
    applied: &mut Applied,
) -> Result<(), Error> {
    let limits = lane.engine.store.sync_state(&lane.token).await?.limits;
    let limit = limits.assign.map_or(BATCH, |limit| limit.min(BATCH));
    let (ready, answered) = (Vec::new(), Answered::default());
    let mut sending = Sending { lane, plan, target, retry, limit, ready, answered };
    let done = sending.all(id, applied).await;
    // However it ended: what Apple answered is kept, and what was not sent after all is on record as that.
    sending.note_answers().await?;
    sending.take_back().await?;
    done
}

/// The actions for one profile, sent batch by batch. While Apple works on a batch, the answers to the one before are
/// noted, and the next is made ready, on record as sent: so Apple never waits for our disk.
struct Sending<'a, 'b> {
    lane: &'a Lane<'b>,
    plan: &'a RecordedPlan,
    target: &'a Target,
    retry: Retry,
    limit: u32,
    /// The next batch, already on record as sent.
    ready: Vec<QueuedAction>,
    answered: Answered,
}

/// What Apple answered and nobody has noted yet.
#[derive(Default)]
struct Answered {
    states: Vec<(QueuedAction, ActionState)>,
    retry_after: Option<Duration>,
}

impl Sending<'_, '_> {
    async fn all(&mut self, mut id: ProfileId, applied: &mut Applied) -> Result<(), Error> {
        let (lane, store) = (self.lane, &self.lane.engine.store);
        let mut tries = Tries::new(self.retry);
        let mut redefined = false;
        loop {
            lane.go_on()?;
            lane.may_change()?;
            if self.ready.is_empty() {
                self.make_ready(None, &id).await?;
            }
            let actions = std::mem::take(&mut self.ready);
            if actions.is_empty() {
                return Ok(());
            }
            let serials: Vec<SerialNumber> =
                actions.iter().map(|action| action.serial_number.clone()).collect();
            applied.calls += 1;
            // If a stop does not wait for the answer, they stay in flight: the next run asks.
            let call = lane.call(lane.client.assign(&id, &serials));
            let (answer, prepared) = tokio::join!(call, self.prepare(actions.last(), &id));
            prepared?;
            match answer? {
                Ok(answer) => {
                    self.hear(actions, answer, applied).await?;
                    tries = Tries::new(self.retry);
                }
                Err(error) if may_be_done(&error) => {
                    self.take_back().await?;
                    lane.wait_or_give_up(&mut tries, error).await?;
                    ask_what_became(lane, actions, &id, self.retry, applied).await?;
                }
                Err(error) if matches!(error.next(), Next::Retry { .. }) => {
                    self.take_back().await?;
                    store.actions_not_sent(&actions).await?;
                    lane.wait_or_give_up(&mut tries, error).await?;
                }
                Err(error) if error.next() == Next::DefineProfile && !redefined => {
                    self.take_back().await?;
                    store.actions_not_sent(&actions).await?;
                    store.forget_profile(&lane.token, &id).await?;
                    redefined = true;
                    match self.target {
                        Target::Ours(profile) => id = define(lane, profile, self.retry, applied).await?,
                        Target::Exactly { .. } => return Err(error.into()),
                    }
                }
                Err(error) => {
                    // Apple said no to the call, so none of it was carried out.
                    store.actions_not_sent(&actions).await?;
                    return Err(error.into());
                }
            }
            let done = applied.succeeded + applied.failed + applied.throttled + applied.not_accessible;
            lane.progress("apply", done, Some(self.plan.totals().actions()));
        }
    }

    /// What is done while Apple works on a batch, whose last action this is.
    async fn prepare(&mut self, last: Option<&QueuedAction>, id: &ProfileId) -> Result<(), Error> {
        self.note_answers().await?;
        self.make_ready(last, id).await
    }

    /// Makes the next batch ready, of those after an action.
    async fn make_ready(&mut self, after: Option<&QueuedAction>, id: &ProfileId) -> Result<(), Error> {
        let store = &self.lane.engine.store;
        let mut next = store.next_actions(self.plan, self.target, after, self.limit).await?;
        store.actions_sent(&mut next, id, self.lane.engine.now()).await?;
        self.ready = next;
        Ok(())
    }

    /// The batch that was made ready is not sent now.
    async fn take_back(&mut self) -> Result<(), Error> {
        let ready = std::mem::take(&mut self.ready);
        Ok(self.lane.engine.store.actions_not_sent(&ready).await?)
    }

    /// Takes what Apple answered.
    async fn hear(
        &mut self,
        actions: Vec<QueuedAction>,
        answer: Assigned,
        applied: &mut Applied,
    ) -> Result<(), Error> {
        let mut succeeded = Vec::new();
        for action in actions {
            let state = match answer.outcomes.get(&action.serial_number) {
                Some(AssignStatus::Success) => ActionState::Succeeded,
                Some(AssignStatus::NotAccessible) => ActionState::NotAccessible,
                Some(AssignStatus::Throttled) => ActionState::Throttled,
                Some(AssignStatus::Failed(_)) | None => ActionState::Failed,
            };
            if state == ActionState::Succeeded && applied.confirmed.is_some() {
                succeeded.push(action.serial_number.clone());
            }
            count(state, applied);
            self.answered.states.push((action, state));
        }
        self.answered.retry_after = answer.retry_after;
        if applied.confirmed.is_some() {
            self.note_answers().await?;
            read_successes_back(self.lane, &succeeded, self.retry, applied).await?;
        }
        Ok(())
    }

    /// Puts on record what Apple answered.
    async fn note_answers(&mut self) -> Result<(), Error> {
        let Answered { states, retry_after } = std::mem::take(&mut self.answered);
        let (store, now) = (&self.lane.engine.store, self.lane.engine.now());
        Ok(store.actions_answered(states, retry_after, now).await?)
    }
}

/// Stores what Apple shows of devices it says are assigned: the profile and its times. Apple's word
/// that it assigned them stands whatever it shows; its lists lag.
async fn read_successes_back(
    lane: &Lane<'_>,
    serials: &[SerialNumber],
    retry: Retry,
    applied: &mut Applied,
) -> Result<(), Error> {
    let answers = match lane.retrying(retry, || lane.client.devices(serials)).await {
        Ok(answers) => answers,
        // It is a confirmation and nothing more: the assignments stand.
        Err(Error::Apple(error)) => {
            tracing::warn!(token = %lane.token, run = %lane.run, "successes are not read back: {error}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let found = answers.into_values().filter_map(|lookup| match lookup {
        Lookup::Found(device) if device.profile().is_some() => Some(*device),
        _ => None,
    });
    let found: Vec<_> = found.collect();
    *applied.confirmed.get_or_insert_default() += found.len() as u64;
    Ok(lane.engine.store.confirm(&lane.token, found, lane.seen()).await?)
}

/// After a lost answer: what Apple carried out is settled, what it did not is planned again, and what
/// it does not tell of stays in flight.
async fn ask_what_became(
    lane: &Lane<'_>,
    actions: Vec<QueuedAction>,
    profile: &ProfileId,
    retry: Retry,
    applied: &mut Applied,
) -> Result<(), Error> {
    let serials: Vec<SerialNumber> = actions.iter().map(|action| action.serial_number.clone()).collect();
    let mut answers = lane.retrying(retry, || lane.client.devices(&serials)).await?;
    let (mut settled, mut again) = (Vec::new(), Vec::new());
    for action in actions {
        match answers.remove(&action.serial_number) {
            Some(Lookup::Found(device)) if device.profile() == Some(profile) => {
                settled.push((action, ActionState::Succeeded));
            }
            Some(Lookup::Found(_)) => again.push(action),
            Some(Lookup::NotAccessible) => settled.push((action, ActionState::NotAccessible)),
            Some(Lookup::Failed(_)) | None => applied.in_flight += 1,
        }
    }
    for (_, state) in &settled {
        count(*state, applied);
    }
    lane.engine.store.actions_answered(settled, None, lane.engine.now()).await?;
    Ok(lane.engine.store.actions_not_sent(&again).await?)
}

fn count(state: ActionState, applied: &mut Applied) {
    match state {
        ActionState::Succeeded => applied.succeeded += 1,
        ActionState::Throttled => applied.throttled += 1,
        ActionState::NotAccessible => applied.not_accessible += 1,
        _ => applied.failed += 1,
    }
}

/// Whether Apple may have carried out a call that failed: the answer was lost, or is none. A
/// connection that never stood carried nothing, and a session that was refused did nothing.
pub(crate) fn may_be_done(error: &apple::Error) -> bool {
    match error {
        apple::Error::Unreachable { trouble, .. } => trouble.may_be_after_sending(),
        apple::Error::Unavailable { .. } | apple::Error::BadAnswer { .. } => true,
        _ => false,
    }
}
