//! For how long verdicts last, by the policy's word, and that they do.

use deputy_policy::{Setup, configure};
use expect_test::{Expect, expect};
use rules::Rules;
use trial::how_long;

/// 9 January 2026.
const NOW: u64 = 1_767_949_200;

/// What rules say of how long their verdicts last, and that it is so for devices of every kind.
#[track_caller]
fn check(rules: &str, expected: Expect) {
    let setup = Setup { profiles: vec!["kiosk".into(), "standard".into()], channels: vec![], tokens: vec![] };
    let policy: Rules = configure(format!(r#"{{ "rules": [{rules}] }}"#), &setup).unwrap();
    expected.assert_eq(&how_long(&policy, &setup.profiles, NOW));
}

#[test]
fn rules_that_do_not_look_at_the_time_give_verdicts_that_last() {
    check(r#"{ "when": { "model": "iPad" }, "assign": "kiosk" }"#, expect!["always"]);
    check(r#"{ "when": { "device_assigned_date": { "known": true } }, "ignore": true }"#, expect!["always"]);
}

#[test]
fn a_date_that_devices_are_compared_with_is_no_moment_at_which_anything_changes() {
    let range = r#"{ "after": "2026-01-01", "before": "2026-03-01" }"#;
    check(
        &format!(r#"{{ "when": {{ "device_assigned_date": {range} }}, "assign": "kiosk" }}"#),
        expect!["always"],
    );
}

#[test]
fn the_first_date_that_is_still_to_come_on_which_a_rule_leaves_off_is_the_end() {
    let hold = |model: &str, date: &str| {
        format!(r#"{{ "when": {{ "model": "{model}" }}, "hold_until": "{date}" }}"#)
    };
    let (over, soon, later) =
        (hold("iPhone", "2026-01-01"), hold("iPad", "2026-03-01"), hold("MacBook Pro", "2026-02-01"));
    check(&format!("{over}, {soon}, {later}"), expect!["until 2026-02-01"]);
    check(&over, expect!["always"]);
}

#[test]
fn a_rule_that_compares_dates_with_the_present_says_nothing() {
    for comparison in ["older_than", "newer_than", "within"] {
        for wanted in [
            format!(r#"{{ "{comparison}": "30d" }}"#),
            format!(r#"{{ "not": {{ "{comparison}": "30d" }} }}"#),
        ] {
            let when = format!(r#"{{ "device_assigned_date": {wanted} }}"#);
            check(&format!(r#"{{ "when": {when}, "assign": "kiosk" }}"#), expect!["not said"]);
            check(&format!(r#"{{ "unless": {when}, "assign": "kiosk" }}"#), expect!["not said"]);
            // Once it is over, nobody asks what it compares.
            check(&format!(r#"{{ "when": {when}, "hold_until": "2026-01-01" }}"#), expect!["always"]);
        }
    }
    let cell = r#"{ "table.assets.bought": { "older_than": "30d" } }"#;
    check(&format!(r#"{{ "when": {cell}, "assign": "kiosk" }}"#), expect!["not said"]);
}
