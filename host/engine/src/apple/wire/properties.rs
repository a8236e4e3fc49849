//! What holds for every answer there could be.

use domain::id::SerialNumber;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::DeserializeSeed as _;
use serde_json::value::RawValue;

use super::super::mutation::{config, edited, edits, json, mutated};
use super::{account, defined, device, lock, outcome, page, services, session};

const ANSWERS: [&str; 6] = [
    r#"{"cursor":"MDow","fetched_until":"2026-01-09T09:13:20Z","more_to_follow":true,"devices":[{"serial_number":"C02ZQ1XAMD6T","model":"MacBook Pro","os":"OSX","profile_status":"pushed","profile_uuid":"7C1E88D0A4B94B6E9C3F2A5D6E7F8091","op_type":"added","op_date":"2026-01-09T09:41:07Z","imei":["35"]}]}"#,
    r#"{"devices":{"C02AA":{"serial_number":"C02AA","model":"iPad","response_status":"SUCCESS"},"C02AB":{"response_status":"NOT_ACCESSIBLE"}}}"#,
    r#"{"profile_uuid":"7C1E88D0A4B94B6E9C3F2A5D6E7F8091","devices":{"C02AA":"SUCCESS","C02AB":"THROTTLED"},"retry_after_seconds":3600}"#,
    r#"{"server_name":"Orchard","server_uuid":"5D3A","org_id":1,"urls":[{"uri":"/devices/sync","http_method":["POST"],"limit":{"default":1000,"maximum":1000}}]}"#,
    r#"{"auth_session_token":"4d1f","response_status":"SUCCESS"}"#,
    r#"{"original_device_serial_number":"C1","replacement_date":"2026-01-05","betaEnrollmentTokens":[{"token":"x"}],"mdm_service_discovery_url":"https://x"}"#,
];

const DEVICES: [&str; 2] = [
    r#"{"serial_number":"C02ZQ1XAMD6T","model":"MacBook Pro","description":"MBP","color":"SPACE BLACK","asset_tag":"","os":"OSX","device_family":"Mac","profile_status":"pushed","profile_uuid":"7C1E88D0A4B94B6E9C3F2A5D6E7F8091","profile_assign_time":"2026-01-08T15:02:11Z","profile_push_time":"2026-01-08T17:40:03Z","device_assigned_by":"a@b.example","device_assigned_date":"2026-01-07T10:00:00Z"}"#,
    r#"{"serial_number":"F9FXK2J0Q1GH","op_type":"deleted","op_date":"2026-01-09T09:58:30Z","released_by_replacement":true,"imei":["350000000000011"],"wifi_mac_address":"00:11","battery":{"cycles":1.5}}"#,
];

/// A device with some of its fields replaced by any JSON, or with some bytes changed.
fn device() -> impl Strategy<Value = String> {
    const NAMES: [&str; 8] = [
        "serial_number",
        "model",
        "profile_status",
        "profile_uuid",
        "profile_assign_time",
        "op_type",
        "op_date",
        "new",
    ];
    let field = (proptest::sample::select(&NAMES[..]), json());
    let typed = vec(field, 0..6).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!(
            "{{\"serial_number\":\"C02AA\"{}{}}}",
            if fields.is_empty() { "" } else { "," },
            fields.join(",")
        )
    });
    let changed = (proptest::sample::select(&DEVICES[..]), edits())
        .prop_map(|(text, edits)| edited(text.as_bytes().to_vec(), &edits))
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    prop_oneof![typed, json(), changed]
}

/// What one device reads like when it is read quickly, if it can be, and carefully, if it is JSON.
fn both_ways(json: &str) -> (Option<String>, Option<String>) {
    let mut quick = serde_json::Deserializer::from_str(json);
    let quick =
        device::Item.deserialize(&mut quick).and_then(|read| quick.end().map(|()| format!("{read:?}")));
    let careful =
        serde_json::from_str::<&RawValue>(json).map(|json| format!("{:?}", device::read(json, None)));
    (quick.ok(), careful.ok())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_answer_is_ever_a_panic(
        body in prop_oneof![mutated(&ANSWERS), json().prop_map(String::into_bytes), vec(any::<u8>(), 0..64)],
    ) {
        let asked: [SerialNumber; 2] = ["C02AA".parse().unwrap(), "C02AB".parse().unwrap()];
        _ = (session(&body), defined(&body), account::account(&body), page::page(&body), lock::locked(&body));
        _ = (page::next(&body), services::replacement(&body), services::beta_tokens(&body), services::discovery(&body));
        if let Ok(lookups) = page::lookups(&body, &asked) {
            prop_assert_eq!(lookups.len(), 2);
        }
        if let Ok(assigned) = outcome::assigned(&body, &asked) {
            prop_assert_eq!(assigned.outcomes.len(), 2);
        }
    }

    #[test]
    fn a_device_reads_the_same_quickly_and_carefully(json in device()) {
        let (quick, careful) = both_ways(&json);
        if let Some(quick) = quick {
            prop_assert_eq!(Some(quick), careful);
        }
    }

    #[test]
    fn a_broken_device_costs_no_other(json in device(), at in 0..4_usize) {
        // What is no JSON at all breaks the page, and cannot be told from the rest of it.
        if serde_json::from_str::<&RawValue>(&json).is_err() {
            return Ok(());
        }
        let mut devices: Vec<String> =
            (0..3).map(|nth| format!("{{\"serial_number\":\"GOOD{nth}\",\"model\":\"iPad\"}}")).collect();
        devices.insert(at, json);
        let body = format!("{{\"cursor\":\"a\",\"more_to_follow\":true,\"devices\":[{}]}}", devices.join(","));
        let answer = page::page(body.as_bytes()).map_err(TestCaseError::fail)?;
        let mut good = answer.page.changes.iter().filter(|it| it.device.serial_number.as_str().starts_with("GOOD"));
        prop_assert_eq!(good.by_ref().count(), 3);
        prop_assert_eq!(answer.page.changes.len() + answer.unreadable.len(), 4);
        prop_assert_eq!(page::next(body.as_bytes()), answer.page.cursor.map(|cursor| (cursor, true)));
    }
}
