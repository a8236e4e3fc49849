//! Each question of version 1.0: what a policy is told, and what becomes of what it answers.

use domain::device::{Device, ProfileStatus};
use domain::policy::{Policy as _, Question, Unanswered};
use domain::reminder::{self, Fact, Occasion, Reminder, Subject, Threshold, Trouble};
use domain::review::{self, Action, Move, Opinion, Plan};
use domain::verdict::{Context, Decision};
use expect_test::{Expect, expect};
use jiff::tz::Offset;
use sandbox::{Line, Plugin};

use crate::help::{SANDBOX, context, devices, shown, spec};

fn load(settings: serde_json::Value) -> Plugin {
    SANDBOX.load(spec(artifacts::THREE_QUESTIONS, settings)).unwrap()
}

fn behaving(behaviour: &str) -> Plugin {
    load(serde_json::json!({ "behaviour": behaviour }))
}

/// What a policy logged, with a line for each field.
fn lines(log: &[Line]) -> String {
    log.iter()
        .map(|line| format!("{}\n", line.text.replace(", ", ",\n  ").replace(" { ", " {\n  ")))
        .collect()
}

// What every policy says of itself.

#[test]
fn a_policy_says_what_it_is_also_without_settings() {
    let inspection = SANDBOX.inspect(artifacts::THREE_QUESTIONS).unwrap();
    assert_eq!(inspection.contract.as_deref(), Some("1.0.0"));
    assert_eq!(inspection.questions, Question::ALL);
    let description = inspection.description.clone().unwrap().unwrap();
    assert_eq!(description.summary, "answers every question, also as it should not");
    assert_eq!(description.version, "1.2.3");
    assert!(description.settings_schema.unwrap()["properties"]["behaviour"].is_object());
    assert!(inspection.check().is_ok());
    assert_eq!(behaving("none").inspection(), &inspection, "the same once it is loaded");
}

#[test]
fn settings_are_refused_in_the_words_of_the_policy() {
    let settings = serde_json::json!({ "behaviour": "refuse-settings" });
    let error = SANDBOX.load(spec(artifacts::THREE_QUESTIONS, settings)).expect_err("it does not like them");
    expect![[r#"
        plugin `site-policy` does not accept its settings:
          /behaviour: not that (something else)
    "#]]
    .assert_eq(&format!("{error}\n"));
}

// Which profile does each of these devices get?

/// A device of which everything is known.
fn known() -> Device {
    let time = |day: &str| Some(format!("2026-01-{day}T00:00:00Z").parse().unwrap());
    let text = |text: &str| Some(text.to_owned());
    let mut device = devices("C1").remove(0);
    device.model = text("iPad Air");
    device.description = text("IPAD AIR");
    device.color = text("SPACE GRAY");
    device.asset_tag = text("LIB-1");
    device.os = text("iPadOS");
    device.device_family = text("iPad");
    device.profile_status = ProfileStatus::Pushed;
    device.profile_uuid = Some("7C1E88D0A4B94B6E9C3F2A5D6E7F8091".parse().unwrap());
    device.profile_assign_time = time("01");
    device.profile_push_time = time("02");
    device.device_assigned_by = text("eve@example.com");
    device.device_assigned_date = time("03");
    let extra = [
        ("mdm_migration_deadline", "2026-01-04T00:00:00Z"),
        ("is_replacement_device", "true"),
        ("imei", r#"["350000000000011","350000000000029"]"#),
        ("meid", r#"["A0000000000001"]"#),
        ("eid", "8904"),
        ("wifi_mac_address", "3C:22:FB:00:00:01"),
        ("bluetooth_mac_address", "3C:22:FB:00:00:02"),
        ("ethernet_mac_address", "3C:22:FB:00:00:03"),
        ("from_2031", "[1]"),
    ];
    device.extra = extra.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    device
}

fn knowing_context() -> Context {
    let mut context = context();
    context.utc_offset = Offset::from_seconds(-12_600).unwrap();
    let id = known().profile_uuid.unwrap();
    context.defined.insert(id, "standard".parse().unwrap());
    context
}

#[test]
fn a_policy_is_told_everything_it_asks_for() {
    let answer = behaving("show").answer_assignment(&knowing_context(), &[known()]);
    expect![[r#"
        Setup {
          profiles: ["kiosk",
          "standard"],
          channels: ["ops",
          "security"],
          tokens: ["emea",
          "amer"] }
        Context {
          now: 1767950000,
          utc-offset: -12600,
          token: "emea",
          profiles: ["kiosk",
          "standard"] }
        Device {
          serial-number: "C1",
          model: Some("iPad Air"),
          description: Some("IPAD AIR"),
          color: Some("SPACE GRAY"),
          asset-tag: Some("LIB-1"),
          os: Some("iPadOS"),
          device-family: Some("iPad"),
          profile-status: ProfileStatus::Pushed,
          profile-uuid: Some("7C1E88D0A4B94B6E9C3F2A5D6E7F8091"),
          current-profile: Some(1),
          profile-assign-time: Some(1767225600),
          profile-push-time: Some(1767312000),
          device-assigned-by: Some("eve@example.com"),
          device-assigned-date: Some(1767398400),
          mdm-migration-deadline: Some(1767484800),
          is-replacement-device: Some(true),
          imei: ["350000000000011",
          "350000000000029"],
          meid: ["A0000000000001"],
          eid: Some("8904"),
          wifi-mac-address: Some("3C:22:FB:00:00:01"),
          bluetooth-mac-address: Some("3C:22:FB:00:00:02"),
          ethernet-mac-address: Some("3C:22:FB:00:00:03"),
          extra: [("from_2031",
          "[1]")] }
    "#]]
    .assert_eq(&lines(&answer.log));
}

#[test]
fn a_policy_is_told_nothing_it_does_not_ask_for() {
    let plugin = load(serde_json::json!({ "behaviour": "show", "reads": 0 }));
    assert!(plugin.reads().is_empty());
    let answer = plugin.answer_assignment(&knowing_context(), &[known()]);
    expect![[r#"Device { serial-number: "", model: None, description: None, color: None, asset-tag: None, os: None, device-family: None, profile-status: ProfileStatus::Pushed, profile-uuid: None, current-profile: None, profile-assign-time: None, profile-push-time: None, device-assigned-by: None, device-assigned-date: None, mdm-migration-deadline: None, is-replacement-device: None, imei: [], meid: [], eid: None, wifi-mac-address: None, bluetooth-mac-address: None, ethernet-mac-address: None, extra: [] }"#]].assert_eq(&answer.log.last().unwrap().text);
}

#[test]
fn every_field_can_be_asked_for_alone() {
    let mut told = String::new();
    for bit in 0..22 {
        let plugin = load(serde_json::json!({ "behaviour": "show", "reads": 1 << bit }));
        let answer = plugin.answer_assignment(&knowing_context(), &[known()]);
        let device = &answer.log.last().unwrap().text;
        let fields = device.trim_start_matches("Device { ").trim_end_matches(" }").split(", ");
        let given = |field: &&str| {
            !["None", "\"\"", "[]", "ProfileStatus::Pushed"]
                .iter()
                .any(|empty| field.ends_with(&format!(": {empty}")))
        };
        let fields: Vec<&str> = fields.filter(given).collect();
        told += &format!("{}: {}\n", plugin.reads().join(" "), fields.join(", "));
    }
    expect![[r#"
        serial_number: serial-number: "C1"
        model: model: Some("iPad Air")
        description: description: Some("IPAD AIR")
        color: color: Some("SPACE GRAY")
        asset_tag: asset-tag: Some("LIB-1")
        os: os: Some("iPadOS")
        device_family: device-family: Some("iPad")
        profile_uuid: profile-uuid: Some("7C1E88D0A4B94B6E9C3F2A5D6E7F8091")
        current_profile: current-profile: Some(1)
        profile_assign_time: profile-assign-time: Some(1767225600)
        profile_push_time: profile-push-time: Some(1767312000)
        device_assigned_by: device-assigned-by: Some("eve@example.com")
        device_assigned_date: device-assigned-date: Some(1767398400)
        mdm_migration_deadline: mdm-migration-deadline: Some(1767484800)
        is_replacement_device: is-replacement-device: Some(true)
        imei: imei: ["350000000000011", "350000000000029"]
        meid: meid: ["A0000000000001"]
        eid: eid: Some("8904")
        wifi_mac_address: wifi-mac-address: Some("3C:22:FB:00:00:01")
        bluetooth_mac_address: bluetooth-mac-address: Some("3C:22:FB:00:00:02")
        ethernet_mac_address: ethernet-mac-address: Some("3C:22:FB:00:00:03")
        extra: extra: [("from_2031", "[1]")]
    "#]]
    .assert_eq(&told);
}

#[test]
fn the_lists_of_devices_are_not_mixed_up() {
    let mut devices = devices("C1 C2 C3");
    devices[0].extra.insert("imei".to_owned(), r#"["1","2"]"#.to_owned());
    devices[2].extra.insert("imei".to_owned(), "3".to_owned());
    devices[2].extra.insert("new".to_owned(), "x".to_owned());
    let reads = 1 | 1 << 15 | 1 << 21;
    let plugin = load(serde_json::json!({ "behaviour": "show", "reads": reads }));
    let log = plugin.answer_assignment(&context(), &devices).log;
    let lists = log.iter().filter_map(|line| {
        let (_, imei) = line.text.split_once("imei: ")?;
        let (imei, rest) = imei.split_once(", meid")?;
        let (_, extra) = rest.split_once("extra: ")?;
        Some(format!("{imei} {extra}\n"))
    });
    expect![[r#"
        ["1", "2"] [] }
        [] [] }
        ["3"] [("new", "x")] }
    "#]]
    .assert_eq(&lists.collect::<String>());
}

#[test]
fn a_profile_that_was_taken_away_or_is_not_ours_is_not_the_current_one() {
    let mut devices = vec![known(), known(), known()];
    devices[1].profile_status = ProfileStatus::Removed;
    devices[2].profile_uuid = Some("0".repeat(32).parse().unwrap());
    let plugin = load(serde_json::json!({ "behaviour": "show", "reads": 1 << 8 }));
    let log = plugin.answer_assignment(&knowing_context(), &devices).log;
    let current = log.iter().filter_map(|line| line.text.split_once("current-profile: "));
    let current: Vec<&str> = current.filter_map(|(_, rest)| Some(rest.split_once(',')?.0)).collect();
    assert_eq!(current, ["Some(1)", "None", "None"]);
}

#[test]
fn verdicts_that_break_the_contract_hold_the_devices_they_are_about() {
    let mut found = String::new();
    for behaviour in ["trap", "too-few", "unknown-profile", "unknown-reason", "huge"] {
        let devices = devices("C1 C2BAD");
        let mut spec = spec(
            artifacts::THREE_QUESTIONS,
            serde_json::json!({ "behaviour": format!("{behaviour}-on-bad") }),
        );
        spec.limits.fuel_per_call = 1_000_000_000;
        let answer = SANDBOX.load(spec).unwrap().answer_assignment(&context(), &devices);
        assert!(!answer.faults.is_empty());
        found += &shown(&devices, &answer.answer);
    }
    expect![[r#"
        C1 hold: fine
        C2BAD hold: fault: plugin `site-policy` trapped: wasm `unreachable` instruction executed
        C1 hold: fine
        C2BAD hold: fault: plugin `site-policy` broke the contract: the number of verdicts (0) is not that of the devices (1)
        C1 hold: fine
        C2BAD hold: fault: plugin `site-policy` broke the contract: it assigned profile 99, and there are 2
        C1 hold: fine
        C2BAD hold: fault: plugin `site-policy` broke the contract: it gave reason 99, and there are 1
        C1 hold: fine
        C2BAD hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
    "#]].assert_eq(&found);
}

// Who should hear about this token, and how urgently?

fn reminder_context() -> reminder::Context {
    let Context { now, tables, .. } = context();
    let channels = ["ops", "security"].map(|name| name.parse().unwrap()).into();
    reminder::Context { now, utc_offset: Offset::constant(1), channels, tables }
}

fn fact(kind: &str, days: i64) -> Fact {
    let ends = context().now + jiff::SignedDuration::from_hours(24 * days);
    let (kind, name) = (kind.to_owned(), String::new());
    Fact { kind, name, ends: Some(ends), trouble: None, told: None, acknowledged: false }
}

fn subject(name: &str, facts: Vec<Fact>) -> Subject {
    Subject {
        name: name.parse().unwrap(),
        server_name: "Deputy".to_owned(),
        org_name: "Example AG".to_owned(),
        admin_id: "it@example.com".to_owned(),
        contacts: vec!["emea-it@example.com".to_owned(), "boss@example.com".to_owned()],
        devices: 17,
        facts,
    }
}

/// A token that ends in nine days and whose terms changed two days ago, and one that is well.
fn subjects() -> Vec<Subject> {
    let mut terms = fact("terms", 0);
    terms.ends = None;
    terms.name = "of 2026".to_owned();
    terms.told = Some(Threshold(-86_400));
    terms.acknowledged = true;
    terms.trouble = Some(Trouble {
        code: "terms-not-signed".to_owned(),
        message: "somebody has to agree".to_owned(),
        advice: "go to the portal\nand agree".to_owned(),
        since: context().now - jiff::SignedDuration::from_hours(48),
    });
    vec![subject("emea", vec![fact("token", 9), terms]), subject("amer", Vec::new())]
}

fn reminders(subjects: &[Subject], answer: &[Result<Vec<Reminder>, Unanswered>]) -> String {
    assert_eq!(subjects.len(), answer.len(), "one answer for each token");
    let mut text = String::new();
    for (subject, answer) in subjects.iter().zip(answer) {
        let name = &subject.name;
        match answer {
            Err(unanswered) => text += &format!("{name}: {unanswered}\n"),
            Ok(reminders) => {
                text += &format!("{name}: {} due\n", reminders.len());
                for Reminder { fact, occasion, severity, channels, subject, text: words } in reminders {
                    let channels: Vec<&str> = channels.iter().map(|name| name.as_str()).collect();
                    let occasion = match occasion {
                        Occasion::Threshold(Threshold(seconds)) => format!("at {seconds}"),
                        Occasion::Recovered => "recovered".to_owned(),
                    };
                    let channels = channels.join("+");
                    text += &format!(
                        "  fact {fact} {occasion} {severity:?} to {channels}: {subject} / {words:?}\n"
                    );
                }
            }
        }
    }
    text
}

#[track_caller]
fn check_reminders(behaviour: &str, subjects: &[Subject], expected: Expect) {
    let mut spec = spec(artifacts::THREE_QUESTIONS, serde_json::json!({ "behaviour": behaviour }));
    spec.limits.fuel_per_call = 1_000_000_000;
    let answer = SANDBOX.load(spec).unwrap().remind(&reminder_context(), subjects).answer;
    expected.assert_eq(&reminders(subjects, &answer));
}

#[test]
fn reminders_come_with_the_token_and_the_fact_they_are_about() {
    check_reminders(
        "none",
        &subjects(),
        expect![[r#"
        emea: 2 due
          fact 0 at 777600 Warning to ops+security: token of emea / "first line about\n\n  second line"
          fact 1 at -172800 Critical to ops+security: terms of emea / "first line about of 2026\n\n  second line"
        amer: 0 due
    "#]],
    );
}

#[test]
fn a_reminder_policy_is_told_everything_but_secrets() {
    let answer = behaving("show").answer_reminder(&reminder_context(), &subjects());
    expect![[r#"
        Setup {
          profiles: ["kiosk",
          "standard"],
          channels: ["ops",
          "security"],
          tokens: ["emea",
          "amer"] }
        Context {
          now: 1767950000,
          utc-offset: 3600,
          channels: ["ops",
          "security"] }
        Token {
          name: "emea",
          server-name: "Deputy",
          org-name: "Example AG",
          admin-id: "it@example.com",
          contacts: ["emea-it@example.com",
          "boss@example.com"],
          devices: 17,
          facts: [Fact {
          kind: "token",
          name: "",
          ends: Some(1768727600),
          trouble: None,
          told: None,
          acknowledged: false },
          Fact {
          kind: "terms",
          name: "of 2026",
          ends: None,
          trouble: Some(Trouble {
          code: "terms-not-signed",
          message: "somebody has to agree",
          advice: "go to the portal\nand agree",
          since: 1767777200 }),
          told: Some(-86400),
          acknowledged: true }] }
        Token {
          name: "amer",
          server-name: "Deputy",
          org-name: "Example AG",
          admin-id: "it@example.com",
          contacts: ["emea-it@example.com",
          "boss@example.com"],
          devices: 17,
          facts: [] }
    "#]]
    .assert_eq(&lines(&answer.log));
}

#[test]
fn no_tokens_are_no_work() {
    let answer = behaving("trap").answer_reminder(&reminder_context(), &[]);
    assert_eq!((answer.answer.len(), answer.usage.calls), (0, 0));
}

#[test]
fn the_token_that_a_policy_fails_on_silences_no_other() {
    let subjects: Vec<Subject> =
        ["one", "two.bad", "three"].iter().map(|name| subject(name, vec![fact("token", 9)])).collect();
    let mut found = String::new();
    for behaviour in ["trap", "too-few", "too-many", "unknown-fact", "unknown-channel", "huge", "many"] {
        let mut spec = spec(
            artifacts::THREE_QUESTIONS,
            serde_json::json!({ "behaviour": format!("{behaviour}-on-bad") }),
        );
        spec.limits.fuel_per_call = 1_000_000_000;
        let answer = SANDBOX.load(spec).unwrap().remind(&reminder_context(), &subjects).answer;
        assert!(answer[0].is_ok() && answer[2].is_ok(), "{answer:?}");
        found += &format!("{}\n", answer[1].as_ref().unwrap_err());
    }
    expect![[r#"
        plugin `site-policy` trapped: wasm `unreachable` instruction executed
        plugin `site-policy` broke the contract: the number of lists (0) is not that of the tokens (1)
        plugin `site-policy` broke the contract: the number of lists (2) is not that of the tokens (1)
        plugin `site-policy` broke the contract: it reminded of fact 99 of token `two.bad`, and there are 1
        plugin `site-policy` broke the contract: it wrote to channel 2, and there are 2
        plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
        plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
    "#]].assert_eq(&found);
}

#[test]
fn more_tokens_than_one_call_takes_are_asked_about_in_several() {
    let subjects: Vec<Subject> =
        (0..1_001).map(|index| subject(&format!("t{index}"), vec![fact("token", 9)])).collect();
    let answered = behaving("none").remind(&reminder_context(), &subjects);
    assert_eq!((answered.answer.len(), answered.usage.calls), (1_001, 2));
    let subjects_told: Vec<&str> =
        answered.answer.iter().map(|answer| answer.as_ref().unwrap()[0].subject.as_str()).collect();
    assert_eq!((subjects_told[0], subjects_told[1_000]), ("token of t0", "token of t1000"));
}

#[test]
fn texts_of_reminders_are_cleaned_and_cut_and_keep_their_lines() {
    let answer = behaving("long").remind(&reminder_context(), &subjects()).answer;
    let reminder = &answer[0].as_ref().unwrap()[0];
    assert!(reminder.subject.len() <= 256 && reminder.subject.starts_with("é é é"), "{}", reminder.subject);
    assert!(reminder.text.len() <= 8 << 10 && reminder.text.starts_with("é\né\n"));
    assert!(reminder.text.len() > 8_000);
    check_reminders(
        "empty",
        &[subject("emea", vec![fact("token", 9)])],
        expect![[r#"
        emea: 1 due
          fact 0 at 777600 Warning to ops+security: no subject given / ""
    "#]],
    );
    check_reminders(
        "channels-twice",
        &[subject("emea", vec![fact("token", 9)])],
        expect![[r#"
        emea: 1 due
          fact 0 at 777600 Warning to security: token of emea / "first line about\n\n  second line"
    "#]],
    );
}

// May this plan go ahead?

fn review_context() -> review::Context {
    let Context { now, utc_offset, token, tables, .. } = context();
    review::Context { now, utc_offset, token, workflow: "auto-assign".parse().unwrap(), tables }
}

fn plan() -> Plan {
    let action = |serial: &str, from: Option<&str>| Action {
        serial_number: serial.parse().unwrap(),
        from: from.map(str::to_owned),
        to: "kiosk".to_owned(),
        reason: "rule 1".into(),
    };
    let moved =
        |from: Option<&str>| Move { from: from.map(str::to_owned), to: "kiosk".to_owned(), devices: 1 };
    Plan {
        devices: 36,
        first_assignments: 1,
        reassignments: 2,
        already_right: 3,
        held: 4,
        faults: 5,
        ignored: 6,
        waiting: 7,
        moves: vec![moved(Some("standard")), moved(None)],
        actions: vec![action("C1", Some("standard")), action("C2", None)],
    }
}

#[track_caller]
fn check_review(behaviour: &str, plan: &Plan, expected: Expect) {
    let mut spec = spec(artifacts::THREE_QUESTIONS, serde_json::json!({ "behaviour": behaviour }));
    spec.limits.fuel_per_call = 100_000_000;
    let answer = SANDBOX.load(spec).unwrap().review(&review_context(), plan).answer;
    let found = match answer {
        Ok(Opinion { decision, reason }) => format!("{decision:?}: {reason}"),
        Err(unanswered) => unanswered.to_string(),
    };
    expected.assert_eq(&format!("{found}\n"));
}

#[test]
fn a_plan_is_approved_questioned_or_refused_with_a_reason() {
    check_review(
        "none",
        &Plan::default(),
        expect![[r#"
        Approve: only first assignments
    "#]],
    );
    check_review(
        "none",
        &plan(),
        expect![[r#"
        Ask: 2 devices change:
        [31msee
    "#]],
    );
    check_review(
        "refuse",
        &plan(),
        expect![[r#"
        Refuse: not today
    "#]],
    );
    check_review(
        "empty",
        &plan(),
        expect![[r#"
        Approve: no reason given
    "#]],
    );
}

#[test]
fn a_review_is_told_the_whole_plan() {
    let answer = behaving("show").answer_review(&review_context(), &plan());
    expect![[r#"
        Setup {
          profiles: ["kiosk",
          "standard"],
          channels: ["ops",
          "security"],
          tokens: ["emea",
          "amer"] }
        Context {
          now: 1767950000,
          utc-offset: 0,
          token: "emea",
          workflow: "auto-assign" }
        Plan {
          devices: 36,
          first-assignments: 1,
          reassignments: 2,
          already-right: 3,
          held: 4,
          faults: 5,
          ignored: 6,
          waiting: 7,
          moves: [Move {
          from: Some("standard"),
          to: "kiosk",
          devices: 1 },
          Move {
          from: None,
          to: "kiosk",
          devices: 1 }],
          actions: [Action {
          serial-number: "C1",
          from: Some("standard"),
          to: "kiosk",
          reason: "rule 1" },
          Action {
          serial-number: "C2",
          from: None,
          to: "kiosk",
          reason: "rule 1" }] }
    "#]]
    .assert_eq(&lines(&answer.log));
}

#[test]
fn a_review_that_fails_says_so_and_approves_nothing() {
    check_review(
        "trap",
        &plan(),
        expect![[r#"
        plugin `site-policy` trapped: wasm `unreachable` instruction executed
    "#]],
    );
    check_review(
        "huge",
        &plan(),
        expect![[r#"
        plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
    "#]],
    );
    let answer = behaving("long").review(&review_context(), &plan()).answer.unwrap();
    assert!(answer.reason.len() <= 1_024 && answer.reason.starts_with("é\né\n"), "{}", answer.reason);
}

#[test]
fn a_large_plan_is_reviewed_in_one_call() {
    let mut plan = plan();
    let action = plan.actions[0].clone();
    plan.actions = vec![action; 3_000];
    let answered = behaving("none").review(&review_context(), &plan);
    assert!(answered.answer.is_ok());
    assert_eq!(answered.usage.calls, 1);
    assert!(answered.usage.fuel > 0);
}

// One component, several questions, several versions.

#[test]
fn a_policy_that_is_asked_what_it_does_not_answer_says_so() {
    let plugin = SANDBOX.load(spec(artifacts::MISBEHAVE, serde_json::json!({}))).unwrap();
    assert_eq!(plugin.questions(), [Question::Assignment]);
    let answer = plugin.remind(&reminder_context(), &subjects()).answer;
    expect![[r#"
        emea: plugin `site-policy` does not answer the question `reminder`
        amer: plugin `site-policy` does not answer the question `reminder`
    "#]]
    .assert_eq(&reminders(&subjects(), &answer));
    let answer = plugin.review(&review_context(), &plan()).answer;
    expect![[r#"
        plugin `site-policy` does not answer the question `review`
    "#]]
    .assert_eq(&format!("{}\n", answer.unwrap_err()));
}

#[test]
fn the_same_question_gets_the_same_answer_however_often_and_in_whatever_batches() {
    let settings = serde_json::json!({
        "rules": [
            { "when": { "serial_number": "*7" }, "assign": "kiosk" },
            { "when": { "serial_number": "*5" }, "hold_until": "2026-02-01", "reason": "too early" },
            { "when": { "serial_number": "*3" }, "ignore": true },
        ],
    });
    let rules = spec(shipped::RULES, settings);
    let spread = spec(artifacts::THREE_QUESTIONS, serde_json::json!({ "behaviour": "spread" }));
    let serials: Vec<String> = (0..2_100).map(|index| format!("C{index}")).collect();
    let devices = devices(&serials.join(" "));
    for spec in [rules, spread] {
        let plugin = SANDBOX.load(spec).unwrap();
        let verdicts = |size: usize| {
            let mut text = String::new();
            for batch in devices.chunks(size) {
                text += &shown(batch, &plugin.decide(&context(), batch).answer);
            }
            text
        };
        let expected = verdicts(1_000);
        assert!(
            expected.contains("assign") && expected.contains("hold until") && expected.contains("ignore")
        );
        assert!(expected == verdicts(1_000), "the same twice");
        assert!(expected == verdicts(1), "the same alone");
        assert!(expected == verdicts(7), "the same among seven");
        let held = |verdict: &domain::verdict::Verdict| matches!(verdict.decision, Decision::Hold { .. });
        let [first, second] = [(); 2].map(|()| plugin.answer_assignment(&context(), &devices));
        assert_eq!(first.usage.fuel, second.usage.fuel);
        assert!(first.answer.iter().any(held) && first.faults.is_empty());
        assert_eq!(first.usage.calls, 3);
    }
}
