//! A device as it was at an earlier time: from what it is, what happened since, and what we did.
//!
//! So nothing has to be copied for a run to be asked about later, or to be carried out again with another
//! policy: a fleet of a million devices in which a hundred change costs a hundred rows.

use jiff::Timestamp;

use super::{FieldChange, PastChange, PastKind, ProfileState};
use crate::device::{Assignment, Device, Known, ProfileStatus};

/// What is known of a device at an earlier time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// It was here, and so.
    Here(Box<Known>),
    /// It was not this server's device, or not yet.
    NotThere,
    /// What is kept of its history does not reach back so far.
    Forgotten,
}

/// A device as it was then. `changes` are what happened to it, the newest first; `is_whole` says that none
/// of them was forgotten; `assigned` are our assignments that succeeded, in any order.
pub fn as_of(
    now: Known,
    then: Timestamp,
    changes: &[PastChange],
    is_whole: bool,
    assigned: &[Assignment],
) -> Past {
    let ours = ours(&now, then, changes, assigned);
    let Known { mut device, mut gone, changed_at, .. } = now;
    for change in changes.iter().take_while(|change| change.seen_at > then) {
        match change.kind {
            PastKind::Added => return Past::NotThere,
            PastKind::Gone => gone = false,
            PastKind::Returned => gone = true,
            _ => {}
        }
        change.fields.iter().for_each(|change| undo(&mut device, change));
        if let Some(ProfileState { status, uuid, assigned, pushed }) = change.before.clone() {
            device.profile_status = status;
            device.profile_uuid = uuid;
            device.profile_assign_time = assigned;
            device.profile_push_time = pushed;
        }
    }
    let reaches = changes.last().is_none_or(|oldest| oldest.seen_at <= then);
    match (reaches || is_whole, gone) {
        (false, _) => Past::Forgotten,
        (true, true) => Past::NotThere,
        (true, false) => Past::Here(Box::new(Known { device, gone, ours, changed_at, pause: None })),
    }
}

/// Our assignment that counted then: the last before, unless Apple's word has counted since.
fn ours(now: &Known, then: Timestamp, changes: &[PastChange], assigned: &[Assignment]) -> Option<Assignment> {
    let last = assigned.iter().filter(|ours| ours.at <= then).max_by_key(|ours| ours.at)?;
    let ends = || changes.iter().filter(|change| change.ended).map(|change| change.seen_at);
    if ends().any(|at| last.at <= at && at <= then) {
        return None;
    }
    // If nothing has come of it since, it counts to this day or did not count then.
    let later = assigned.iter().map(|ours| ours.at).chain(ends()).any(|at| at > then);
    (later || now.ours.is_some()).then(|| last.clone())
}

/// Takes the change of one field back.
fn undo(device: &mut Device, change: &FieldChange) {
    let FieldChange { field, from, .. } = change;
    let (text, at) = (from.clone(), from.as_ref().and_then(|text| text.parse().ok()));
    match field.as_str() {
        "model" => device.model = text,
        "description" => device.description = text,
        "color" => device.color = text,
        "asset_tag" => device.asset_tag = text,
        "os" => device.os = text,
        "device_family" => device.device_family = text,
        "profile_status" => {
            device.profile_status = ProfileStatus::from_apple(text.as_deref().unwrap_or_default());
        }
        "profile_uuid" => device.profile_uuid = text.and_then(|text| text.parse().ok()),
        "profile_assign_time" => device.profile_assign_time = at,
        "profile_push_time" => device.profile_push_time = at,
        "device_assigned_by" => device.device_assigned_by = text,
        "device_assigned_date" => device.device_assigned_date = at,
        _ => match text {
            Some(text) => drop(device.extra.insert(field.clone(), text)),
            None => drop(device.extra.remove(field)),
        },
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::device::{Change, ChangeKind, Folded, fold};
    use crate::history::{differences, news};

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

    /// Lives through a story, a second a line: `added`, `modified` or `deleted` with `STATUS [A|B] [COLOUR]`, or
    /// `assign A|B`. After each second the device is noted; at the end every one of them is worked out again.
    #[track_caller]
    fn check(story: &str, expected: Expect) {
        let second = |number: i64| Timestamp::from_second(number).unwrap();
        let profile = |word: &str| if word == "A" { A } else { B }.parse().unwrap();
        let (mut held, mut changes, mut assigned) = (None::<Known>, Vec::<PastChange>::new(), Vec::new());
        let mut notes = vec![(second(0), None)];
        for (number, line) in (1..).zip(story.split(';')) {
            let (now, words) = (second(number), line.split_whitespace().collect::<Vec<_>>());
            if words[0] == "assign" {
                let ours = Assignment { profile: profile(words[1]), at: now };
                held.as_mut().unwrap().ours = Some(ours.clone());
                assigned.push(ours);
            } else {
                let mut device = Device::new("C02AA".parse().unwrap());
                device.profile_status = ProfileStatus::from_apple(words[1]);
                for word in &words[2..] {
                    match *word {
                        "A" | "B" => device.profile_uuid = Some(profile(word)),
                        colour => device.color = Some(colour.to_owned()),
                    }
                }
                let kind = match words[0] {
                    "added" => ChangeKind::Added,
                    "deleted" => ChangeKind::Deleted,
                    _ => ChangeKind::Modified,
                };
                let change = Change { device, kind, at: Some(now) };
                let (known, folded) = fold(held.as_ref(), change, now);
                let (fields, before) =
                    held.as_ref().map_or_else(Default::default, |held| news(held, &known.device));
                let kind = match folded {
                    Folded::New if held.is_none() => PastKind::Added,
                    Folded::New => PastKind::Returned,
                    Folded::Gone => PastKind::Gone,
                    _ => PastKind::Changed,
                };
                let ended = held.as_ref().is_some_and(|held| held.ours.is_some()) && known.ours.is_none();
                let run = "20260109-091320-bcdfgh".parse().unwrap();
                changes.insert(0, PastChange { kind, seen_at: now, run, at: None, fields, before, ended });
                held = Some(known);
            }
            notes.push((now, held.clone().filter(|held| !held.gone)));
        }
        let now = held.unwrap();
        let mut found = String::new();
        for (then, note) in notes {
            let then_again = as_of(now.clone(), then, &changes, true, &assigned);
            match (&note, &then_again) {
                (None, Past::NotThere) => found += "-\n",
                (Some(was), Past::Here(again)) => {
                    let (was, again) = (was.clone().present(), again.clone().present());
                    assert_eq!(differences(&was, &again), [], "at {then}");
                    let on = was.profile().map_or("nothing", |on| &on.as_str()[..1]);
                    found += &format!("{on} {}\n", was.color.as_deref().unwrap_or("-"));
                }
                other => panic!("at {then}: {other:#?}"),
            }
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn every_state_a_device_was_in_follows_from_what_it_is_and_what_happened() {
        check(
            "added empty RED; assign A; modified assigned A RED; modified pushed A BLUE; deleted empty; added empty",
            expect![[r#"
                -
                nothing RED
                A RED
                A RED
                A BLUE
                -
                nothing -
            "#]],
        );
    }

    #[test]
    fn an_assignment_of_ours_counts_until_somebody_else_makes_another() {
        check(
            "added empty; assign A; modified assigned B; assign A; modified assigned A",
            expect![[r#"
                -
                nothing -
                A -
                B -
                A -
                A -
            "#]],
        );
    }

    #[test]
    fn what_is_forgotten_is_not_made_up() {
        let now = Known {
            device: Device::new("C02AA".parse().unwrap()),
            gone: false,
            ours: None,
            changed_at: None,
            pause: None,
        };
        let second = |number| Timestamp::from_second(number).unwrap();
        let run = "20260109-091320-bcdfgh".parse().unwrap();
        let change = PastChange {
            kind: PastKind::Changed,
            seen_at: second(5),
            run,
            at: None,
            fields: Vec::new(),
            before: None,
            ended: false,
        };
        let at = |then| as_of(now.clone(), second(then), std::slice::from_ref(&change), false, &[]);
        assert_eq!(at(4), Past::Forgotten);
        assert!(matches!(at(5), Past::Here(_)));
    }
}
