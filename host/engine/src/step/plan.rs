//! Works out what to do, and records it before any of it is done.

use domain::plan::{Profiles, Rails, Refused};

use super::Lane;
use crate::failure::Error;
use crate::store::RecordedPlan;

pub(crate) async fn plan(lane: &Lane<'_>, rails: &Rails) -> Result<Result<RecordedPlan, Refused>, Error> {
    let store = &lane.engine.store;
    let files = lane.engine.settings.profiles.iter();
    let profiles = Profiles {
        wanted: files.map(|(name, definition)| (name.clone(), definition.digest.clone())).collect(),
        defined: store.defined_profiles(&lane.token).await?,
    };
    Ok(store.record_plan(lane.run, &lane.token, profiles, rails.clone(), lane.now).await?)
}
