//! What happened to a device, as far as Apple told: what changed, from what to what.
//!
//! What we did to it is recorded with the actions of runs. So the echo of an assignment of ours, the
//! change that Apple reports because we made it, is no news. It is kept all the same, in short: from
//! what a device is, what happened since and what we did follows what it was at any time ([`past`]).

mod past;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::device::{Device, Known, ProfileStatus};
use crate::id::{ProfileId, RunId};

pub use past::{Past, as_of};

/// One thing that happened to a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastChange {
    /// What.
    pub kind: PastKind,
    /// When we learned of it.
    pub seen_at: Timestamp,
    /// In which run.
    pub run: RunId,
    /// When it happened, by Apple's clock; a full fetch gives no time.
    pub at: Option<Timestamp>,
    /// What is different, and is news.
    pub fields: Vec<FieldChange>,
    /// The profile by Apple's word until then, if the rest of the change is the echo of what we did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ProfileState>,
    /// Our own assignment counted until then, and no longer: Apple's word does.
    #[serde(default, skip_serializing)]
    pub ended: bool,
}

/// What Apple says of a device's profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileState {
    /// Where the device is on its way to it.
    #[serde(default, skip_serializing_if = "ProfileState::is_empty")]
    pub status: ProfileStatus,
    /// Which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<ProfileId>,
    /// When it was assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Timestamp>,
    /// When the device fetched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Timestamp>,
}

impl ProfileState {
    /// That of a device.
    pub fn of(device: &Device) -> Self {
        Self {
            status: device.profile_status,
            uuid: device.profile_uuid.clone(),
            assigned: device.profile_assign_time,
            pushed: device.profile_push_time,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it asks about by reference")]
    fn is_empty(status: &ProfileStatus) -> bool {
        *status == ProfileStatus::Empty
    }
}

/// What can happen to a device at Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PastKind {
    /// Listed for the first time.
    Added,
    /// Apple says something else of it.
    Changed,
    /// No longer this server's device.
    Gone,
    /// Listed again after it had gone.
    Returned,
    /// Apple shows what we did, and nothing else is different.
    Shown,
    /// Apple goes on showing what was before we assigned a profile, for so long that its word counts.
    NotShown,
    /// Our own doing alone, as Apple has it by its answer: a profile was taken away.
    Done,
}

/// One field that is different. Times are written as Apple writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Apple's name for it.
    pub field: String,
    /// What it was; none if it was not there.
    pub from: Option<String>,
    /// What it is now; none if it is not there any more.
    pub to: Option<String>,
}

impl PastKind {
    /// The word for it, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Returned => "returned",
            Self::Shown => "shown",
            Self::NotShown => "not-shown",
            Self::Done => "done",
        }
    }
}

impl std::str::FromStr for PastKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all =
            [Self::Added, Self::Changed, Self::Gone, Self::Returned, Self::Shown, Self::NotShown, Self::Done];
        all.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// What Apple says now that it did not say before, without the echo of our own assignment. And what it
/// said of the profile before, if there was such an echo.
pub fn news(held: &Known, now: &Device) -> (Vec<FieldChange>, Option<ProfileState>) {
    let mut news = differences(&held.device, now);
    let all = news.len();
    let echo = |ours: &ProfileId| held.device.profile() != Some(ours) && now.profile() == Some(ours);
    if held.ours.as_ref().is_some_and(|ours| echo(&ours.profile)) {
        // A device that has fetched the profile already says more than we did.
        let pushed = now.profile_push_time.is_some();
        news.retain(|change| match change.field.as_str() {
            "profile_uuid" | "profile_assign_time" => false,
            "profile_status" => pushed,
            _ => true,
        });
    }
    let before = (news.len() < all).then(|| ProfileState::of(&held.device));
    (news, before)
}

/// Every field in which two descriptions of a device differ, by Apple's names.
pub fn differences(before: &Device, after: &Device) -> Vec<FieldChange> {
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let (from, to) = (before.get(name).cloned(), after.get(name).cloned());
        (from != to).then(|| FieldChange { field: name.clone(), from, to })
    };
    names.into_iter().filter_map(change).collect()
}

/// A device as texts by Apple's names, without what is not there.
pub fn fields(device: &Device) -> BTreeMap<String, String> {
    let Device {
        serial_number: _,
        model,
        description,
        color,
        asset_tag,
        os,
        device_family,
        profile_status,
        profile_uuid,
        profile_assign_time,
        profile_push_time,
        device_assigned_by,
        device_assigned_date,
        extra,
    } = device;
    let mut fields = extra.clone();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    set("model", model.clone());
    set("description", description.clone());
    set("color", color.clone());
    set("asset_tag", asset_tag.clone());
    set("os", os.clone());
    set("device_family", device_family.clone());
    set("profile_status", Some(profile_status.as_str().to_owned()));
    set("profile_uuid", profile_uuid.as_ref().map(ToString::to_string));
    set("profile_assign_time", profile_assign_time.map(|time| time.to_string()));
    set("profile_push_time", profile_push_time.map(|time| time.to_string()));
    set("device_assigned_by", device_assigned_by.clone());
    set("device_assigned_date", device_assigned_date.map(|time| time.to_string()));
    fields
}

/// Whether a policy that is told these fields of devices is told this one of [`fields`].
pub fn is_told(device: &Device, told: &[String], field: &str) -> bool {
    let is = |name: &str| told.iter().any(|it| it == name);
    match field {
        "profile_status" => true,
        // By Apple's id, or by our name for it.
        "profile_uuid" => is("profile_uuid") || is("current_profile"),
        _ => is(field) || (is("extra") && device.others().any(|(name, _)| name == field)),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::device::Assignment;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    /// A device from `FIELD=VALUE` words.
    fn device(words: &str) -> Device {
        let mut device = Device::new("C02AA".parse().unwrap());
        for (name, value) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
            let text = Some(value.to_owned());
            match name {
                "color" => device.color = text,
                "status" => device.profile_status = crate::device::ProfileStatus::from_apple(value),
                "uuid" => device.profile_uuid = Some(value.parse().unwrap()),
                "pushed" => device.profile_push_time = Some(value.parse().unwrap()),
                _ => drop(device.extra.insert(name.to_owned(), value.to_owned())),
            }
        }
        device
    }

    #[track_caller]
    fn check(before: &str, ours: Option<&str>, after: &str, expected: Expect) {
        let ours = ours.map(|id| Assignment { profile: id.parse().unwrap(), at: Timestamp::UNIX_EPOCH });
        let held = Known { device: device(before), gone: false, ours, changed_at: None, pause: None };
        let (found, before) = news(&held, &device(after));
        assert_eq!(before.is_some(), found.len() < differences(&held.device, &device(after)).len());
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let lines = found.iter().map(|it| format!("{}: {} > {}\n", it.field, word(&it.from), word(&it.to)));
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn a_change_says_from_what_to_what() {
        check(
            "color=RED eid=89",
            None,
            "color=BLUE meid=7",
            expect![[r#"
                color: RED > BLUE
                eid: 89 > -
                meid: - > 7
            "#]],
        );
    }

    #[test]
    fn the_echo_of_our_assignment_is_no_news() {
        check("status=empty", Some(A), &format!("status=assigned uuid={A}"), expect![""]);
        check(
            "status=empty color=RED",
            Some(A),
            &format!("status=assigned uuid={A} color=BLUE"),
            expect![[r#"
                color: RED > BLUE
            "#]],
        );
    }

    #[test]
    fn that_the_device_has_fetched_our_profile_is_news() {
        check(
            "status=empty",
            Some(A),
            &format!("status=pushed uuid={A} pushed=2026-01-09T09:00:00Z"),
            expect![[r#"
                profile_push_time: - > 2026-01-09T09:00:00Z
                profile_status: empty > pushed
            "#]],
        );
    }

    #[test]
    fn an_assignment_of_somebody_else_is_news() {
        check(
            "status=empty",
            None,
            &format!("status=assigned uuid={A}"),
            expect![[r#"
                profile_status: empty > assigned
                profile_uuid: - > AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
            "#]],
        );
    }

    #[test]
    fn a_policy_is_told_the_fields_it_reads_and_the_profile_status() {
        let device = device(&format!("color=red status=assigned uuid={A} eid=7 shelf=4"));
        let told = |reads: &[&str]| {
            let reads: Vec<String> = reads.iter().map(|field| (*field).to_owned()).collect();
            let fields = fields(&device).into_keys().filter(|field| is_told(&device, &reads, field));
            fields.collect::<Vec<_>>().join(" ")
        };
        expect!["profile_status"].assert_eq(&told(&[]));
        expect!["color eid profile_status"].assert_eq(&told(&["color", "eid", "serial_number"]));
        expect!["profile_status profile_uuid"].assert_eq(&told(&["current_profile"]));
        // What has a name in the contract is none of the others.
        expect!["profile_status shelf"].assert_eq(&told(&["extra"]));
    }
}
