//! Takes away what a person has named and confirmed, and nothing else.
//!
//! Nothing is sent twice. A call that failed is not repeated; when its answer is lost, Apple is asked
//! what became of the devices, and what was not done stays undone until a person asks again.

use domain::id::SerialNumber;
use domain::removal::{Removal, Removed};
use domain::workflow::Retry;
use jiff::Timestamp;

use super::Lane;
use super::apply::{BATCH, may_be_done};
use super::sync::{GIVEN_UP, is_older};
use crate::apple::{AssignStatus, Lookup};
use crate::failure::Error;
use crate::store::{ActionState, QueuedAction, ReadBack};

pub(crate) async fn remove(
    lane: &Lane<'_>,
    what: Removal,
    serials: &[SerialNumber],
    retry: Retry,
) -> Result<Removed, Error> {
    let store = &lane.engine.store;
    let mut actions = store.record_removals(lane.run, &lane.token, what, serials).await?;
    let mut removed = Removed::none(what);
    // The token does not have them any more; it did when they were shown.
    removed.not_accessible = (serials.len() - actions.len()) as u64;
    let limit = store.sync_state(&lane.token).await?.limits.assign.map_or(BATCH, |limit| limit.min(BATCH));
    for batch in actions.chunks_mut(limit.max(1) as usize) {
        if let Err(error) = remove_batch(lane, what, batch, retry, &mut removed).await {
            // What was never sent is dropped when the run is closed.
            let done = format!("{} of {} devices done", removed.succeeded, serials.len());
            return Err(Error::Partly { done, source: Box::new(error) });
        }
    }
    Ok(removed)
}

async fn remove_batch(
    lane: &Lane<'_>,
    what: Removal,
    batch: &mut [QueuedAction],
    retry: Retry,
    removed: &mut Removed,
) -> Result<(), Error> {
    let store = &lane.engine.store;
    lane.go_on()?;
    lane.may_change()?;
    store.removals_sent(batch, lane.engine.now()).await?;
    let serials: Vec<SerialNumber> = batch.iter().map(|action| action.serial_number.clone()).collect();
    removed.calls += 1;
    let answer = match what {
        Removal::Unassign => lane.call(lane.client.clear(&serials)).await?,
        Removal::Disown => lane.call(lane.client.disown(&serials)).await?,
    };
    match answer {
        Ok(mut outcomes) => {
            let answers = batch.iter().map(|action| {
                let (state, why) = state(outcomes.remove(&action.serial_number));
                count(state, removed);
                (action.clone(), state, why)
            });
            let answers = answers.collect();
            Ok(store.removals_answered(what, answers, lane.seen()).await?)
        }
        Err(error) if may_be_done(&error) => {
            let batch: Vec<_> = batch.iter().map(|action| (action.clone(), what, lane.now)).collect();
            let states = ask_what_became(lane, &batch, retry).await?;
            removed.in_flight += (batch.len() - states.len()) as u64;
            states.into_iter().for_each(|state| count(state, removed));
            Ok(())
        }
        Err(error) => {
            // Apple said no to the call, so none of it was carried out.
            store.actions_not_sent(batch).await?;
            Err(error.into())
        }
    }
}

/// Asks Apple what became of removals that were sent and never answered. Done before a lane's first
/// step, whatever that is. Returns how many are settled now.
pub(crate) async fn read_back(lane: &Lane<'_>, retry: Retry) -> Result<u64, Error> {
    let in_flight = lane.engine.store.removals_in_flight(&lane.token).await?;
    let mut settled = 0;
    for batch in in_flight.chunks(BATCH as usize) {
        lane.go_on()?;
        settled += ask_what_became(lane, batch, retry).await?.len() as u64;
    }
    Ok(settled)
}

/// What became of each; those that Apple does not tell of stay in flight.
async fn ask_what_became(
    lane: &Lane<'_>,
    batch: &[(QueuedAction, Removal, Timestamp)],
    retry: Retry,
) -> Result<Vec<ActionState>, Error> {
    let serials: Vec<SerialNumber> = batch.iter().map(|(action, ..)| action.serial_number.clone()).collect();
    let mut answers = lane.retrying(retry, || lane.client.devices(&serials)).await?;
    let found = batch.iter().filter_map(|(action, what, since)| {
        let found = match answers.remove(&action.serial_number) {
            Some(Lookup::Found(device)) => ReadBack::Found(device),
            Some(Lookup::NotAccessible) => ReadBack::NotOurs,
            Some(Lookup::Failed(_)) | None if is_older(Some(*since), GIVEN_UP, lane.now) => ReadBack::Untold,
            Some(Lookup::Failed(_)) | None => return None,
        };
        Some((action.clone(), *what, found))
    });
    let found = found.collect();
    Ok(lane.engine.store.read_removals_back(&lane.token, found, lane.seen()).await?)
}

fn state(status: Option<AssignStatus>) -> (ActionState, Option<String>) {
    match status {
        Some(AssignStatus::Success) => (ActionState::Succeeded, None),
        Some(AssignStatus::NotAccessible) => (ActionState::NotAccessible, None),
        Some(AssignStatus::Throttled) => (ActionState::Throttled, None),
        Some(AssignStatus::Failed(why)) => (ActionState::Failed, Some(why)),
        None => (ActionState::Failed, None),
    }
}

fn count(state: ActionState, removed: &mut Removed) {
    match state {
        ActionState::Succeeded => removed.succeeded += 1,
        ActionState::NotAccessible => removed.not_accessible += 1,
        _ => removed.failed += 1,
    }
}
