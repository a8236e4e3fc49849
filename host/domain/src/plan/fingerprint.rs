//! The digest of what a plan does, made as the plan is.

use std::collections::{BTreeMap, BTreeSet};

use sha2::Digest as _;

use super::{Action, Profiles, Target};
use crate::id::{Digest, ProfileId, ProfileName};

/// Which devices go from which profile to which, action by action in the order of the inventory, and in
/// what wording. Another plan has another digest; the same plan, made again, the same. Reasons are words
/// about a plan and not part of it.
#[derive(Debug, Default)]
pub(super) struct Fingerprint {
    used: BTreeSet<ProfileName>,
    hash: sha2::Sha256,
}

impl Fingerprint {
    /// The next device.
    pub(super) fn add(&mut self, action: &Action) {
        let mut word = |word: &str| {
            self.hash.update(word);
            self.hash.update(b" ");
        };
        word(action.serial_number.as_str());
        word(action.from.as_ref().map_or("-", ProfileId::as_str));
        match &action.to {
            Target::Ours(name) => word(name.as_str()),
            // No name of ours begins so.
            Target::Exactly { id, .. } => {
                word("=");
                word(id.as_str());
            }
        }
        self.hash.update(b"\n");
        if let Target::Ours(name) = &action.to
            && !self.used.contains(name)
        {
            self.used.insert(name.clone());
        }
    }

    /// The digest of all of it, and those of the profiles in it. Their wording counts: the same name for
    /// something else is another plan.
    pub(super) fn finish(mut self, profiles: &Profiles) -> (Digest, BTreeMap<ProfileName, Digest>) {
        let known = |name: ProfileName| Some((name.clone(), profiles.wanted.get(&name)?.clone()));
        for name in &self.used {
            let wording = profiles.wanted.get(name).map_or("-", Digest::as_str);
            self.hash.update(format!("{name} {wording}\n"));
        }
        let hex: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = hex.parse().expect("a SHA-256 has 64 hexadecimal digits");
        (digest, self.used.into_iter().filter_map(known).collect())
    }
}
