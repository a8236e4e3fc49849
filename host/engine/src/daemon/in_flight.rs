//! What was in flight when a process ended is asked about when the daemon starts, and not only when the token's
//! workflow is due again: until then nobody could say which profile these devices have.
//!
//! It is done beside the schedules, at the places of the runs, once. A run of the token that is going on asks by
//! itself; after a failure the token's next run does.

use std::collections::BTreeMap;

use domain::id::{ProfileId, SerialNumber, TokenName};
use domain::removal::Removal;
use domain::run::{Outcome, ReadBack, Run, State};
use domain::workflow::Retry;
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::failure::Error;
use crate::runner::{About, nobody};
use crate::step::{self, Lane};
use crate::stop::Stop;
use crate::store::RunFilter;

/// The word for it in a run's record.
const STEP: &str = "read-back";

/// The next run of a token asks again, and more patiently.
const ONCE: Retry = Retry { attempts: 1, backoff: std::time::Duration::ZERO };

/// Asks, for every token of which something is in flight.
pub(super) async fn ask(engine: Engine, stop: Stop) {
    let mut going = JoinSet::new();
    for token in engine.settings.tokens.keys() {
        let (engine, token, stop) = (engine.clone(), token.clone(), stop.clone());
        going.spawn(async move {
            if let Err(error) = ask_for(&engine, &token, &stop).await {
                let failure = error.failure();
                tracing::warn!(%token, "what was in flight of {token} is not known yet: {}; its next run asks again", failure.error);
            }
        });
    }
    while let Some(ended) = going.join_next().await {
        if let Err(panicked) = ended {
            tracing::error!("asking about what was in flight broke off: {panicked}");
        }
    }
}

async fn ask_for(engine: &Engine, token: &TokenName, stop: &Stop) -> Result<(), Error> {
    let store = &engine.store;
    if Sent::of(engine, token).await?.is_nothing() {
        return Ok(());
    }
    // Whoever has the token reads back, or has just sent it.
    let Some(_held) = engine.hold_token_now(token)? else { return Ok(()) };
    let sent = Sent::of(engine, token).await?;
    let Some(run) = sent_by(engine, token).await?.filter(|_| !sent.is_nothing()) else { return Ok(()) };
    let (known, client) = engine.token_and_client(token).await?;
    let (about, observer) = (About::no_workflow(false), nobody());
    let mut lane = Lane {
        engine,
        run: &run.id,
        now: engine.now(),
        about: &about,
        token: token.clone(),
        imported_at: known.imported_at,
        client,
        stop: stop.clone(),
        observer: &observer,
        place: engine.places().take(stop).await,
        read_back: 0,
    };
    let asked = read_back(&mut lane).await;
    let heard = match &asked {
        Ok(()) => Some(domain::token_facts::Heard::Worked),
        Err(error) => error.heard(),
    };
    if let Some(heard) = heard {
        store.heard(token, known.imported_at, heard, engine.now()).await?;
    }
    asked?;
    let found = sent.became(engine, token).await?;
    let outcome = Outcome::ReadBack(found);
    // On record with the run that sent it, after its own steps.
    let place = run.steps.iter().map(|step| step.index + 1).max().unwrap_or_default();
    let number = store.begin_step(&run.id, place, STEP, None, Some(token), engine.now()).await?;
    store.end_step(&run.id, number, &outcome, engine.now()).await?;
    let run = run.id;
    tracing::info!(%token, %run, "{token}: {}", domain::report::read_back(&found));
    Ok(())
}

async fn read_back(lane: &mut Lane<'_>) -> Result<(), Error> {
    step::sync::read_back(lane, ONCE).await?;
    step::remove::read_back(lane, ONCE).await?;
    Ok(())
}

/// The run that sent what is in flight: the last one that worked with the token, since each asks first.
async fn sent_by(engine: &Engine, token: &TokenName) -> Result<Option<Run>, Error> {
    let filter = RunFilter { token: Some(token.clone()), limit: 1, ..RunFilter::default() };
    let newest = engine.store.find_runs(filter).await?.pop();
    // It may be about to open its lane.
    Ok(newest.filter(|run| run.state != State::Running))
}

/// What was sent and never answered, by device.
#[derive(Default)]
struct Sent {
    /// The profile each was to get.
    assigned: BTreeMap<SerialNumber, ProfileId>,
    /// What was to be taken away from each.
    removed: BTreeMap<SerialNumber, Removal>,
}

impl Sent {
    async fn of(engine: &Engine, token: &TokenName) -> Result<Self, Error> {
        let assigned = engine.store.in_flight(token).await?.into_iter();
        let removed = engine.store.removals_in_flight(token).await?.into_iter();
        Ok(Self {
            assigned: assigned.map(|(action, profile, _)| (action.serial_number, profile)).collect(),
            removed: removed.map(|(action, what, _)| (action.serial_number, what)).collect(),
        })
    }

    fn is_nothing(&self) -> bool {
        self.assigned.is_empty() && self.removed.is_empty()
    }

    /// What came of it, by what is held of the devices now.
    async fn became(&self, engine: &Engine, token: &TokenName) -> Result<ReadBack, Error> {
        let still = Self::of(engine, token).await?;
        let is_still = |serial| still.assigned.contains_key(serial) || still.removed.contains_key(serial);
        let serials: Vec<SerialNumber> = self.assigned.keys().chain(self.removed.keys()).cloned().collect();
        let mut found = ReadBack { devices: serials.len() as u64, ..ReadBack::default() };
        let devices = engine.store.look_up(token, serials.clone()).await?;
        for serial in &serials {
            let on = devices.get(serial).map(|(_, candidate)| candidate.on.as_ref());
            let done = match (self.assigned.get(serial), self.removed.get(serial)) {
                (Some(profile), _) => on == Some(Some(profile)),
                (None, Some(Removal::Unassign)) => on == Some(None),
                (None, _) => on.is_none(),
            };
            match is_still(serial) {
                true => found.unknown += 1,
                false => found.done += u64::from(done),
            }
        }
        Ok(found)
    }
}
