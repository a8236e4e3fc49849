//! A policy that misbehaves costs the devices it misbehaves on a hold, and nothing else.

use domain::policy::Policy as _;
use expect_test::{Expect, expect};
use sandbox::{Answer, Limits, Plugin};

use crate::help::{SANDBOX, context, devices, shown, spec};

fn load(behaviour: &str) -> Plugin {
    SANDBOX.load(spec(artifacts::MISBEHAVE, serde_json::json!({ "behaviour": behaviour }))).unwrap()
}

#[track_caller]
fn check(behaviour: &str, serials: &str, expected: Expect) {
    let devices = devices(serials);
    expected.assert_eq(&shown(&devices, &load(behaviour).decide(&context(), &devices).answer));
}

/// The same with so much fuel that another limit comes first.
#[track_caller]
fn check_with_much_fuel(behaviour: &str, serials: &str, expected: Expect) {
    let mut spec = spec(artifacts::MISBEHAVE, serde_json::json!({ "behaviour": behaviour }));
    spec.limits.fuel_per_call = 1_000_000_000;
    let plugin = SANDBOX.load(spec).unwrap();
    let devices = devices(serials);
    expected.assert_eq(&shown(&devices, &plugin.decide(&context(), &devices).answer));
}

#[test]
fn a_policy_that_behaves_is_believed() {
    check(
        "none",
        "C1 C2",
        expect![[r#"
            C1 hold: fine
            C2 hold: fine
        "#]],
    );
}

#[test]
fn no_devices_are_no_work() {
    check("trap", "", expect![""]);
}

#[test]
fn a_trap_on_one_device_holds_that_device_and_the_others_go_on() {
    check(
        "trap-on-bad",
        "C1 C2 C3BAD C4 C5",
        expect![[r#"
            C1 hold: fine
            C2 hold: fine
            C3BAD hold: fault: plugin `site-policy` trapped: wasm `unreachable` instruction executed
            C4 hold: fine
            C5 hold: fine
        "#]],
    );
}

#[test]
fn a_loop_on_one_device_holds_that_device_and_the_others_go_on() {
    check(
        "loop-on-bad",
        "C1BAD C2 C3",
        expect![[r#"
            C1BAD hold: fault: plugin `site-policy` ran out of fuel (5,213,500 for one device)
            C2 hold: fine
            C3 hold: fine
        "#]],
    );
}

#[test]
fn a_policy_that_eats_memory_is_held_for_it() {
    check_with_much_fuel(
        "eat-memory-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` wanted more than its 64 MiB of memory
        "#]],
    );
}

#[test]
fn a_policy_that_overflows_its_stack_is_held_for_it() {
    check(
        "overflow-the-stack-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` trapped: out of bounds memory access
        "#]],
    );
}

#[test]
fn verdicts_that_do_not_match_the_devices_are_not_believed() {
    check(
        "too-few-on-bad",
        "C1 C2 C3BAD",
        expect![[r#"
            C1 hold: fine
            C2 hold: fine
            C3BAD hold: fault: plugin `site-policy` broke the contract: the number of verdicts (0) is not that of the devices (1)
        "#]],
    );
    check(
        "too-many-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` broke the contract: the number of verdicts (2) is not that of the devices (1)
        "#]],
    );
}

#[test]
fn a_policy_cannot_invent_a_profile_a_reason_or_a_date() {
    check(
        "unknown-profile-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` broke the contract: it assigned profile 2, and there are 2
        "#]],
    );
    check(
        "unknown-reason-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` broke the contract: it gave reason 1, and there are 1
        "#]],
    );
    check(
        "endless-hold",
        "C1",
        expect![[r#"
            C1 hold: fault: plugin `site-policy` broke the contract: it held a device until second 18446744073709551615, which no calendar has
        "#]],
    );
}

#[test]
fn an_answer_that_is_too_large_or_no_text_is_not_read() {
    check_with_much_fuel(
        "huge-output-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
        "#]],
    );
    check_with_much_fuel(
        "many-reasons",
        "C1",
        expect![[r#"
            C1 hold: fault: plugin `site-policy` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
        "#]],
    );
    check(
        "bad-text",
        "C1",
        expect![[r#"
            C1 hold: fault: plugin `site-policy` broke the contract: invalid utf-8 sequence of 1 bytes from index 0
        "#]],
    );
}

#[test]
fn a_long_reason_is_cut_and_cannot_control_a_terminal() {
    let devices = devices("C1");
    let verdicts = load("long-reason").decide(&context(), &devices).answer;
    let reason = &verdicts[0].reason;
    assert!(reason.starts_with("[31mééé") && reason.ends_with('…') && reason.len() <= 256, "{reason}");
}

#[test]
fn a_log_that_is_flooded_ends_with_a_word_about_it_and_changes_no_verdict() {
    let devices = devices("C1");
    let Answer { answer: verdicts, log, .. } = load("flood-the-log").answer_assignment(&context(), &devices);
    expect![[r#"
        C1 hold: fine
    "#]]
    .assert_eq(&shown(&devices, &verdicts));
    assert_eq!(log[0].text, "line 0 is long");
    assert_eq!(log.last().unwrap().text, "the plugin logged more than it may; the rest was dropped");
    assert!(log.iter().map(|line| line.text.len()).sum::<usize>() <= Limits::default().log_bytes);
}

#[test]
fn logging_for_ever_runs_out_of_fuel() {
    check(
        "log-for-ever-on-bad",
        "C1 C2BAD",
        expect![[r#"
            C1 hold: fine
            C2BAD hold: fault: plugin `site-policy` ran out of fuel (5,217,500 for one device)
        "#]],
    );
}

#[test]
fn among_a_thousand_devices_the_guilty_are_found() {
    let serials: Vec<String> = (0..1_000)
        .map(|index| format!("C{index}{}", if [3, 500, 501, 999].contains(&index) { "BAD" } else { "" }))
        .collect();
    let devices = devices(&serials.join(" "));
    let verdicts = load("trap-on-bad").decide(&context(), &devices).answer;
    let guilty: Vec<usize> = (0..1_000).filter(|index| verdicts[*index].fault).collect();
    assert_eq!(guilty, [3, 500, 501, 999]);
}

#[test]
fn a_policy_that_always_loops_is_given_up_and_holds_everything() {
    let serials: Vec<String> = (0..1_000).map(|index| format!("C{index}")).collect();
    let devices = devices(&serials.join(" "));
    let Answer { answer: verdicts, usage, .. } = load("loop").answer_assignment(&context(), &devices);
    assert!(verdicts.iter().all(|verdict| verdict.fault));
    expect![[r#"
        plugin `site-policy` ran out of fuel (17,610,000 for 63 devices); it was not tried on this device alone
    "#]].assert_eq(&format!("{}\n", verdicts[100].reason));
    // About five times what the batch had, not a thousand times.
    assert!(usage.fuel < 6 * 205_000_000, "{}", usage.fuel);
}

#[test]
fn a_deadline_that_is_missed_holds_the_batch_without_a_search() {
    let mut spec = spec(artifacts::MISBEHAVE, serde_json::json!({ "behaviour": "loop" }));
    spec.limits.fuel_per_call = u64::MAX;
    spec.limits.time = std::time::Duration::from_millis(30);
    let plugin = SANDBOX.load(spec).unwrap();
    let devices = devices("C1 C2");
    expect![[r#"
        C1 hold: fault: plugin `site-policy` took longer than 30ms; it was not tried on this device alone
        C2 hold: fault: plugin `site-policy` took longer than 30ms; it was not tried on this device alone
    "#]]
    .assert_eq(&shown(&devices, &plugin.decide(&context(), &devices).answer));
}

#[test]
fn the_same_question_gets_the_same_answer_for_the_same_fuel() {
    let plugin = load("none");
    let devices = devices("C1 C2 C3");
    let [first, second] = [(); 2].map(|()| plugin.answer_assignment(&context(), &devices));
    assert_eq!(first.answer, second.answer);
    assert_eq!(first.usage.fuel, second.usage.fuel);
}

#[test]
fn many_threads_may_ask_at_once() {
    let plugin = load("trap-on-bad");
    let devices = devices("C1 C2BAD C3");
    let expected = plugin.decide(&context(), &devices).answer;
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(plugin.decide(&context(), &devices).answer, expected));
        }
    });
}

#[test]
fn a_policy_sees_the_fields_it_asks_for_and_no_others() {
    let mut devices = devices("C1");
    let device = &mut devices[0];
    device.model = Some("iPad Air".to_owned());
    device.device_assigned_by = Some("eve@example.com".to_owned());
    device.device_assigned_date = Some("1970-01-01T00:01:00Z".parse().unwrap());
    device.extra.insert("wifi_mac".to_owned(), "00:11".to_owned());

    let everything = load("show-what-it-sees");
    let reason = everything.decide(&context(), &devices).answer[0].reason.to_string();
    expect![[r#"
        Device { serial-number: "C1", model: Some("iPad Air"), description: None, color: None, asset-tag: None, os: None, device-family: None, profile-status: ProfileStatus::Empty, profile-uuid: None, profile-assign-time: None, profile-push-time: None, device-a…
    "#]].assert_eq(&format!("{reason}\n"));
    assert_eq!(everything.reads().len(), 13);
    assert_eq!(load("reads-nothing").reads(), ["serial_number"]);
}
