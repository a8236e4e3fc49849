//! A device as Apple describes it, and how a change Apple reports is folded into what we knew.
//!
//! The invariant: what Apple says about a device is kept apart from what we did to it. Apple's
//! lists lag behind an assignment, sometimes by minutes, so our own success counts until Apple
//! says something newer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{ProfileId, SerialNumber};

/// One device of a token, as Apple describes it. Only the serial number is certain to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The key Apple and we use for it.
    pub serial_number: SerialNumber,
    /// Marketing family, such as `MacBook Pro`.
    pub model: Option<String>,
    /// Free text of Apple's, such as `MBP 14.2 SPACE BLACK/M4/16GB/512GB-GBR`.
    pub description: Option<String>,
    /// Upper-case text, such as `SPACE BLACK`.
    pub color: Option<String>,
    /// What the reseller engraved or entered; mostly absent.
    pub asset_tag: Option<String>,
    /// `iOS`, `iPadOS`, `OSX`, `tvOS` or `visionOS`.
    pub os: Option<String>,
    /// `iPad`, `iPhone`, `iPod`, `Mac`, `AppleTV` or `Vision`.
    pub device_family: Option<String>,
    /// Where the device is on its way to a profile. A device without the field has none.
    pub profile_status: ProfileStatus,
    /// The profile it has, or had: a `removed` device may still name the old one.
    pub profile_uuid: Option<ProfileId>,
    /// When the profile was assigned, by Apple's clock.
    pub profile_assign_time: Option<Timestamp>,
    /// When the device fetched its profile.
    pub profile_push_time: Option<Timestamp>,
    /// Who gave the device to this server: an e-mail address, or `-1` for Apple's own rules.
    pub device_assigned_by: Option<String>,
    /// When the device was given to this server.
    pub device_assigned_date: Option<Timestamp>,
    /// What Apple said besides, as text by name: fields of newer protocol versions.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

impl Device {
    /// A device of which nothing but the serial number is known.
    pub fn new(serial_number: SerialNumber) -> Self {
        Self {
            serial_number,
            model: None,
            description: None,
            color: None,
            asset_tag: None,
            os: None,
            device_family: None,
            profile_status: ProfileStatus::Empty,
            profile_uuid: None,
            profile_assign_time: None,
            profile_push_time: None,
            device_assigned_by: None,
            device_assigned_date: None,
            extra: BTreeMap::new(),
        }
    }

    /// The profile the device has now, by Apple's word. The id alone does not tell: a device
    /// whose profile was removed keeps naming it.
    pub fn profile(&self) -> Option<&ProfileId> {
        match self.profile_status {
            ProfileStatus::Assigned | ProfileStatus::Pushed => self.profile_uuid.as_ref(),
            ProfileStatus::Empty | ProfileStatus::Removed => None,
        }
    }
}

/// Apple's `profile_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileStatus {
    /// Never had a profile on this server.
    Empty,
    /// Has one that the device has not fetched yet.
    Assigned,
    /// The device has fetched it.
    Pushed,
    /// Had one; it was removed, by us, by Apple or by a move between servers.
    Removed,
}

impl ProfileStatus {
    /// Apple's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Assigned => "assigned",
            Self::Pushed => "pushed",
            Self::Removed => "removed",
        }
    }

    /// From Apple's word; a word Apple invents later counts as no profile, so that the device is
    /// looked at rather than forgotten.
    pub fn from_apple(word: &str) -> Self {
        match word {
            "assigned" => Self::Assigned,
            "pushed" => Self::Pushed,
            "removed" => Self::Removed,
            _ => Self::Empty,
        }
    }
}

/// Apple's opaque bookmark in the stream of changes. At most 1,000 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);

/// What one request for devices returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The devices, oldest operation first.
    pub changes: Vec<Change>,
    /// Replaces the cursor that was sent. Absent when Apple sent none: then the old one stands.
    pub cursor: Option<Cursor>,
    /// There is more to ask for at once.
    pub more_to_follow: bool,
}

/// One device in a page, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What Apple says of it.
    pub device: Device,
    /// Added, modified, deleted; `Listed` in a full fetch, which gives no reason.
    pub kind: ChangeKind,
    /// When it happened, by Apple's clock; absent in a full fetch.
    pub at: Option<Timestamp>,
}

/// Why a device is in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Part of a full fetch.
    Listed,
    /// `op_type` `added`. Says nothing about whether we knew the device.
    Added,
    /// `op_type` `modified`.
    Modified,
    /// `op_type` `deleted`: no longer this server's device.
    Deleted,
}
