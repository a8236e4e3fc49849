//! Makes profiles known to Apple ahead of the run that needs them.

use std::time::Duration;

use domain::id::{ProfileId, ProfileName, TokenName};
use domain::workflow::Retry;

use crate::engine::Engine;
use crate::failure::Error;
use crate::runner::nobody;
use crate::step::Lane;
use crate::step::apply::define_profile;
use crate::step::place::Places;
use crate::stop::Stopper;

/// What came of pushing a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Apple was told, and calls it so.
    Defined(ProfileId),
    /// Apple knew this content.
    Unchanged(ProfileId),
}

/// Defines profiles at Apple that are new or have changed. Each stands for itself.
pub async fn push(
    engine: &Engine,
    token: &TokenName,
    profiles: &[ProfileName],
) -> Vec<(ProfileName, Result<Pushed, Error>)> {
    let mut pushed = Vec::new();
    for profile in profiles {
        let outcome = push_one(engine, token, profile).await;
        pushed.push((profile.clone(), outcome));
    }
    pushed
}

async fn push_one(engine: &Engine, token: &TokenName, profile: &ProfileName) -> Result<Pushed, Error> {
    let (stopper, run, observer) = (Stopper::default(), engine.new_run_id(), nobody());
    let stop = stopper.listener();
    let _held = engine.hold_token(token, &stop).await?;
    let client = engine.client(token).await?;
    let lane = Lane {
        engine,
        run: &run,
        now: engine.now(),
        token: token.clone(),
        client,
        stop: &stop,
        observer: &observer,
        place: Places::new(1).take().await,
        read_back: 0,
    };
    // Apple answers a profile it dislikes with a 500: a few tries, not many.
    let retry = Retry { attempts: 2, backoff: Duration::from_secs(1) };
    Ok(match define_profile(&lane, profile, retry).await? {
        (id, true) => Pushed::Defined(id),
        (id, false) => Pushed::Unchanged(id),
    })
}
