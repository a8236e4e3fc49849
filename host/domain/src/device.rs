//! A device as Apple describes it, and how a change Apple reports is folded into what we knew.
//!
//! The invariant: what Apple says about a device is kept apart from what we did to it. Apple's
//! lists lag behind an assignment, sometimes by minutes, so our own success counts until Apple
//! says something newer.

mod younger;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{ProfileId, SerialNumber};
use crate::pause::Pause;

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
    /// What Apple said besides, as text by name: fields of newer protocol versions. There are methods for those
    /// we know, such as [`Device::imei`].
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileStatus {
    /// Never had a profile on this server.
    #[default]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// What the store holds of one device: Apple's word, and ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What Apple last said of it.
    pub device: Device,
    /// Apple no longer lists it for this token.
    pub gone: bool,
    /// Our last assignment that Apple confirmed, until Apple says something newer.
    pub ours: Option<Assignment>,
    /// When Apple's last word on it was true, by Apple's clock; unknown after a full fetch.
    pub changed_at: Option<Timestamp>,
    /// Since when, and for how long, it is left alone because Apple would not assign it; kept after
    /// its end, until something goes well.
    pub pause: Option<Pause>,
}

/// A profile we assigned, and Apple's `SUCCESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The profile.
    pub profile: ProfileId,
    /// When Apple answered.
    pub at: Timestamp,
}

impl Known {
    /// The profile the device is on, as far as anybody knows.
    pub fn on(&self) -> Option<&ProfileId> {
        self.ours.as_ref().map_or_else(|| self.device.profile(), |ours| Some(&ours.profile))
    }

    /// The device as it is, as far as anybody knows: Apple's last word, and over it what we did since.
    /// Policies see it so, or they would decide about profiles that we have replaced.
    pub fn present(self) -> Device {
        let Self { mut device, ours, .. } = self;
        if let Some(Assignment { profile, at }) = ours
            && device.profile() != Some(&profile)
        {
            device.profile_uuid = Some(profile);
            device.profile_status = ProfileStatus::Assigned;
            device.profile_assign_time = Some(at);
            device.profile_push_time = None;
        }
        device
    }
}

/// For how long Apple's full list may still show the state before an assignment. Minutes were seen.
const LAG: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// What a change made of a device we hold, or hold now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// We did not have it, or it had gone.
    New,
    /// Apple says something else of it now.
    Changed,
    /// It left this server.
    Gone,
    /// Nothing new; or older than what we hold; or left before we ever had it.
    Same,
}

/// Folds what Apple says into what we hold of a device.
///
/// Of two records the later counts. Within one second the later in the stream does, except that
/// nothing takes back a deletion but an `added`. Our own assignment outlives a record that merely
/// repeats the state before it, because Apple's lists lag; but not for ever. `now` is when Apple said it.
pub fn fold(held: Option<&Known>, change: Change, now: Timestamp) -> (Known, Folded) {
    let gone = change.kind == ChangeKind::Deleted;
    let Some(held) = held else {
        let known = Known { device: change.device, gone, ours: None, changed_at: change.at, pause: None };
        return (known, if gone { Folded::Same } else { Folded::New });
    };
    if let (Some(now), Some(then)) = (change.at, held.changed_at) {
        let undeletes = held.gone && change.kind == ChangeKind::Modified;
        if now < then || (now == then && undeletes) {
            return (held.clone(), Folded::Same);
        }
    }
    let moved =
        |a: &Device, b: &Device| (a.profile_status, &a.profile_uuid) != (b.profile_status, &b.profile_uuid);
    let newer_than_ours = |ours: &Assignment| match change.at {
        Some(at) => at > ours.at,
        // A full fetch gives no date. After an hour it does not lag any more.
        None => now.duration_since(ours.at) > LAG,
    };
    let ours = held.ours.as_ref();
    let ours =
        ours.filter(|ours| !moved(&held.device, &change.device) && !newer_than_ours(ours) && !gone).cloned();
    let folded = match (held.gone, gone) {
        (false, true) => Folded::Gone,
        (true, false) => Folded::New,
        (true, true) => Folded::Same,
        (false, false) if held.device == change.device => Folded::Same,
        (false, false) => Folded::Changed,
    };
    // Apple's wish to be left alone outlives a change of colour, not a departure or an arrival.
    let stayed = matches!(folded, Folded::Same | Folded::Changed) && change.kind != ChangeKind::Added;
    let pause = held.pause.filter(|_| stayed);
    let changed_at = change.at.or(held.changed_at);
    let device = if gone { parted(&held.device, change.device) } else { change.device };
    (Known { device, gone, ours, changed_at, pause }, folded)
}

/// A device that left, as it was: the record of its departure says next to nothing, except why.
fn parted(held: &Device, record: Device) -> Device {
    let mut device = held.clone();
    device.extra.extend(record.extra);
    device
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

    /// Folds changes in order: `KIND[@SECOND] STATUS [A|B]`, `;` between; `assign A@SECOND` is ours; `later` is two hours on.
    #[track_caller]
    fn check(story: &str, expected: Expect) {
        let at = |second: &str| Timestamp::from_second(second.parse().unwrap()).unwrap();
        let profile = |letter: &str| if letter.starts_with('A') { A } else { B }.parse().unwrap();
        let mut now = at("10");
        let mut held: Option<Known> = None;
        let mut found = String::new();
        for line in story.split(';').map(str::trim) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words[0] == "later" {
                now = at("7200");
                continue;
            }
            if words[0] == "assign" {
                let (letter, second) = words[1].split_once('@').unwrap();
                held.as_mut().unwrap().ours = Some(Assignment { profile: profile(letter), at: at(second) });
                continue;
            }
            let (kind, second) = words[0].split_once('@').unwrap_or((words[0], ""));
            let mut device = Device::new("C02AA".parse().unwrap());
            device.profile_status = ProfileStatus::from_apple(words[1]);
            device.profile_uuid = words.get(2).map(|letter| profile(letter));
            let kind = match kind {
                "listed" => ChangeKind::Listed,
                "added" => ChangeKind::Added,
                "modified" => ChangeKind::Modified,
                "deleted" => ChangeKind::Deleted,
                other => panic!("{other}"),
            };
            let (known, folded) = fold(
                held.as_ref(),
                Change { device, kind, at: (!second.is_empty()).then(|| at(second)) },
                now,
            );
            let on = known.on().map_or("nothing".to_owned(), |on| on.as_str()[..1].to_owned());
            found += &format!("{folded:?}, on {on}\n");
            assert_eq!(known.clone().present().profile(), known.on(), "policies see it so");
            held = Some(known);
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn a_device_we_never_saw_is_new_whatever_the_kind() {
        check(
            "modified@5 removed A",
            expect![[r#"
            New, on nothing
        "#]],
        );
    }

    #[test]
    fn of_two_records_the_later_counts() {
        check(
            "modified@9 assigned A; modified@5 empty",
            expect![[r#"
            New, on A
            Same, on A
        "#]],
        );
    }

    #[test]
    fn a_deletion_is_taken_back_only_by_an_addition() {
        check(
            "added@5 empty; deleted@6 empty; modified@6 empty; added@6 empty",
            expect![[r#"
            New, on nothing
            Gone, on nothing
            Same, on nothing
            New, on nothing
        "#]],
        );
    }

    #[test]
    fn our_assignment_outlives_a_list_that_lags() {
        check(
            "listed empty; assign A@9; listed empty; modified@9 assigned A",
            expect![[r#"
            New, on nothing
            Same, on A
            Changed, on A
        "#]],
        );
    }

    #[test]
    fn after_an_hour_a_full_list_is_believed_again() {
        check(
            "listed removed A; assign A@9; later; listed removed A",
            expect![[r#"
            New, on nothing
            Same, on nothing
        "#]],
        );
    }

    #[test]
    fn a_profile_removed_after_our_assignment_is_gone() {
        check(
            "listed removed A; assign A@9; listed removed A; modified@12 removed A",
            expect![[r#"
            New, on nothing
            Same, on A
            Same, on nothing
        "#]],
        );
    }

    #[test]
    fn a_removed_profile_is_no_profile_though_it_is_named() {
        check(
            "listed assigned A; modified@5 removed A",
            expect![[r#"
            New, on A
            Changed, on nothing
        "#]],
        );
    }
}
