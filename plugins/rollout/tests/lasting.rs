//! For how long verdicts last, by the policy's word, and that they do.

use deputy_policy::{Setup, configure};
use expect_test::{Expect, expect};
use rollout::Rollouts;
use trial::how_long;

/// 9 January 2026.
const NOW: u64 = 1_767_949_200;

/// What rollouts say of how long their verdicts last, and that it is so for devices of every kind.
#[track_caller]
fn check(rollouts: &str, expected: Expect) {
    let setup = Setup { profiles: vec!["kiosk".into(), "standard".into()], channels: vec![], tokens: vec![] };
    let policy: Rollouts = configure(format!(r#"{{ "rollouts": [{rollouts}] }}"#), &setup).unwrap();
    expected.assert_eq(&how_long(&policy, &setup.profiles, NOW));
}

#[test]
fn a_share_that_does_not_grow_gives_verdicts_that_last() {
    check(r#"{ "to": "kiosk", "percent": 20 }"#, expect!["always"]);
}

#[test]
fn stages_give_verdicts_until_the_next_of_them() {
    let stages = |key: &str| {
        let stage = |date: &str, percent: u8| format!(r#"{{ "date": "{date}", "percent": {percent} }}"#);
        let (past, next, last) = (stage("2026-01-05", 5), stage("2026-02-02", 25), stage("2026-03-02", 100));
        format!(r#"{{ "to": "kiosk", "stages": [{past}, {next}, {last}] {key} }}"#)
    };
    check(&stages(""), expect!["until 2026-02-02"]);
    check(&stages(r#", "paused": true"#), expect!["always"]);
    let over = r#"{ "to": "kiosk", "stages": [{ "date": "2026-01-05", "percent": 5 }] }"#;
    check(over, expect!["always"]);
    let first = r#"{ "to": "kiosk", "when": { "model": "iPad" }, "stages": [{ "date": "2026-01-20", "percent": 5 }] }"#;
    check(&format!("{first}, {}", stages("")), expect!["until 2026-01-20"]);
}

#[test]
fn a_group_that_devices_join_with_time_says_nothing() {
    let when = r#"{ "device_assigned_date": { "older_than": "30d" } }"#;
    check(&format!(r#"{{ "to": "kiosk", "percent": 20, "when": {when} }}"#), expect!["not said"]);
    check(
        &format!(r#"{{ "to": "kiosk", "percent": 20, "paused": true, "unless": {when} }}"#),
        expect!["not said"],
    );
}
