//! What becomes of devices, case by case.

use expect_test::{Expect, expect};

use super::*;
use crate::pause::Refusal;
use crate::rails::Limit;
use crate::workflow::OnFault;

/// `devices`: `SERIAL [on PROFILE[@old]] [waits] [in-flight]`, `;` between. `verdicts`: `SERIAL assign
/// PROFILE|hold|ignore|fault [DEFAULT]`. The files say `lab`, `kiosk` and `exec`; `new` is not at Apple yet.
#[track_caller]
fn check_with(rails: Rails, devices: &str, verdicts: &str, expected: Expect) {
    let now = "2026-01-09T09:00:00Z".parse().unwrap();
    let pause = Pause::after(Refusal::Throttled, None, None, now);
    let mut profiles = Profiles::default();
    let id = |name: &str| format!("{:0>32}", name.bytes().map(|b| format!("{b:02x}")).collect::<String>());
    for name in ["lab", "kiosk", "exec"] {
        let (label, digest): (ProfileName, _) = (name.parse().unwrap(), Digest::of(name.as_bytes()));
        profiles.wanted.insert(label.clone(), digest.clone());
        profiles.defined.insert(id(name).parse().unwrap(), (label.clone(), digest));
        let old = format!("{name}@old");
        profiles.defined.insert(id(&old).parse().unwrap(), (label, Digest::of(old.as_bytes())));
    }
    profiles.wanted.insert("new".parse().unwrap(), Digest::of(b"new"));

    let verdict = |serial: &str| {
        let line = verdicts.split(';').map(str::trim).find(|line| line.starts_with(serial))?;
        let decision = match line.split_whitespace().collect::<Vec<_>>()[1..] {
            ["assign", profile] => Decision::Assign { profile: profile.parse().unwrap() },
            ["ignore"] => Decision::Ignore,
            ["hold"] => Decision::Hold { until: None },
            ["fault"] => return Some(Verdict::fault("plugin failed")),
            ["fault", default] => {
                return Some(OnFault::Assign(default.parse().unwrap()).over(Verdict::fault("failed")));
            }
            _ => panic!("no verdict: {line}"),
        };
        Some(Verdict { decision, reason: "why".into(), fault: false })
    };
    let mut planner = Planner::new(&profiles, &rails, now);
    let mut found = String::new();
    for line in devices.split(';').map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let on = words.iter().position(|word| *word == "on").map(|at| id(words[at + 1]).parse().unwrap());
        let candidate = Candidate {
            serial_number: words[0].parse().unwrap(),
            on,
            pause: words.contains(&"waits").then_some(pause),
            in_flight: words.contains(&"in-flight"),
            verdict: verdict(words[0]),
            decided_before: false,
        };
        found += &match planner.consider(&candidate) {
            Entry::Action(action) => {
                let from = action.from.and_then(|from| profiles.defined.get(&from)).map(|(name, _)| name);
                let from = from.map_or(String::new(), |name| format!(" from {name}"));
                format!("assign {} to {}{from}\n", action.serial_number, action.to.name().unwrap())
            }
            Entry::Skip(skip) => format!("skip {}: {skip}\n", words[0]),
        };
    }
    let drawn = planner.finish();
    if drawn.breaches.is_empty() && !drawn.totals.defines.is_empty() {
        found += &format!("define {:?}\n", drawn.totals.defines);
    }
    for breach in &drawn.breaches {
        found += &format!("rail: {breach}\n");
    }
    expected.assert_eq(&found);
}

#[track_caller]
fn check(devices: &str, verdicts: &str, expected: Expect) {
    check_with(Rails::default(), devices, verdicts, expected);
}

#[test]
fn a_device_without_a_profile_gets_the_wanted_one() {
    check(
        "C02AA",
        "C02AA assign lab",
        expect![[r#"
        assign C02AA to lab
    "#]],
    );
}

#[test]
fn a_device_already_on_the_wanted_profile_is_left_alone() {
    check(
        "C02AA on lab",
        "C02AA assign lab",
        expect![[r#"
        skip C02AA: already right
    "#]],
    );
}

#[test]
fn a_device_on_another_profile_is_moved() {
    check(
        "C02AA on kiosk",
        "C02AA assign lab",
        expect![[r#"
        assign C02AA to lab from kiosk
    "#]],
    );
}

#[test]
fn a_profile_whose_content_changed_moves_the_devices_that_had_it() {
    check(
        "C02AA on lab@old; C02AB on lab",
        "C02AA assign lab; C02AB assign lab",
        expect![[r#"
        assign C02AA to lab from lab
        skip C02AB: already right
    "#]],
    );
}

#[test]
fn a_profile_apple_does_not_know_is_defined_once() {
    check(
        "C02AA; C02AB",
        "C02AA assign new; C02AB assign new",
        expect![[r#"
        assign C02AA to new
        assign C02AB to new
        define {ProfileName("new")}
    "#]],
    );
}

#[test]
fn a_device_whose_plugin_failed_is_held_and_the_rest_go_on() {
    check(
        "C02AA; C02AB",
        "C02AA fault; C02AB assign lab",
        expect![[r#"
            skip C02AA: held because the policy failed
            assign C02AB to lab
        "#]],
    );
}

#[test]
fn a_device_whose_plugin_failed_falls_to_the_default_only_if_it_has_no_profile() {
    check(
        "C02AA; C02AB on lab; C02AC on kiosk",
        "C02AA fault lab; C02AB fault lab; C02AC fault lab",
        expect![[r#"
            assign C02AA to lab
            skip C02AB: held because the policy failed
            skip C02AC: held because the policy failed
        "#]],
    );
}

#[test]
fn held_ignored_and_undecided_devices_are_accounted_for() {
    check(
        "C02AA; C02AB; C02AC",
        "C02AA hold; C02AB ignore",
        expect![[r#"
        skip C02AA: held by the policy
        skip C02AB: ignored by the policy
        skip C02AC: not decided yet
    "#]],
    );
}

#[test]
fn a_device_apple_wants_left_alone_waits() {
    check(
        "C02AA waits; C02AB on lab waits",
        "C02AA assign lab; C02AB assign lab",
        expect![[r#"
            skip C02AA: waiting, after a refusal
            skip C02AB: already right
        "#]],
    );
}

#[test]
fn a_device_in_flight_is_not_sent_again() {
    check(
        "C02AA in-flight",
        "C02AA assign lab",
        expect![[r#"
        skip C02AA: in flight, to be settled first
    "#]],
    );
}

#[test]
fn too_many_reassignments_break_a_rail() {
    let rails = Rails { reassignments: Limit::Devices(1), ..Rails::default() };
    let verdicts = "C02AA assign lab; C02AB assign lab; C02AC assign lab";
    check_with(
        rails,
        "C02AA on kiosk; C02AB on kiosk; C02AC",
        verdicts,
        expect![[r#"
        assign C02AA to lab from kiosk
        assign C02AB to lab from kiosk
        assign C02AC to lab
        rail: 2 reassignments, 1 allowed
    "#]],
    );
}

#[test]
fn first_assignments_have_a_rail_of_their_own() {
    let rails = Rails { first_assignments: Limit::Devices(1), ..Rails::default() };
    check_with(
        rails,
        "C02AA; C02AB",
        "C02AA assign lab; C02AB assign lab",
        expect![[r#"
        assign C02AA to lab
        assign C02AB to lab
        rail: 2 first assignments, 1 allowed
    "#]],
    );
}

#[test]
fn moving_a_device_from_a_protected_profile_breaks_a_rail() {
    let rails = Rails { protect_profiles: ["exec".parse().unwrap()].into(), ..Rails::default() };
    check_with(
        rails,
        "C02AA on exec@old",
        "C02AA assign lab",
        expect![[r#"
        assign C02AA to lab from exec
        rail: 1 on the protected profile `exec`, such as C02AA
    "#]],
    );
}

#[test]
fn a_rail_can_be_a_part_of_the_devices() {
    let rails = Rails { reassignments: "10%".parse().unwrap(), ..Rails::default() };
    check_with(
        rails,
        "C02AA on kiosk; C02AB; C02AC on lab",
        "C02AA assign lab; C02AB hold; C02AC assign lab",
        expect![[r#"
            assign C02AA to lab from kiosk
            skip C02AB: held by the policy
            skip C02AC: already right
            rail: 1 reassignment, 0 allowed (10% of 3 devices)
        "#]],
    );
}

#[test]
fn a_protected_device_gets_its_first_profile_and_is_not_moved() {
    let protect_serials = ["C02AA".parse().unwrap(), "C02AB".parse().unwrap()].into();
    let rails = Rails { protect_serials, ..Rails::default() };
    check_with(
        rails,
        "C02AA on kiosk; C02AB",
        "C02AA assign lab; C02AB assign lab",
        expect![[r#"
            assign C02AA to lab from kiosk
            assign C02AB to lab
            rail: 1 protected device, such as C02AA
        "#]],
    );
}

/// `wishes`: `SERIAL [from PROFILE] to PROFILE`, `;` between; `devices` as above, without verdicts.
#[track_caller]
fn check_wishes(devices: &str, wishes: &str, expected: Expect) {
    let now = "2026-01-09T09:00:00Z".parse().unwrap();
    let id = |name: &str| -> ProfileId {
        format!("{:0>32}", name.bytes().map(|b| format!("{b:02x}")).collect::<String>()).parse().unwrap()
    };
    let mut profiles = Profiles::default();
    for name in ["lab", "kiosk"] {
        let (label, digest): (ProfileName, _) = (name.parse().unwrap(), Digest::of(name.as_bytes()));
        profiles.wanted.insert(label.clone(), digest.clone());
        profiles.defined.insert(id(name), (label, digest));
    }
    let rails = Rails::default();
    let mut planner = Planner::new(&profiles, &rails, now);
    let (mut found, mut outdated) = (String::new(), Outdated::default());
    for line in wishes.split(';').map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |word: &str| words.iter().position(|it| *it == word).map(|at| words[at + 1]);
        let wish = Wish {
            serial_number: words[0].parse().unwrap(),
            from: after("from").map(id),
            to: match after("to").unwrap() {
                exactly if exactly.starts_with('=') => Target::Exactly { id: id(&exactly[1..]), name: None },
                name => Target::Ours(name.parse().unwrap()),
            },
            reason: "by hand".into(),
        };
        let device = devices.split(';').map(str::trim).find(|device| device.starts_with(words[0]));
        let candidate = device.map(|device| Candidate {
            serial_number: wish.serial_number.clone(),
            on: device.split_once(" on ").map(|(_, name)| id(name.split(' ').next().unwrap())),
            pause: device.contains("waits").then(|| Pause::after(Refusal::Throttled, None, None, now)),
            in_flight: device.contains("in-flight"),
            verdict: None,
            decided_before: false,
        });
        match planner.follow(&wish, candidate.as_ref()) {
            Ok(Entry::Action(action)) => {
                found += &format!("assign {} to {:?}\n", action.serial_number, action.to.name());
            }
            Ok(Entry::Skip(skip)) => found += &format!("skip {}: {skip}\n", wish.serial_number),
            Err(moved) => outdated.add(moved, &wish.serial_number),
        }
    }
    found += &outdated.lines().into_iter().map(|line| format!("{line}\n")).collect::<String>();
    expected.assert_eq(&found);
}

#[test]
fn a_person_gets_what_was_seen_or_is_told_what_moved_on() {
    check_wishes(
        "C1; C2 on kiosk; C4 on lab; C5 on kiosk; C6; C7 on other",
        "C1 to lab; C2 from kiosk to lab; C3 to lab; C4 to kiosk; C5 from lab to =new; C6 from lab to kiosk; C7 from kiosk to lab",
        expect![[r#"
            assign C1 to Some(ProfileName("lab"))
            assign C2 to Some(ProfileName("lab"))
            1 device not the token's any more: C3
            1 device given a profile by somebody since: C4
            2 devices on another profile than the plan says: C5, C7
            1 device without the profile that the plan says: C6
        "#]],
    );
}

#[test]
fn what_is_there_already_does_not_matter_and_what_cannot_be_done_now_waits() {
    check_wishes(
        "C1 on lab; C2 on old; C3 waits; C4 in-flight; C5 on old",
        "C1 to lab; C2 from other to =old; C3 to lab; C4 to lab; C5 from old to =lab",
        expect![[r#"
            skip C1: already right
            skip C2: already right
            skip C3: waiting, after a refusal
            skip C4: in flight, to be settled first
            assign C5 to None
        "#]],
    );
}

#[test]
fn the_digest_tells_plans_apart_by_devices_targets_origins_and_content() {
    let now = "2026-01-09T09:00:00Z".parse().unwrap();
    let digest = |content: &[u8], on: Option<&str>, to: &str, serial: &str| {
        let mut profiles = Profiles::default();
        profiles.wanted.insert("lab".parse().unwrap(), Digest::of(content));
        profiles.wanted.insert("kiosk".parse().unwrap(), Digest::of(b"kiosk"));
        let rails = Rails::default();
        let mut planner = Planner::new(&profiles, &rails, now);
        planner.consider(&Candidate {
            serial_number: serial.parse().unwrap(),
            on: on.map(|id| id.repeat(32).parse().unwrap()),
            pause: None,
            in_flight: false,
            verdict: Some(Verdict {
                decision: Decision::Assign { profile: to.parse().unwrap() },
                reason: "why".into(),
                fault: false,
            }),
            decided_before: false,
        });
        planner.finish().digest
    };
    let plain = digest(b"lab", None, "lab", "C02AA");
    assert_eq!(plain, digest(b"lab", None, "lab", "C02AA"));
    let others = [
        digest(b"lab", None, "lab", "C02AB"),
        digest(b"lab", None, "kiosk", "C02AA"),
        digest(b"lab", Some("a"), "lab", "C02AA"),
        digest(b"laboratory", None, "lab", "C02AA"),
    ];
    assert!(others.iter().all(|other| *other != plain), "{others:?}");
}
