//! What rules mean: settings as an operator writes them, devices as lines, verdicts as text.

use expect_test::{Expect, expect};
use rules::{Context, Decision, Device, Policy};

const PROFILES: [&str; 3] = ["kiosk", "standard", "executive-mac"];

/// Asks rules about devices. A device is a line of `field=text` pairs divided by `; `, dates as seconds; a line
/// that begins with `now=` or `token=` changes the context for those after it.
#[track_caller]
fn check(settings: &str, devices: &str, expected: Expect) {
    let policy = match policy(settings) {
        Ok(policy) => policy,
        Err(problems) => panic!("these settings should be fine:\n{problems}"),
    };
    // 9 January 2026.
    let mut context = Context { now: 1_767_950_000, token: "emea" };
    let mut shown = String::new();
    for line in devices.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(now) = line.strip_prefix("now=") {
            context.now = now.parse().unwrap();
        } else if let Some(token) = line.strip_prefix("token=") {
            context.token = token;
        } else {
            let extra: Vec<(String, String)> = pairs(line)
                .filter_map(|(name, text)| Some((name.strip_prefix("extra.")?.to_owned(), text.to_owned())))
                .collect();
            let (decision, reason) = policy.decide(&context, &device(line, &extra));
            let decision = match decision {
                Decision::Assign(profile) => format!("assign {}", PROFILES[profile as usize]),
                Decision::Hold(None) => "hold".to_owned(),
                Decision::Hold(Some(until)) => format!("hold until {until}"),
                Decision::Ignore => "ignore".to_owned(),
            };
            shown.push_str(&format!("{decision}: {}\n", policy.reasons()[reason as usize]));
        }
    }
    expected.assert_eq(&shown);
}

/// Everything that is wrong with settings, one line each.
#[track_caller]
fn check_problems(settings: &str, expected: Expect) {
    expected.assert_eq(&policy(settings).err().unwrap_or_default());
}

fn policy(settings: &str) -> Result<Policy, String> {
    let settings: serde_json::Value = toml::from_str(settings).unwrap();
    Policy::new(&settings.to_string(), &PROFILES.map(str::to_owned)).map_err(|problems| {
        let line = |problem: rules::Problem| {
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}: {}{hint}\n", problem.pointer, problem.message)
        };
        problems.into_iter().map(line).collect()
    })
}

fn pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split("; ").map(|pair| pair.split_once('=').expect("field=text"))
}

fn device<'a>(line: &'a str, extra: &'a [(String, String)]) -> Device<'a> {
    let mut device = Device { profile_status: "empty", extra, ..Device::default() };
    for (name, text) in pairs(line) {
        match name {
            "serial_number" => device.serial_number = text,
            "model" => device.model = text,
            "asset_tag" => device.asset_tag = text,
            "device_family" => device.device_family = text,
            "profile_status" => device.profile_status = text,
            "device_assigned_date" => device.device_assigned_date = Some(text.parse().unwrap()),
            name => assert!(name.starts_with("extra."), "the test knows no field {name}"),
        }
    }
    device
}

#[test]
fn without_rules_everything_is_held_for_somebody_to_look_at() {
    check(
        "",
        "serial_number=C1",
        expect![[r#"
        hold: no rule matched
    "#]],
    );
}

#[test]
fn the_first_rule_that_matches_decides() {
    check(
        r#"
            default = { assign = "standard", reason = "everybody else" }
            [[rules]]
            name = "library"
            when = { device_family = "iPad", asset_tag = "LIB-*" }
            assign = "kiosk"
            [[rules]]
            when = { device_family = ["iPad", "iPhone"] }
            hold = true
            reason = "mobile devices are bought by the library only"
        "#,
        "
            device_family=iPad; asset_tag=LIB-1
            device_family=ipad; asset_tag=lib-1
            device_family=iPad; asset_tag=ART-1
            device_family=iPhone
            device_family=Mac; asset_tag=LIB-1
        ",
        expect![[r#"
            assign kiosk: rule `library`
            assign kiosk: rule `library`
            hold: mobile devices are bought by the library only
            hold: mobile devices are bought by the library only
            assign standard: everybody else
        "#]],
    );
}

#[test]
fn a_rule_without_conditions_fits_every_device() {
    check(
        "[[rules]]\nassign = 'kiosk'",
        "serial_number=C1",
        expect![[r#"
        assign kiosk: rule 1
    "#]],
    );
    check(
        "[[rules]]\nwhen = {}\nignore = true",
        "serial_number=C1",
        expect![[r#"
        ignore: rule 1
    "#]],
    );
}

#[test]
fn none_of_what_is_under_unless_may_match() {
    check(
        r#"
            [[rules]]
            when = { device_family = "Mac" }
            unless = { profile_status = ["assigned", "pushed"], asset_tag = "KEEP*" }
            assign = "standard"
        "#,
        "
            device_family=Mac
            device_family=Mac; profile_status=pushed
            device_family=Mac; asset_tag=KEEP-1
            device_family=Mac; profile_status=removed; asset_tag=X
        ",
        expect![[r#"
            assign standard: rule 1
            hold: no rule matched
            hold: no rule matched
            assign standard: rule 1
        "#]],
    );
}

#[test]
fn a_field_apple_left_out_counts_as_empty() {
    check(
        r#"
            [[rules]]
            when = { asset_tag = "" }
            hold = true
            reason = "no asset tag"
            [[rules]]
            when = { asset_tag = "?*" }
            ignore = true
            reason = "some asset tag"
        "#,
        "
            serial_number=C1
            asset_tag=A
        ",
        expect![[r#"
            hold: no asset tag
            ignore: some asset tag
        "#]],
    );
}

#[test]
fn a_long_list_of_serial_numbers_is_searched_whatever_their_case() {
    let serials: Vec<String> = (0..5_000).map(|index| format!("\"c{index}x\"")).collect();
    check(
        &format!("[[rules]]\nwhen = {{ serial_number = [{}] }}\nassign = 'executive-mac'", serials.join(",")),
        "
            serial_number=C0X
            serial_number=C4999X
            serial_number=C5000X
        ",
        expect![[r#"
            assign executive-mac: rule 1
            assign executive-mac: rule 1
            hold: no rule matched
        "#]],
    );
}

#[test]
fn a_hold_that_has_run_out_leaves_the_device_to_the_rules_after_it() {
    check(
        r#"
            [[rules]]
            when = { model = "Mac*" }
            hold_until = "2026-02-01T00:00:00Z"
            reason = "summer freeze"
            [[rules]]
            when = { model = "Mac*" }
            assign = "standard"
        "#,
        "
            model=MacBook Pro
            now=1769904000
            model=MacBook Pro
        ",
        expect![[r#"
            hold until 1769904000: summer freeze
            assign standard: rule 2
        "#]],
    );
}

#[test]
fn a_date_is_in_its_range_from_the_first_moment_to_before_the_last() {
    check(
        r#"
            default = { ignore = true, reason = "outside" }
            [[rules]]
            when = { device_assigned_date = { after = "2026-01-01", before = "2026-02-01" } }
            assign = "kiosk"
            reason = "January"
        "#,
        "
            device_assigned_date=1767225599
            device_assigned_date=1767225600
            device_assigned_date=1769903999
            device_assigned_date=1769904000
            serial_number=C1
        ",
        expect![[r#"
            ignore: outside
            assign kiosk: January
            assign kiosk: January
            ignore: outside
            ignore: outside
        "#]],
    );
}

#[test]
fn the_token_and_fields_younger_than_deputy_can_be_asked_for() {
    check(
        r#"
            [[rules]]
            when = { token = "amer" }
            ignore = true
            [[rules]]
            when = { "extra.wifi_mac" = "00:11:*" }
            assign = "kiosk"
            [[rules]]
            when = { extra.eid = "?*" }
            assign = "standard"
        "#,
        "
            extra.wifi_mac=00:11:22
            extra.eid=1
            extra.other=1
            token=amer
            extra.eid=1
        ",
        expect![[r#"
            assign kiosk: rule 2
            assign standard: rule 3
            hold: no rule matched
            ignore: rule 1
        "#]],
    );
}

#[test]
fn equal_reasons_are_one_reason() {
    let policy =
        policy("[[rules]]\nignore = true\nreason = 'x'\n[[rules]]\nhold = true\nreason = 'x'").unwrap();
    assert_eq!(policy.reasons(), ["x", "no rule matched"]);
}

#[test]
fn only_the_fields_of_some_rule_are_read() {
    let policy =
        policy("[[rules]]\nwhen = { model = 'x' }\nunless = { extra.eid = 'y' }\nignore = true").unwrap();
    expect![[r#"[Model, Extra("eid")]"#]].assert_eq(&format!("{:?}", policy.reads()));
}

#[test]
fn mistyped_keys_are_found_with_the_right_ones_beside_them() {
    check_problems(
        r#"
            defaults = { hold = true }
            version = 1
            [[rules]]
            wehn = { model = "x" }
            assign = "kiosk"
            [[rules]]
            when = { modle = "x", warranty = "x", "a/b~c" = "x" }
            assign = "kiosk"
        "#,
        expect![[r#"
            /defaults: unknown key `defaults` (did you mean `default`?)
            /version: unknown key `version` (known are `default`, `rules`)
            /rules/0/wehn: unknown key `wehn` (did you mean `when`?)
            /rules/1/when/a~1b~0c: devices have no field `a/b~c` (a field younger than Deputy is `extra.a/b~c`)
            /rules/1/when/modle: devices have no field `modle` (did you mean `model`?)
            /rules/1/when/warranty: devices have no field `warranty` (a field younger than Deputy is `extra.warranty`)
        "#]],
    );
}

#[test]
fn an_action_is_exactly_one() {
    check_problems(
        r#"
            default = { hold_until = "2026-01-01" }
            [[rules]]
            name = "nothing"
            [[rules]]
            assign = "kiosk"
            ignore = true
            hold = true
            [[rules]]
            hold = false
        "#,
        expect![[r#"
            /rules/0: nothing says what to do (add one of `assign = "PROFILE"`, `hold = true` and `ignore = true`)
            /rules/1: `assign` and `hold` and `ignore` exclude each other
            /rules/2/hold: `hold` can only be `true` (leave `hold` out if it is not meant)
            /default/hold_until: unknown key `hold_until` (known are `assign`, `hold`, `ignore`, `reason`)
        "#]],
    );
}

#[test]
fn only_profiles_that_exist_can_be_assigned() {
    check_problems(
        r#"
            default = { assign = "Standard" }
            [[rules]]
            assign = "something-else"
            [[rules]]
            assign = 1
        "#,
        expect![[r#"
            /rules/0/assign: there is no profile `something-else` to assign
            /rules/1/assign: a profile is named by a text
            /default/assign: there is no profile `Standard` to assign (did you mean `standard`?)
        "#]],
    );
}

#[test]
fn values_of_the_wrong_kind_are_found() {
    check_problems(
        r#"
            default = "kiosk"
            [[rules]]
            when = "iPad"
            name = 1
            reason = true
            assign = "kiosk"
            [[rules]]
            when = { model = 1, os = ["x", 2], device_assigned_date = "2026-01-01" }
            unless = { device_assigned_date = { after = "2026-02-01", before = "2026-01-01", until = "" } }
            hold_until = "Friday"
        "#,
        expect![[r#"
            /rules/0/name: `name` is a text
            /rules/0/when: `when` is a table of fields (such as `when = { device_family = "iPad" }`)
            /rules/0/reason: `reason` is a text
            /rules/1/when/device_assigned_date: a date is compared with a range (such as `{ after = "2026-01-01", before = "2026-02-01" }`)
            /rules/1/when/model: a field is compared with a text or a list of texts (such as `"LIB-*"` or `["A", "B"]`)
            /rules/1/when/os: a field is compared with a text or a list of texts (such as `"LIB-*"` or `["A", "B"]`)
            /rules/1/unless/device_assigned_date/until: unknown key `until` (known are `after`, `before`)
            /rules/1/unless/device_assigned_date: `after` is not before `before`, so no date fits
            /rules/1/hold_until: "Friday" is not a date (such as `2026-02-01` or `2026-02-01T08:00:00+01:00`)
            /default: this is a table with the keys `assign`, `hold`, `ignore`, `reason`
        "#]],
    );
    check_problems(
        "rules = { assign = 'kiosk' }",
        expect![[r#"
        /rules: rules are a list of tables (start each with `[[rules]]`)
    "#]],
    );
}

#[test]
fn a_profile_status_that_apple_does_not_have_is_found() {
    check_problems(
        r#"
            [[rules]]
            when = { profile_status = ["EMPTY", "asigned", "waiting", "re*"] }
            assign = "kiosk"
        "#,
        expect![[r#"
            /rules/0/when/profile_status: no device is ever `asigned` (did you mean `assigned`?)
            /rules/0/when/profile_status: no device is ever `waiting` (known are `assigned`, `empty`, `pushed`, `removed`)
        "#]],
    );
}

#[test]
fn settings_that_are_no_table_are_one_problem() {
    let problems = Policy::new("[]", &[]).unwrap_err();
    expect!["this is a table with the keys `default`, `rules`"].assert_eq(&problems[0].message);
    let problems = Policy::new("{", &[]).unwrap_err();
    expect!["this is not JSON: EOF while parsing an object at line 1 column 1"]
        .assert_eq(&problems[0].message);
}
