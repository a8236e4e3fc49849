//! The shipped rules, from an operator's settings to verdicts. What rules mean is tested beside them; here
//! is that they mean the same in the sandbox.

use domain::device::{Device, ProfileStatus};
use domain::policy::Policy as _;
use expect_test::expect;

use crate::help::{SANDBOX, context, devices, shown, spec};

#[test]
fn the_first_rule_that_matches_decides() {
    let settings = serde_json::json!({
        "default": { "assign": "standard" },
        "rules": [
            {
                "name": "library",
                "when": { "device_family": "iPad", "asset_tag": "lib-*" },
                "unless": { "profile_status": ["assigned", "pushed"] },
                "assign": "kiosk",
                "reason": "iPads bought by the library",
            },
            { "when": { "serial_number": ["C4", "C5"] }, "hold_until": "2026-02-01T00:00:00Z" },
            { "when": { "serial_number": "C6" }, "hold_until": "2026-01-01" },
            { "when": { "device_assigned_date": { "before": "2025-01-01" } }, "ignore": true },
            { "when": { "token": "amer" }, "hold": true },
            { "when": { "extra.wifi_mac": "00:?1*" }, "hold": true, "reason": "known antenna" },
        ],
    });
    let mut devices = devices("C1 C2 C3 C4 C5 C6 C7 C8");
    for device in &mut devices[0..2] {
        device.device_family = Some("iPad".to_owned());
        device.asset_tag = Some("LIB-17".to_owned());
    }
    devices[1].profile_status = ProfileStatus::Pushed;
    devices[6].device_assigned_date = Some("2024-06-01T12:00:00Z".parse().unwrap());
    devices[7].extra.insert("wifi_mac".to_owned(), "00:11:22".to_owned());
    let plugin = SANDBOX.load(spec(shipped::RULES, settings)).unwrap();
    expect![[r#"
        C1 assign kiosk: iPads bought by the library
        C2 assign standard: no rule matched
        C3 assign standard: no rule matched
        C4 hold until 2026-02-01T00:00:00Z: rule 2
        C5 hold until 2026-02-01T00:00:00Z: rule 2
        C6 assign standard: no rule matched
        C7 ignore: rule 4
        C8 hold: known antenna
    "#]]
    .assert_eq(&shown(&devices, &plugin.decide(&context(), &devices).answer));
    expect!["serial_number asset_tag device_family device_assigned_date extra"]
        .assert_eq(&plugin.reads().join(" "));
}

#[test]
fn the_same_verdict_alone_and_among_others() {
    let settings = serde_json::json!({ "rules": [{ "when": { "serial_number": "*7" }, "assign": "kiosk" }] });
    let plugin = SANDBOX.load(spec(shipped::RULES, settings)).unwrap();
    let serials: Vec<String> = (0..2_500).map(|index| format!("C{index}")).collect();
    let devices = devices(&serials.join(" "));
    let together = plugin.decide(&context(), &devices).answer;
    let alone: Vec<_> = devices
        .iter()
        .flat_map(|device| plugin.decide(&context(), std::slice::from_ref::<Device>(device)).answer)
        .collect();
    assert!(together == alone);
    assert_eq!(together.iter().filter(|verdict| &*verdict.reason == "rule 1").count(), 250);
}

#[test]
fn every_mistake_in_the_settings_is_said_where_it_stands() {
    let settings = serde_json::json!({
        "defualt": { "hold": true },
        "rules": [
            { "when": { "asset_tga": "LIB-*" }, "assign": "kisok" },
            { "when": { "model": 7, "device_assigned_date": { "after": "soon" } }, "hold": true, "ignore": true },
            { "name": "nothing" },
        ],
    });
    let error = SANDBOX.load(spec(shipped::RULES, settings)).expect_err("nearly everything is wrong");
    expect![[r#"
        plugin `site-policy` does not accept its settings:
          /defualt: unknown key `defualt` (did you mean `default`?)
          /rules/0/when/asset_tga: rule 1: devices have no field `asset_tga` (did you mean `asset_tag`?)
          /rules/0/assign: rule 1: there is no profile `kisok` (did you mean `kiosk`?)
          /rules/1/when/device_assigned_date/after: rule 2: "soon" is not a date (such as `2026-02-01` or `2026-02-01T08:00:00+01:00`)
          /rules/1/when/model: rule 2: this is a text or a list of texts, not 7 (such as `"LIB-*"` or `["A", "B"]`; numbers are compared with `{ min = 1, max = 9 }`)
          /rules/1: rule 2: `hold` and `ignore` exclude each other
          /rules/2: rule `nothing`: nothing says what to do (add one of `assign = "PROFILE"`, `hold = true` and `ignore = true`)"#]].assert_eq(&error.to_string());
}
