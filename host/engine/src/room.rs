//! Whether the disk of the store has room for a run.
//!
//! A store whose disk is full can note nothing any more, not even what was sent. So a run that would begin on
//! a disk that is nearly full does nothing, and says so while there is still room to say it.

use domain::run::{Failure, State};

use crate::engine::Engine;

/// So much has to be free, unless the operator says otherwise.
pub const MIN_FREE: u64 = 64 << 20;

impl Engine {
    /// Why no run should begin, if the disk is nearly full.
    pub(crate) fn short_of_room(&self) -> Option<Failure> {
        let folder = self.store.path().parent()?;
        let needed = self.settings.min_free;
        let disk = rustix::fs::statvfs(folder)
            .inspect_err(|error| tracing::debug!("what is free at {} is unknown: {error}", folder.display()))
            .ok()?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        (free < needed).then(|| {
            Failure {
            error: format!(
                "the disk of {} has {} MiB free, and a run wants {} MiB; nothing was done",
                folder.display(),
                free >> 20,
                needed >> 20
            ),
            hint: Some(
                "make room there; what Deputy forgets, and when, `[keep]` in deputy.toml says; `min_free` of \
                 `[store]` is how much a run wants"
                    .to_owned(),
            ),
            state: State::NeedsPerson,
            at_limit: false,
        }
        })
    }
}
