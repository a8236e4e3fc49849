use expect_test::{Expect, expect};

use super::*;

/// Reads one device as a page holds it and says what is known of it.
#[track_caller]
fn check(json: &str, expected: Expect) {
    expected.assert_eq(&said(read_both_ways(json)));
}

/// In a page and on its own, a device comes to the same.
#[track_caller]
fn read_both_ways(json: &str) -> Result<Entry, Unreadable> {
    let raw: &RawValue = serde_json::from_str(json).unwrap();
    let alone = read(raw, None);
    if let Ok(in_page) = Item.deserialize(&mut serde_json::Deserializer::from_str(json)) {
        assert_eq!(format!("{in_page:?}"), format!("{alone:?}"));
    }
    alone
}

fn said(result: Result<Entry, Unreadable>) -> String {
    match result {
        Ok(Entry { change: Change { device, kind, at }, .. }) => {
            let device = serde_json::to_value(&device).unwrap();
            let fields = device.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<String> = fields.map(|(name, value)| format!("{name} {value}\n")).collect();
            let at = at.map(|at| at.to_string()).unwrap_or_default();
            format!("{}\n{}", format!("{kind:?} {at}").trim_end(), fields.concat())
        }
        Err(Unreadable { serial, why }) => format!("unreadable: {serial:?}: {why}\n"),
    }
}

#[test]
fn a_device_of_a_full_fetch_is_read_whole() {
    check(
        r#"{"serial_number":"C02ZQ1XAMD6T","model":"MacBook Pro","description":"MBP 14.2 SPACE BLACK\/M4\/16GB",
            "color":"SPACE BLACK","asset_tag":"","os":"OSX","device_family":"Mac","profile_status":"pushed",
            "profile_uuid":"7C1E88D0A4B94B6E9C3F2A5D6E7F8091","profile_assign_time":"2026-01-08T15:02:11Z",
            "profile_push_time":"2026-01-08T17:40:03Z","device_assigned_by":"enroll-admin@orchard.example",
            "device_assigned_date":"2026-01-07T10:00:00Z"}"#,
        expect![[r#"
            Listed
            color "SPACE BLACK"
            description "MBP 14.2 SPACE BLACK/M4/16GB"
            device_assigned_by "enroll-admin@orchard.example"
            device_assigned_date "2026-01-07T10:00:00Z"
            device_family "Mac"
            extra {}
            model "MacBook Pro"
            os "OSX"
            profile_assign_time "2026-01-08T15:02:11Z"
            profile_push_time "2026-01-08T17:40:03Z"
            profile_status "pushed"
            profile_uuid "7C1E88D0A4B94B6E9C3F2A5D6E7F8091"
            serial_number "C02ZQ1XAMD6T"
        "#]],
    );
}

#[test]
fn a_change_says_what_happened_and_when() {
    check(
        r#"{"serial_number":"F9FXK2J0Q1GH","op_type":"deleted","op_date":"2026-01-09T09:58:30Z","released_by_replacement":true}"#,
        expect![[r#"
            Deleted 2026-01-09T09:58:30Z
            extra {"released_by_replacement":"true"}
            profile_status "empty"
            serial_number "F9FXK2J0Q1GH"
        "#]],
    );
}

#[test]
fn a_serial_number_is_enough() {
    check(
        r#"{"serial_number":" c02aa "}"#,
        expect![[r#"
            Listed
            extra {}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn fields_of_tomorrow_are_kept_as_text() {
    check(
        r#"{"serial_number":"C02AA","imei":["350000000000011", "350000000000029"],"eid":"8904","is_replacement_device":false,
            "mdm_migration_deadline":"0001-01-01T00:00:00Z","wifi_mac_address":"","meid":null,"weight":1.50,"new":{"a": [1]}}"#,
        expect![[r#"
            Listed
            extra {"eid":"8904","imei":"[\"350000000000011\",\"350000000000029\"]","is_replacement_device":"false","new":"{\"a\":[1]}","weight":"1.5"}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn an_empty_text_or_a_time_in_the_year_one_is_none() {
    check(
        r#"{"serial_number":"C02AA","color":" ","os":null,"profile_uuid":"","profile_status":"","profile_push_time":"0001-01-01T00:00:00Z",
            "op_date":"0001-01-01T00:00:00Z","device_assigned_date":""}"#,
        expect![[r#"
            Listed
            extra {}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn a_field_of_another_type_is_kept_as_text() {
    check(
        r#"{"serial_number":"C02AA","model":17,"color":["BLACK"],"device_assigned_by":-1,"profile_push_time":1767225700,
            "device_assigned_date":"yesterday"}"#,
        expect![[r#"
            Listed
            extra {"color":"[\"BLACK\"]","device_assigned_by":"-1","device_assigned_date":"yesterday","model":"17","profile_push_time":"1767225700"}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn words_of_tomorrow_are_kept_beside_what_they_count_as() {
    check(
        r#"{"serial_number":"C02AA","profile_status":"pending","op_type":"borrowed"}"#,
        expect![[r#"
            Modified
            extra {"op_type":"borrowed","profile_status":"pending"}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn the_profile_of_a_device_that_has_none_may_be_anything() {
    check(
        r#"{"serial_number":"C02AA","profile_status":"removed","profile_uuid":"old"}"#,
        expect![[r#"
            Listed
            extra {"profile_uuid":"old"}
            profile_status "removed"
            serial_number "C02AA"
        "#]],
    );
    check(
        r#"{"serial_number":"C02AA","profile_uuid":0}"#,
        expect![[r#"
            Listed
            extra {"profile_uuid":"0"}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn a_device_whose_state_cannot_be_told_is_set_aside_by_name() {
    check(
        r#"{"serial_number":"C02AA","profile_status":1}"#,
        expect![[r#"
        unreadable: Some(SerialNumber("C02AA")): its profile_status is no text
    "#]],
    );
    check(
        r#"{"serial_number":"C02AA","profile_status":"assigned","profile_uuid":"old"}"#,
        expect![[r#"
        unreadable: Some(SerialNumber("C02AA")): its profile_uuid is no profile id
    "#]],
    );
    check(
        r#"{"serial_number":"C02AA","profile_status":"pushed","profile_uuid":{}}"#,
        expect![[r#"
        unreadable: Some(SerialNumber("C02AA")): its profile_uuid is no text
    "#]],
    );
    check(
        r#"{"serial_number":"C02AA","op_type":true}"#,
        expect![[r#"
        unreadable: Some(SerialNumber("C02AA")): its op_type is no text
    "#]],
    );
    check(
        r#"{"serial_number":"C02AA","op_date":"yesterday"}"#,
        expect![[r#"
        unreadable: Some(SerialNumber("C02AA")): its op_date is not a time
    "#]],
    );
}

#[test]
fn what_is_no_device_is_set_aside() {
    for json in ["null", "1", "-1", "true", "\"C02AA\"", "[{\"serial_number\":\"C02AA\"}]"] {
        assert_eq!(said(read_both_ways(json)), "unreadable: None: it is not a JSON object\n", "{json}");
    }
    for json in ["1e400", "\"\\ud800\"", r#"{"\ud800":1}"#] {
        assert_eq!(said(read_both_ways(json)), "unreadable: None: its JSON is broken\n", "{json}");
    }
    check(
        "{}",
        expect![[r#"
        unreadable: None: its serial_number is missing or is none
    "#]],
    );
    check(
        r#"{"serial_number":null}"#,
        expect![[r#"
        unreadable: None: its serial_number is missing or is none
    "#]],
    );
    check(
        r#"{"serial_number":["C02AA"]}"#,
        expect![[r#"
        unreadable: None: its serial_number is missing or is none
    "#]],
    );
    check(
        r#"{"serial_number":"C02 AA"}"#,
        expect![[r#"
        unreadable: None: its serial_number is missing or is none
    "#]],
    );
}

#[test]
fn of_a_field_that_comes_twice_the_last_counts() {
    check(
        r#"{"serial_number":"C02AB","model":"iPad","model":null,"new":1,"new":"two","serial_number":"C02AA"}"#,
        expect![[r#"
            Listed
            extra {"new":"two"}
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn half_a_letter_costs_its_field() {
    check(
        r#"{"serial_number":"C02AA","color":"\ud800","model":"caf\u00e9","n\u0065w":"\ud83d\ude00"}"#,
        expect![[r#"
            Listed
            extra {"color":"\"\\ud800\"","new":"😀"}
            model "café"
            profile_status "empty"
            serial_number "C02AA"
        "#]],
    );
}

#[test]
fn a_device_of_ten_megabytes_is_set_aside() {
    let json = format!(r#"{{"serial_number":"C02AA","description":"{}"}}"#, "x".repeat(10 << 20));
    check(
        &json,
        expect![[r#"
            unreadable: Some(SerialNumber("C02AA")): it has 10485789 bytes, more than 65536
        "#]],
    );
    let json = format!(r#"{{"serial_number":"{}"}}"#, "x".repeat(10 << 20));
    check(
        &json,
        expect![[r#"
        unreadable: None: its serial_number is missing or is none
    "#]],
    );
}

#[test]
fn ten_thousand_unknown_fields_set_a_device_aside() {
    let fields: String = (0..10_000).map(|field| format!(r#""field_{field}":{field},"#)).collect();
    check(
        &format!(r#"{{{fields}"serial_number":"C02AA"}}"#),
        expect![[r#"
            unreadable: Some(SerialNumber("C02AA")): it has 137798 bytes, more than 65536
        "#]],
    );
}

#[test]
fn endless_depth_is_kept_as_text() {
    let deep = format!(r#"{{"serial_number":"C02AA","new":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let device = read_both_ways(&deep).unwrap().change.device;
    assert_eq!(device.extra["new"].len(), 20_000);
}
