//! Carries out a plan, and chooses nothing.
//!
//! An action is marked as sent before the call and settled after it. When an answer is lost, Apple
//! is asked what became of the devices before any of them is sent again.

use std::time::Duration;

use domain::id::{ProfileId, ProfileName, SerialNumber};
use domain::run::Applied;
use domain::workflow::Retry;
use jiff::Timestamp;

use super::sync::is_ambiguous;
use super::{Lane, Tries};
use crate::apple::{self, AssignStatus, Assigned, Lookup, Next};
use crate::failure::Error;
use crate::store::{ActionState, RecordedPlan};

/// The most devices in one call. (Apple: "Assign a Profile".)
const BATCH: u32 = 1_000;
/// After an unexplained refusal. Apple counts tries, so not soon.
const PAUSE_FAILED: Duration = Duration::from_secs(3_600);
/// For a throttled device when Apple does not say how long, by its own advice.
const PAUSE_THROTTLED: Duration = Duration::from_secs(24 * 3_600);

pub(crate) async fn apply(lane: &Lane<'_>, plan: &RecordedPlan, retry: Retry) -> Result<Applied, Error> {
    let mut applied = Applied::default();
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
    for profile in plan.totals().by_profile.keys() {
        match define(lane, profile, retry, applied).await {
            Ok(id) => assign_all(lane, plan, profile, id, retry, applied).await?,
            Err(Error::Apple(apple::Error::ProfileRefused { code, .. })) => {
                // One profile's trouble is not the others'.
                lane.engine.store.drop_actions(plan, Some(profile)).await?;
                applied.refused_profiles.insert(profile.clone(), code);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
    let id = lane.retrying(retry, || lane.client.define_profile(&definition.body)).await?;
    store.profile_defined(&lane.token, profile, &definition.digest, &id, lane.engine.now()).await?;
    Ok((id, true))
}

async fn assign_all(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    profile: &ProfileName,
    mut id: ProfileId,
    retry: Retry,
    applied: &mut Applied,
) -> Result<(), Error> {
    let store = &lane.engine.store;
    let mut tries = Tries::new(retry);
    let mut redefined = false;
    loop {
        lane.go_on()?;
        let serials = store.next_actions(plan, profile, BATCH).await?;
        if serials.is_empty() {
            return Ok(());
        }
        store.actions_sent(plan, serials.clone(), &id).await?;
        applied.calls += 1;
        match lane.client.assign(&id, &serials).await {
            Ok(answer) => {
                settle(lane, plan, answer, applied).await?;
                tries = Tries::new(retry);
            }
            Err(error) if is_ambiguous(&error) => {
                lane.wait_or_give_up(&mut tries, error).await?;
                ask_what_became(lane, plan, &serials, &id, retry, applied).await?;
            }
            Err(error) if error.next() == Next::DefineProfile && !redefined => {
                store.actions_not_sent(plan, serials).await?;
                store.forget_profile(&lane.token, &id).await?;
                redefined = true;
                id = define(lane, profile, retry, applied).await?;
            }
            Err(error) => {
                // Apple said no to the call, so none of it was carried out.
                store.actions_not_sent(plan, serials).await?;
                return Err(error.into());
            }
        }
        let done = applied.succeeded + applied.failed + applied.throttled + applied.not_accessible;
        lane.progress("apply", done, Some(plan.totals().actions()));
    }
}

async fn settle(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    answer: Assigned,
    applied: &mut Applied,
) -> Result<(), Error> {
    let now = lane.engine.now();
    let throttled = answer.retry_after.unwrap_or(PAUSE_THROTTLED);
    let outcomes = answer.outcomes.into_iter().map(|(serial, status)| {
        let (state, pause) = match status {
            AssignStatus::Success => (ActionState::Succeeded, None),
            AssignStatus::NotAccessible => (ActionState::NotAccessible, Some(PAUSE_THROTTLED)),
            AssignStatus::Throttled => (ActionState::Throttled, Some(throttled)),
            AssignStatus::Failed(_) => (ActionState::Failed, Some(PAUSE_FAILED)),
        };
        (serial, state, pause.and_then(|pause| later(now, pause)))
    });
    let outcomes: Vec<_> = outcomes.collect();
    for (_, state, _) in &outcomes {
        match state {
            ActionState::Succeeded => applied.succeeded += 1,
            ActionState::Throttled => applied.throttled += 1,
            ActionState::NotAccessible => applied.not_accessible += 1,
            _ => applied.failed += 1,
        }
    }
    Ok(lane.engine.store.actions_answered(plan, outcomes, now).await?)
}

/// After a lost answer: what Apple carried out is settled, the rest is planned again.
async fn ask_what_became(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    serials: &[SerialNumber],
    profile: &ProfileId,
    retry: Retry,
    applied: &mut Applied,
) -> Result<(), Error> {
    let answers = lane.retrying(retry, || lane.client.devices(serials)).await?;
    let has_it = |serial: &SerialNumber| match answers.get(serial) {
        Some(Lookup::Found(device)) => device.profile() == Some(profile),
        _ => false,
    };
    let (done, again): (Vec<_>, Vec<_>) = serials.iter().cloned().partition(has_it);
    applied.succeeded += done.len() as u64;
    let done = done.into_iter().map(|serial| (serial, ActionState::Succeeded, None)).collect();
    lane.engine.store.actions_answered(plan, done, lane.engine.now()).await?;
    Ok(lane.engine.store.actions_not_sent(plan, again).await?)
}

fn later(now: Timestamp, pause: Duration) -> Option<Timestamp> {
    now.checked_add(pause).ok()
}
