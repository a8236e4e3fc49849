//! Makes profiles known to Apple ahead of the run that needs them, and lays what there is of one side by
//! side: the file, what was sent, what Apple keeps.

use std::time::Duration;

use domain::id::{ProfileId, ProfileName, TokenName};
use domain::workflow::Retry;
use serde_json::{Map, Value};

use crate::apple;
use crate::engine::Engine;
use crate::failure::Error;
use crate::runner::{About, nobody};
use crate::step::Lane;
use crate::step::apply::define_profile;
use crate::step::place::Places;
use crate::stop::Stopper;
use crate::store::Defined;

/// What came of pushing a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Apple was told, and calls it so.
    Defined(ProfileId),
    /// Apple knew this content.
    Unchanged(ProfileId),
}

/// What there is of a profile for one token.
#[derive(Clone, Debug)]
pub struct Copies {
    /// The definition that the file's content has, or, if it has none yet, the newest.
    pub defined: Option<Defined>,
    /// Apple's copy of it; none if Apple does not know it.
    pub apple: Option<Map<String, Value>>,
}

/// What Deputy has on record of a profile, and Apple's copy of that.
pub async fn copies(engine: &Engine, token: &TokenName, profile: &ProfileName) -> Result<Copies, Error> {
    let mut definitions = engine.store.definitions(token, profile).await?;
    let digest = engine.settings.profiles.get(profile).map(|definition| &definition.digest);
    let current = definitions.iter().position(|it| Some(&it.digest) == digest).unwrap_or_default();
    let defined = (!definitions.is_empty()).then(|| definitions.swap_remove(current));
    let apple = match &defined {
        Some(defined) => apples_copy(engine, token, &defined.id).await?,
        None => None,
    };
    Ok(Copies { defined, apple })
}

/// Apple's copy of a profile; none if Apple does not know it.
pub async fn apples_copy(
    engine: &Engine,
    token: &TokenName,
    id: &ProfileId,
) -> Result<Option<Map<String, Value>>, Error> {
    match engine.client(token).await?.profile(id).await {
        Ok(Value::Object(profile)) => Ok(Some(profile)),
        Ok(_) | Err(apple::Error::ProfileUnknown { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Defines profiles at Apple that are new or have changed. Each stands for itself.
pub async fn push(
    engine: &Engine,
    token: &TokenName,
    profiles: &[ProfileName],
    despite_freeze: bool,
) -> Vec<(ProfileName, Result<Pushed, Error>)> {
    let mut pushed = Vec::new();
    for profile in profiles {
        let outcome = push_one(engine, token, profile, despite_freeze).await;
        pushed.push((profile.clone(), outcome));
    }
    pushed
}

async fn push_one(
    engine: &Engine,
    token: &TokenName,
    profile: &ProfileName,
    despite_freeze: bool,
) -> Result<Pushed, Error> {
    let (stopper, run, observer) = (Stopper::default(), engine.new_run_id(), nobody());
    let stop = stopper.listener();
    let _held = engine.hold_token(token, &stop).await?;
    let (known, client) = engine.token_and_client(token).await?;
    let lane = Lane {
        engine,
        run: &run,
        now: engine.now(),
        about: &About::no_workflow(despite_freeze),
        token: token.clone(),
        imported_at: known.imported_at,
        client,
        stop: stop.clone(),
        observer: &observer,
        place: Places::new(1).take(&stop).await,
        read_back: 0,
    };
    // Apple answers a profile it dislikes with a 500: a few tries, not many.
    let retry = Retry { attempts: 2, backoff: Duration::from_secs(1) };
    Ok(match define_profile(&lane, profile, retry).await? {
        (id, true) => Pushed::Defined(id),
        (id, false) => Pushed::Unchanged(id),
    })
}
