//! What a person wants of some devices: a plan that was written to a file, devices named on the command
//! line, or an earlier run taken back.
//!
//! It says what each device was on when it was looked at. A device that is on something else by now was
//! touched by somebody, and then all of it is refused: what a person has seen is what is done, or nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Candidate, Entry, Planner, Profiles, Target};
use crate::id::{Digest, ProfileId, ProfileName, RunId, SerialNumber, WorkflowName};

/// What a person wants of the devices of one token.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Where it comes from.
    pub origin: Origin,
    /// Apple's id of the server it was made for, if that is to be the same.
    pub server: Option<String>,
    /// When the inventory was complete that it was made from, if that was not just now.
    pub made_at: Option<Timestamp>,
    /// The profiles it gives to devices, as they were when it was made.
    pub contents: BTreeMap<ProfileName, Digest>,
    /// Each device once.
    pub wishes: Vec<Wish>,
}

/// One device that is to get a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which device.
    pub serial_number: SerialNumber,
    /// The profile it was on when that was looked at.
    pub from: Option<ProfileId>,
    /// The profile it is to get.
    pub to: Target,
    /// Why.
    pub reason: Arc<str>,
}

/// Where the plan of a person comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Origin {
    /// A file, which a run of a workflow wrote.
    File {
        /// The run that made it.
        run: RunId,
        /// The workflow of that run.
        workflow: WorkflowName,
    },
    /// Serial numbers that were typed, or read from a list.
    Serials,
    /// A run that is taken back.
    Rollback {
        /// Which.
        run: RunId,
    },
}

/// How a device is not what it was when the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moved {
    /// The token does not have it any more.
    Gone,
    /// It had no profile, and somebody has given it one.
    Assigned,
    /// It is on another profile than the plan says.
    Elsewhere,
    /// Its profile was taken from it.
    Emptied,
}

/// What became of a profile since the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileChange {
    /// No file says it any more.
    Gone,
    /// Its file says something else.
    Content,
}

/// As many devices of a kind are named.
const NAMED: usize = 3;

/// Why the world is not the one that a plan was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outdated {
    /// Devices by how they moved on: how many, and the first of them.
    pub devices: BTreeMap<Moved, (u64, Vec<SerialNumber>)>,
    /// Profiles that are not what they were.
    pub profiles: BTreeMap<ProfileName, ProfileChange>,
    /// The token is of another server than the one the plan was made for.
    pub server: bool,
    /// Where the plan comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Planner<'_> {
    /// What becomes of a device that a person wants on a profile, as the device is now; or how it has moved
    /// on since that was wished.
    pub fn follow(&mut self, wish: &Wish, found: Option<&Candidate>) -> Result<Entry, Moved> {
        let Some(candidate) = found else { return Err(Moved::Gone) };
        let entry = self.to(candidate, wish.to.clone(), &wish.reason);
        // Where the plan wants it to be it may have come by whatever way.
        let right = candidate.on.as_ref().is_some_and(|on| self.is_there(on, &wish.to));
        if !right && candidate.on != wish.from {
            return Err(match (&wish.from, &candidate.on) {
                (_, None) => Moved::Emptied,
                (None, Some(_)) => Moved::Assigned,
                (Some(_), Some(_)) => Moved::Elsewhere,
            });
        }
        self.count(&entry);
        Ok(entry)
    }
}

impl Given {
    /// How the profiles are not what they were.
    pub fn profiles_changed(&self, profiles: &Profiles) -> BTreeMap<ProfileName, ProfileChange> {
        let changed = self.contents.iter().filter_map(|(name, digest)| {
            let change = match profiles.wanted.get(name) {
                Some(now) if now == digest => return None,
                Some(_) => ProfileChange::Content,
                None => ProfileChange::Gone,
            };
            Some((name.clone(), change))
        });
        changed.collect()
    }
}

impl Outdated {
    /// Nothing is other than it was.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Another device that is not what it was.
    pub fn add(&mut self, moved: Moved, serial: &SerialNumber) {
        let (devices, examples) = self.devices.entry(moved).or_default();
        *devices += 1;
        if examples.len() < NAMED {
            examples.push(serial.clone());
        }
    }

    /// How to have a plan for the world as it is now.
    pub fn hint(&self) -> String {
        match &self.origin {
            Some(Origin::File { workflow, .. }) => format!(
                "`deputy plan {workflow} --out FILE` makes the plan anew; look at it, then `deputy apply FILE`"
            ),
            Some(Origin::Rollback { run }) => {
                format!("`deputy runs rollback {run}` shows what can be taken back now")
            }
            Some(Origin::Serials) => "the same command again looks at the devices as they are now".to_owned(),
            None => "make the plan anew, and look at it".to_owned(),
        }
    }

    /// A line for each thing that is not what it was.
    pub fn lines(&self) -> Vec<String> {
        let server =
            self.server.then(|| "the token is of another server than the plan was made for".to_owned());
        let profiles = self.profiles.iter().map(|(name, change)| match change {
            ProfileChange::Gone => format!("there is no profile `{name}` any more"),
            ProfileChange::Content => format!("the profile `{name}` says something else now"),
        });
        let devices = self.devices.iter().map(|(moved, (devices, examples))| {
            let named: Vec<&str> = examples.iter().map(SerialNumber::as_str).collect();
            let such = if *devices == named.len() as u64 { ": " } else { ", such as " };
            let number = if *devices == 1 { "1 device".to_owned() } else { format!("{devices} devices") };
            format!("{number} {moved}{such}{}", named.join(", "))
        });
        server.into_iter().chain(profiles).chain(devices).collect()
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "not the token's any more",
            Self::Assigned => "given a profile by somebody since",
            Self::Elsewhere => "on another profile than the plan says",
            Self::Emptied => "without the profile that the plan says",
        })
    }
}
