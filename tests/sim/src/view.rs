//! A device in the JSON of an answer, with what the reader's protocol version knows.

use crate::device::{Device, Op};
use crate::hardware::{Ascii, Hardware};
use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A device in the JSON of an answer.
pub(crate) struct View<'a> {
    pub(crate) device: &'a Device,
    /// Fields that are newer than this are left out.
    pub(crate) version: u32,
    pub(crate) op: Option<(Op, i64)>,
    pub(crate) response_status: Option<&'static str>,
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { device, version, op, response_status } = *self;
        let kind = &*device.kind;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("serial_number", &*device.serial)?;
        map.serialize_entry("model", &kind.model)?;
        entry(&mut map, "description", &kind.description)?;
        entry(&mut map, "color", &kind.color)?;
        entry(&mut map, "asset_tag", &device.asset_tag())?;
        if version >= 2 {
            // Before version 7 an iPad was an iOS device.
            let os = kind.os.as_deref().map(|os| if version < 7 && os == "iPadOS" { "iOS" } else { os });
            entry(&mut map, "os", &os)?;
            entry(&mut map, "device_family", &kind.family)?;
        }
        if op.is_none_or(|(op, _)| op != Op::Deleted) {
            map.serialize_entry("profile_status", &device.status)?;
            entry(&mut map, "profile_uuid", &device.profile)?;
            entry(&mut map, "profile_assign_time", &device.assign_time().map(Seconds))?;
            entry(&mut map, "profile_push_time", &device.push_time().map(Seconds))?;
            map.serialize_entry("device_assigned_by", &kind.assigned_by)?;
            map.serialize_entry("device_assigned_date", &Seconds(device.assigned_date))?;
            if version >= 10
                && let Some(hardware) = device.hardware()
            {
                self.hardware(&mut map, hardware)?;
            }
        }
        for (field, value) in device.extra() {
            let only_deleted = field == "released_by_replacement";
            let shown = !only_deleted || matches!(op, Some((Op::Deleted, _)));
            if shown && !value.is_null() && since(field) <= version {
                map.serialize_entry(field, value)?;
            }
        }
        if let Some((op, at)) = op {
            map.serialize_entry("op_type", &op)?;
            map.serialize_entry("op_date", &Seconds(at))?;
        }
        entry(&mut map, "response_status", &response_status)?;
        map.end()
    }
}

impl View<'_> {
    /// Addresses and numbers, unless fields of the same names were given.
    fn hardware<M: SerializeMap>(&self, map: &mut M, hardware: Hardware) -> Result<(), M::Error> {
        let wanted = |field: &str| !self.device.has_extra(field);
        let family = self.device.kind.family.as_deref();
        let wired = matches!(family, Some("AppleTV" | "Mac")).then_some("ethernet_mac_address");
        let addresses = [Some("wifi_mac_address"), Some("bluetooth_mac_address"), wired];
        for (nth, field) in (0..).zip(addresses) {
            if let Some(field) = field.filter(|field| wanted(field)) {
                map.serialize_entry(field, &hardware.mac(nth))?;
            }
        }
        if family != Some("iPhone") {
            return Ok(());
        }
        if wanted("imei") {
            map.serialize_entry("imei", &[hardware.imei(0), hardware.imei(1)])?;
        }
        if wanted("eid") {
            map.serialize_entry("eid", &hardware.eid())?;
        }
        Ok(())
    }
}

/// The protocol version that introduced a field we carry without understanding it.
fn since(field: &str) -> u32 {
    match field {
        "mdm_migration_deadline" => 8,
        "bluetooth_mac_address"
        | "wifi_mac_address"
        | "ethernet_mac_address"
        | "imei"
        | "meid"
        | "eid"
        | "is_replacement_device"
        | "released_by_replacement" => 10,
        _ => 0,
    }
}

/// Seconds since 1970 as Apple writes times.
pub(crate) struct Seconds(pub(crate) i64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.digits() {
            Some(text) => text.serialize(serializer),
            None => serializer.collect_str(&Timestamp::from_second(self.0).unwrap_or_default()),
        }
    }
}

/// Days from the first of March 1600, where four hundred years begin, to 1970.
const DAYS_FROM_MARCH_1600: u64 = 135_080;

impl Seconds {
    /// `2026-01-09T10:20:00Z`, for the four hundred years from 1970 on. By hand: a page of a thousand
    /// devices has thousands of these, and they would take most of the time it takes to write it.
    fn digits(&self) -> Option<Ascii<20>> {
        let seconds = u64::try_from(self.0).ok().filter(|seconds| *seconds < 146_097 * 86_400)?;
        let (day, second) = (seconds / 86_400, seconds % 86_400);
        // Counted from the first of March, a leap day is the last day of its year.
        let day = day + DAYS_FROM_MARCH_1600;
        let (era, day) = (day / 146_097, day % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day_of_month = day - (153 * month + 2) / 5 + 1;
        let (year, month) = (year + 400 * era + 1600, month + 3);
        let (year, month) = if month > 12 { (year + 1, month - 12) } else { (year, month) };
        let mut text = *b"0000-00-00T00:00:00Z";
        let parts = [
            (0, year / 100),
            (2, year % 100),
            (5, month),
            (8, day_of_month),
            (11, second / 3600),
            (14, second / 60 % 60),
            (17, second % 60),
        ];
        for (at, number) in parts {
            text[at] += (number / 10) as u8;
            text[at + 1] += (number % 10) as u8;
        }
        Some(Ascii(text))
    }
}

fn entry<M: SerializeMap>(
    map: &mut M,
    field: &'static str,
    value: &Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.as_ref().map_or(Ok(()), |value| map.serialize_entry(field, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Kind;
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn check(fields: Value, version: u32, op: Option<Op>, expect: Expect) {
        let kind = Kind {
            model: "iPad (A16)".into(),
            os: Some("iPadOS".into()),
            assigned_by: "-1".into(),
            ..Kind::default()
        };
        let mut device = Device::new("DMPXR3TESTQ2", Arc::new(kind), 0);
        device.set(fields.as_object().unwrap(), 60).unwrap();
        let view = View { device: &device, version, op: op.map(|op| (op, 61)), response_status: None };
        expect.assert_eq(&serde_json::to_string(&view).unwrap());
    }

    #[test]
    fn fields_newer_than_the_version_are_left_out() {
        let fields = json!({"mdm_migration_deadline": "2026-02-01T00:00:00Z", "eid": "89", "future": [1]});
        check(
            fields.clone(),
            1,
            None,
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","profile_status":"empty","device_assigned_by":"-1","device_assigned_date":"1970-01-01T00:00:00Z","future":[1]}"#
            ]],
        );
        check(
            fields.clone(),
            6,
            None,
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","os":"iOS","profile_status":"empty","device_assigned_by":"-1","device_assigned_date":"1970-01-01T00:00:00Z","future":[1]}"#
            ]],
        );
        check(
            fields.clone(),
            9,
            None,
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","os":"iPadOS","profile_status":"empty","device_assigned_by":"-1","device_assigned_date":"1970-01-01T00:00:00Z","future":[1],"mdm_migration_deadline":"2026-02-01T00:00:00Z"}"#
            ]],
        );
        check(
            fields,
            10,
            None,
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","os":"iPadOS","profile_status":"empty","device_assigned_by":"-1","device_assigned_date":"1970-01-01T00:00:00Z","eid":"89","future":[1],"mdm_migration_deadline":"2026-02-01T00:00:00Z"}"#
            ]],
        );
    }

    #[test]
    fn a_status_brings_its_times() {
        check(
            json!({"profile_status": "pushed"}),
            7,
            Some(Op::Modified),
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","os":"iPadOS","profile_status":"pushed","profile_assign_time":"1970-01-01T00:01:00Z","profile_push_time":"1970-01-01T00:01:00Z","device_assigned_by":"-1","device_assigned_date":"1970-01-01T00:00:00Z","op_type":"modified","op_date":"1970-01-01T00:01:01Z"}"#
            ]],
        );
    }

    #[test]
    fn a_deleted_record_says_little_and_why() {
        let fields = json!({"released_by_replacement": true});
        check(
            fields.clone(),
            10,
            Some(Op::Deleted),
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","os":"iPadOS","released_by_replacement":true,"op_type":"deleted","op_date":"1970-01-01T00:01:01Z"}"#
            ]],
        );
        check(
            fields,
            10,
            Some(Op::Modified),
            expect![[
                r#"{"serial_number":"DMPXR3TESTQ2","model":"iPad (A16)","os":"iPadOS","profile_status":"empty","device_assigned_by":"-1","device_assigned_date":"1970-01-01T00:00:00Z","op_type":"modified","op_date":"1970-01-01T00:01:01Z"}"#
            ]],
        );
    }

    #[test]
    fn times_are_written_as_jiff_writes_them() {
        let mut seconds = 0;
        while seconds < 146_097 * 86_400 {
            let jiffs = Timestamp::from_second(seconds).unwrap().to_string();
            assert_eq!(serde_json::to_value(Seconds(seconds)).unwrap(), jiffs);
            seconds += 86_399 + seconds % 7_777;
        }
        assert_eq!(serde_json::to_value(Seconds(-1)).unwrap(), "1969-12-31T23:59:59Z");
    }
}
