//! What one run will do to the devices of one token.
//!
//! Every device is accounted for exactly once, as an action or as a skip, so that a report adds up.
//! Whether a device needs anything follows from its state alone, never from the event that brought
//! it to us. Rails count what the plan would do; breaking one holds up all of it, because half a
//! surprise is still a surprise.
//!
//! Devices are considered one at a time and nothing is kept of them but counts and a digest, so a plan
//! over a million devices needs no more memory than one over ten.

mod fingerprint;
mod given;
mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, ProfileId, ProfileName, SerialNumber};
use crate::pause::Pause;
use crate::rails::{Breach, Deed, Gauge, Rails};
use crate::verdict::{Decision, Verdict};

use fingerprint::Fingerprint;

pub use given::{Given, Moved, Origin, Outdated, ProfileChange, Wish};
pub use rollback::{Done, Left};

/// The profiles of one token: what the operator's files say now, and what Apple was ever told.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// By our label: the content wanted now.
    pub wanted: BTreeMap<ProfileName, Digest>,
    /// By Apple's id: our label and the content it was defined with.
    pub defined: BTreeMap<ProfileId, (ProfileName, Digest)>,
}

impl Profiles {
    /// A profile of Apple's in words: our name for it, or [`older`] where its file says something else now.
    pub fn in_words(&self, id: &ProfileId) -> String {
        match self.defined.get(id) {
            None => format!("{id} (not defined by us)"),
            Some((name, digest)) => match self.wanted.get(name) {
                Some(wanted) if wanted == digest => name.to_string(),
                Some(_) => older(name),
                None => format!("{name} (its file is gone)"),
            },
        }
    }
}

/// A profile of this name that says something else than its file does now.
pub fn older(name: impl fmt::Display) -> String {
    format!("an older {name}")
}

/// What the planner looks at of one device.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which device.
    pub serial_number: SerialNumber,
    /// The profile it is on.
    pub on: Option<ProfileId>,
    /// Apple would not assign it, and until when it is left alone.
    pub pause: Option<Pause>,
    /// It was sent in an earlier run, and nobody knows yet what became of it.
    pub in_flight: bool,
    /// What the policy said, if it was asked for this plan.
    pub verdict: Option<Verdict>,
    /// A policy that was asked for an earlier plan of the same run has decided about it.
    pub decided_before: bool,
}

/// What becomes of one device in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It gets a profile.
    Action(Action),
    /// It is left alone.
    Skip(Skip),
}

/// A device gets a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Which device.
    pub serial_number: SerialNumber,
    /// The profile it gets.
    pub to: Target,
    /// The profile it has; none for a first assignment.
    pub from: Option<ProfileId>,
    /// The reason of the policy, or of a person.
    pub reason: Arc<str>,
}

/// A profile that devices get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One of ours, as its file says now. Apple is told first, if it was not.
    Ours(ProfileName),
    /// This very profile of Apple's, whatever our files say.
    Exactly {
        /// Apple's id of it.
        id: ProfileId,
        /// Our name for it, if it was ever ours.
        name: Option<ProfileName>,
    },
}

/// Why a device is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// It has the profile it should have.
    AlreadyRight,
    /// The policy wants it left as it is.
    Held,
    /// The policy failed on it.
    Fault,
    /// It is none of the policy's business.
    Ignored,
    /// Apple would not assign it lately.
    Waiting,
    /// An earlier run sent it, and Apple has not said what became of it.
    InFlight,
    /// The policy has not seen it yet; the next run asks.
    Undecided,
    /// An earlier plan of the same run is about it.
    Before,
    /// It is not in what a person asked for.
    NotNamed,
}

/// The numbers of a plan. They add up to every device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// All devices looked at.
    pub devices: u64,
    /// Devices that get their first profile.
    pub first_assignments: u64,
    /// Devices that get another profile.
    pub reassignments: u64,
    /// Devices left alone, by why.
    pub skips: BTreeMap<Skip, u64>,
    /// Devices that get a profile, by profile.
    pub by_profile: BTreeMap<ProfileName, u64>,
    /// Profiles to define at Apple first: new, or changed since.
    pub defines: BTreeSet<ProfileName>,
}

/// A plan that has considered every device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Its numbers.
    pub totals: Totals,
    /// Every rail it breaks.
    pub breaches: Vec<Breach>,
    /// The digest of all it does, and in what wording.
    pub digest: Digest,
    /// The digests of the profiles it gives to devices.
    pub contents: BTreeMap<ProfileName, Digest>,
}

/// Turns what is, and what is wanted, into what to do, one device at a time.
#[derive(Debug)]
pub struct Planner<'a> {
    profiles: &'a Profiles,
    now: Timestamp,
    /// Profiles whose present content Apple knows.
    ready: BTreeSet<&'a ProfileName>,
    totals: Totals,
    gauge: Gauge<'a>,
    fingerprint: Fingerprint,
}

impl<'a> Planner<'a> {
    /// A planner that has seen no device yet.
    pub fn new(profiles: &'a Profiles, rails: &'a Rails, now: Timestamp) -> Self {
        let defined = profiles.defined.values();
        let ready =
            defined.filter(|(name, digest)| profiles.wanted.get(name) == Some(digest)).map(|(name, _)| name);
        let ready = ready.collect();
        let (totals, gauge) = (Totals::default(), Gauge::new(rails));
        Self { profiles, now, ready, totals, gauge, fingerprint: Fingerprint::default() }
    }

    /// What becomes of this device, by its verdict.
    pub fn consider(&mut self, candidate: &Candidate) -> Entry {
        let entry = self.entry(candidate);
        self.count(&entry);
        entry
    }

    /// So many devices that nobody looks at are left alone.
    pub fn leave(&mut self, devices: u64, skip: Skip) {
        if devices > 0 {
            self.totals.devices += devices;
            *self.totals.skips.entry(skip).or_default() += devices;
        }
    }

    /// The plan as a whole.
    pub fn finish(self) -> Drawn {
        let Self { mut totals, gauge, fingerprint, .. } = self;
        (totals.first_assignments, totals.reassignments) = gauge.assignments();
        let breaches = gauge.breaches(totals.devices);
        let (digest, contents) = fingerprint.finish(self.profiles);
        Drawn { totals, breaches, digest, contents }
    }

    /// Why every device on `on` of which the policy said this is left alone, whatever else is known of it; none if
    /// each of them has to be looked at. Most devices are right, at every run, and are only counted.
    pub fn skips_all(
        &self,
        on: Option<&ProfileId>,
        verdict: Option<&Verdict>,
        decided_before: bool,
    ) -> Option<Skip> {
        self.wanted(on, verdict, decided_before).err()
    }

    fn entry(&self, candidate: &Candidate) -> Entry {
        match self.wanted(candidate.on.as_ref(), candidate.verdict.as_ref(), candidate.decided_before) {
            Err(skip) => Entry::Skip(skip),
            Ok((profile, reason)) => self.to(candidate, Target::Ours(profile.clone()), reason),
        }
    }

    /// The profile that a device lacks, and why it is to get it.
    fn wanted<'v>(
        &self,
        on: Option<&ProfileId>,
        verdict: Option<&'v Verdict>,
        decided_before: bool,
    ) -> Result<(&'v ProfileName, &'v Arc<str>), Skip> {
        if decided_before {
            return Err(Skip::Before);
        }
        let verdict = verdict.ok_or(Skip::Undecided)?;
        let profile = match &verdict.decision {
            // What a workflow gives to devices that the policy fails on is for those without a profile.
            Decision::Assign { profile } if verdict.fault && on.is_none() => profile,
            _ if verdict.fault => return Err(Skip::Fault),
            Decision::Hold { .. } => return Err(Skip::Held),
            Decision::Ignore => return Err(Skip::Ignored),
            Decision::Assign { profile } => profile,
        };
        if on.is_some_and(|on| self.is_current(on, profile)) {
            return Err(Skip::AlreadyRight);
        }
        Ok((profile, &verdict.reason))
    }

    /// What becomes of a device that is to get this profile.
    fn to(&self, candidate: &Candidate, to: Target, reason: &Arc<str>) -> Entry {
        if candidate.on.as_ref().is_some_and(|on| self.is_there(on, &to)) {
            return Entry::Skip(Skip::AlreadyRight);
        }
        if candidate.in_flight {
            return Entry::Skip(Skip::InFlight);
        }
        if candidate.pause.is_some_and(|pause| pause.is_on(self.now)) {
            return Entry::Skip(Skip::Waiting);
        }
        Entry::Action(Action {
            serial_number: candidate.serial_number.clone(),
            to,
            from: candidate.on.clone(),
            reason: reason.clone(),
        })
    }

    /// A device on Apple's profile `on` has what it is to get.
    fn is_there(&self, on: &ProfileId, to: &Target) -> bool {
        match to {
            Target::Ours(name) => self.is_current(on, name),
            Target::Exactly { id, .. } => on == id,
        }
    }

    /// Apple's profile `on` is what the file of `wanted` says now.
    fn is_current(&self, on: &ProfileId, wanted: &ProfileName) -> bool {
        let defined = self.profiles.defined.get(on);
        defined
            .is_some_and(|(name, digest)| name == wanted && self.profiles.wanted.get(wanted) == Some(digest))
    }

    fn count(&mut self, entry: &Entry) {
        self.totals.devices += 1;
        let action = match entry {
            Entry::Skip(skip) => return *self.totals.skips.entry(*skip).or_default() += 1,
            Entry::Action(action) => action,
        };
        if let Some(name) = action.to.name() {
            match self.totals.by_profile.get_mut(name) {
                Some(devices) => *devices += 1,
                None => {
                    self.totals.by_profile.insert(name.clone(), 1);
                }
            }
        }
        if let Target::Ours(name) = &action.to
            && !self.ready.contains(name)
            && !self.totals.defines.contains(name)
        {
            self.totals.defines.insert(name.clone());
        }
        let deed = match &action.from {
            None => Deed::First,
            Some(from) => Deed::Move(self.profiles.defined.get(from).map(|(name, _)| name)),
        };
        self.gauge.count(&action.serial_number, deed);
        self.fingerprint.add(action);
    }
}

impl Target {
    /// Our name for it, if we have one.
    pub fn name(&self) -> Option<&ProfileName> {
        match self {
            Self::Ours(name) => Some(name),
            Self::Exactly { name, .. } => name.as_ref(),
        }
    }
}

impl Totals {
    /// How many devices the plan changes.
    pub fn actions(&self) -> u64 {
        self.first_assignments + self.reassignments
    }

    /// How many devices are left alone for this reason.
    pub fn skipped(&self, skip: Skip) -> u64 {
        self.skips.get(&skip).copied().unwrap_or(0)
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyRight => "already right",
            Self::Held => "held by the policy",
            Self::Fault => "held because the policy failed",
            Self::Ignored => "ignored by the policy",
            Self::Waiting => "waiting, after a refusal",
            Self::InFlight => "in flight, to be settled first",
            Self::Undecided => "not decided yet",
            Self::Before => "of an earlier plan",
            Self::NotNamed => "not asked for",
        })
    }
}

#[cfg(test)]
mod tests;
