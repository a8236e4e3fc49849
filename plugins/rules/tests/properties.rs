//! Verdicts depend on the device and the settings, and on nothing else.

use deputy_policy::assignment::{Context, Decision, Device};
use deputy_policy::{Assignment as _, NoTables, Setup, configure};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use rules::Rules;
use trial::any_device;

const SETTINGS: &str = r#"{
    "default": { "assign": "standard" },
    "rules": [
        { "when": { "serial_number": "*7" }, "assign": "kiosk" },
        { "when": { "model": ["Mac*", "iPad"] }, "unless": { "asset_tag": "" }, "hold": true },
        { "when": { "device_assigned_date": { "older_than": "30d" } }, "ignore": true }
    ]
}"#;

fn setup() -> Setup {
    Setup { profiles: vec!["kiosk".into(), "standard".into()], channels: vec![], tokens: vec![] }
}

fn decide(devices: &[Device]) -> Vec<(Decision, String)> {
    let policy: Rules = configure(SETTINGS.to_owned(), &setup()).unwrap();
    let context =
        Context { now: 1_767_949_200, utc_offset: 0, token: "emea".into(), profiles: setup().profiles };
    let answer = policy.decide(&context, devices, &NoTables);
    answer.verdicts.iter().map(|it| (it.decision, answer.reasons[it.reason as usize].clone())).collect()
}

proptest! {
    #[test]
    fn the_same_at_any_batch_size_and_in_any_order(
        devices in prop::collection::vec(any_device(), 0..60),
        size in 1..60_usize,
    ) {
        let together = decide(&devices);
        let in_batches: Vec<_> = devices.chunks(size).flat_map(decide).collect();
        prop_assert_eq!(&together, &in_batches);
        let mut backwards = decide(&devices.iter().rev().cloned().collect::<Vec<_>>());
        backwards.reverse();
        prop_assert_eq!(&together, &backwards);
    }

    #[test]
    fn settings_of_any_shape_are_read_or_refused_without_a_panic(settings in "[\\[\\]{}\":,a-z0-9 *.]{0,60}") {
        let _ = configure::<Rules>(settings, &setup());
    }
}

/// A component reads its settings for every call.
#[test]
fn fifty_thousand_serial_numbers_are_found() {
    let serials: Vec<String> = (0..50_000).map(|index| format!("\"C02{index:06}Q\"")).collect();
    let settings =
        format!(r#"{{"rules":[{{"when":{{"serial_number":[{}]}},"assign":"kiosk"}}]}}"#, serials.join(","));
    let policy: Rules = configure(settings, &setup()).unwrap();
    let context = Context { now: 0, utc_offset: 0, token: "emea".into(), profiles: setup().profiles };
    let decide = |serial: &str| {
        let mut device = any_device().new_tree(&mut Default::default()).unwrap().current();
        device.serial_number = serial.to_owned();
        policy.decide(&context, &[device], &NoTables).verdicts[0].decision
    };
    assert_eq!(decide("c02000000q"), Decision::Assign(0));
    assert_eq!(decide("C02049999Q"), Decision::Assign(0));
    assert_eq!(decide("C02050000Q"), Decision::Hold(None));
}
