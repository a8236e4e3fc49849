//! Works out what to do, and records it before any of it is done.

use domain::plan::{Profiles, Rails, Refused};

use super::Lane;
use crate::failure::Error;
use crate::store::{RecordedPlan, Verdicts};

pub(crate) async fn plan(
    lane: &Lane<'_>,
    rails: &Rails,
    verdicts: Verdicts,
) -> Result<Result<RecordedPlan, Refused>, Error> {
    let (store, profiles) = (&lane.engine.store, profiles(lane).await?);
    Ok(store.record_plan(lane.run, &lane.token, profiles, rails.clone(), verdicts, lane.now).await?)
}

/// What the files say, and what Apple was told.
pub(super) async fn profiles(lane: &Lane<'_>) -> Result<Profiles, Error> {
    let files = lane.engine.settings.profiles.iter();
    Ok(Profiles {
        wanted: files.map(|(name, definition)| (name.clone(), definition.digest.clone())).collect(),
        defined: lane.engine.store.defined_profiles(&lane.token).await?,
    })
}
