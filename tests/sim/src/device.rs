//! One device as Apple knows it, in a form small enough for a million of them.
//!
//! Facts shared by many devices (model, colour, …) are kept once; the addresses and numbers that only
//! matter to newer clients are worked out when they are shown. Fields we have no name for are kept as given.

use crate::profile::ProfileUuid;
use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a device stands with its profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileStatus {
    /// Never had a profile on this server.
    Empty,
    /// Has one, and has not asked for it yet.
    Assigned,
    /// Has fetched it.
    Pushed,
    /// Had one; may still carry its UUID.
    Removed,
}

/// What happened to a device, in the words of `op_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    Added,
    Modified,
    Deleted,
}

/// What a device is; the same for many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Kind {
    pub(crate) model: String,
    pub(crate) description: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) family: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) serial: Arc<str>,
    pub(crate) kind: Arc<Kind>,
    pub(crate) asset_tag: Option<Box<str>>,
    pub(crate) assigned_by: Arc<str>,
    /// Seconds since 1970, like the other times here.
    pub(crate) assigned_date: i64,
    pub(crate) status: ProfileStatus,
    pub(crate) profile: Option<ProfileUuid>,
    pub(crate) assign_time: Option<i64>,
    pub(crate) push_time: Option<i64>,
    /// How often a profile was assigned, whatever it changed.
    pub(crate) assignments: u32,
    /// No longer on this server; kept for the records that speak of it.
    pub(crate) gone: bool,
    /// Seed of the network addresses of a generated device.
    pub(crate) hardware: Option<u32>,
    pub(crate) extra: BTreeMap<String, Value>,
}

/// A field cannot be given this value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct BadField {
    /// The field's name.
    pub field: String,
    /// What is wrong with it, continuing the sentence.
    pub why: &'static str,
}

impl Device {
    pub(crate) fn new(serial: &str, kind: Arc<Kind>, assigned_by: Arc<str>, now: i64) -> Self {
        Self {
            serial: serial.into(),
            kind,
            asset_tag: None,
            assigned_by,
            assigned_date: now,
            status: ProfileStatus::Empty,
            profile: None,
            assign_time: None,
            push_time: None,
            assignments: 0,
            gone: false,
            hardware: None,
            extra: BTreeMap::new(),
        }
    }

    /// Sets fields by their names at Apple; `null` takes a field away.
    pub(crate) fn set(&mut self, fields: &Map<String, Value>, now: i64) -> Result<(), BadField> {
        let mut kind = Kind::clone(&self.kind);
        for (field, value) in fields {
            let bad = |why| BadField { field: field.clone(), why };
            let text = || match value {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text.clone())),
                _ => Err(bad("must be a text or null")),
            };
            let time = || match text()? {
                None => Ok(None),
                Some(text) => text
                    .parse::<Timestamp>()
                    .map(|time| Some(time.as_second()))
                    .map_err(|_| bad("must be a time like 2026-01-09T10:20:00Z")),
            };
            match field.as_str() {
                "serial_number" if value.as_str() == Some(&*self.serial) => {}
                "serial_number" => return Err(bad("cannot be changed: remove the device and add another")),
                "op_type" | "op_date" | "response_status" => {
                    return Err(bad("belongs to an answer, not to a device"));
                }
                "model" => kind.model = text()?.ok_or(bad("cannot be taken away"))?,
                "description" => kind.description = text()?,
                "color" => kind.color = text()?,
                "os" => kind.os = text()?,
                "device_family" => kind.family = text()?,
                "asset_tag" => self.asset_tag = text()?.map(Into::into),
                "device_assigned_by" => self.assigned_by = text()?.unwrap_or_default().into(),
                "device_assigned_date" => self.assigned_date = time()?.ok_or(bad("cannot be taken away"))?,
                "profile_assign_time" => self.assign_time = time()?,
                "profile_push_time" => self.push_time = time()?,
                "profile_uuid" => {
                    self.profile = match text()? {
                        None => None,
                        Some(text) => {
                            Some(ProfileUuid::parse(&text).ok_or(bad("must be 32 upper-case hex digits"))?)
                        }
                    }
                }
                "profile_status" => {
                    let status = ProfileStatus::deserialize(value)
                        .map_err(|_| bad("must be empty, assigned, pushed or removed"))?;
                    self.set_status(status, now);
                }
                _ => {
                    self.extra.insert(field.clone(), value.clone());
                }
            }
        }
        if kind != *self.kind {
            self.kind = Arc::new(kind);
        }
        Ok(())
    }

    /// Goes to a status, with the times that belong to it.
    pub(crate) fn set_status(&mut self, status: ProfileStatus, now: i64) {
        self.status = status;
        match status {
            ProfileStatus::Empty => (self.profile, self.assign_time, self.push_time) = (None, None, None),
            ProfileStatus::Assigned => {
                (self.assign_time, self.push_time) = (self.assign_time.or(Some(now)), None);
            }
            ProfileStatus::Pushed => {
                (self.assign_time, self.push_time) = (self.assign_time.or(Some(now)), Some(now));
            }
            ProfileStatus::Removed => (self.assign_time, self.push_time) = (None, None),
        }
    }

    pub(crate) fn assign(&mut self, profile: ProfileUuid, now: i64) {
        (self.profile, self.assign_time) = (Some(profile), None);
        self.set_status(ProfileStatus::Assigned, now);
        self.assignments = self.assignments.saturating_add(1);
    }
}

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
        entry(&mut map, "asset_tag", &device.asset_tag)?;
        if version >= 2 {
            // Before version 7 an iPad was an iOS device.
            let os = kind.os.as_deref().map(|os| if version < 7 && os == "iPadOS" { "iOS" } else { os });
            entry(&mut map, "os", &os)?;
            entry(&mut map, "device_family", &kind.family)?;
        }
        if op.is_none_or(|(op, _)| op != Op::Deleted) {
            map.serialize_entry("profile_status", &device.status)?;
            entry(&mut map, "profile_uuid", &device.profile)?;
            entry(&mut map, "profile_assign_time", &device.assign_time.map(Seconds))?;
            entry(&mut map, "profile_push_time", &device.push_time.map(Seconds))?;
            map.serialize_entry("device_assigned_by", &*device.assigned_by)?;
            map.serialize_entry("device_assigned_date", &Seconds(device.assigned_date))?;
            if version >= 10 {
                for (field, value) in device.hardware_fields() {
                    map.serialize_entry(field, &value)?;
                }
            }
        }
        for (field, value) in &device.extra {
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

impl Device {
    /// Addresses and numbers of a generated device, unless fields of the same names were given.
    fn hardware_fields(&self) -> Vec<(&'static str, Value)> {
        let Some(seed) = self.hardware else { return Vec::new() };
        let mac = |nth: u32| {
            let [a, b, c, d] = (u64::from(seed) * 4 + u64::from(nth)).to_be_bytes()[4..] else {
                return Value::Null;
            };
            Value::String(format!("F0:18:{a:02X}:{b:02X}:{c:02X}:{d:02X}"))
        };
        let mut fields = vec![("wifi_mac_address", mac(0)), ("bluetooth_mac_address", mac(1))];
        match self.kind.family.as_deref() {
            Some("iPhone") => {
                let imei =
                    |nth: u64| luhn(35_000_000_000_000 + (u64::from(seed) * 2 + nth) % 1_000_000_000_000);
                fields.push(("imei", Value::from(vec![imei(0), imei(1)])));
                fields.push(("eid", Value::String(format!("8904903200{seed:022}"))));
            }
            Some("AppleTV" | "Mac") => fields.push(("ethernet_mac_address", mac(2))),
            _ => {}
        }
        let given = |field| self.extra.contains_key(field);
        fields.retain(|(field, _)| !given(*field));
        fields
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

/// Appends the check digit of an IMEI.
fn luhn(digits: u64) -> String {
    let text = digits.to_string();
    let sum = text.bytes().rev().enumerate().fold(0, |sum, (place, byte)| {
        let digit = u32::from(byte - b'0');
        sum + if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
    });
    format!("{text}{}", (10 - sum % 10) % 10)
}

/// Seconds since 1970 as Apple writes times.
pub(crate) struct Seconds(pub(crate) i64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Timestamp::from_second(self.0).unwrap_or_default())
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
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(fields: Value, version: u32, op: Option<Op>, expect: Expect) {
        let kind = Kind { model: "iPad (A16)".into(), os: Some("iPadOS".into()), ..Kind::default() };
        let mut device = Device::new("DMPXR3TESTQ2", Arc::new(kind), "-1".into(), 0);
        let shown = match device.set(fields.as_object().unwrap(), 60) {
            Err(bad) => bad.to_string(),
            Ok(()) => {
                let op = op.map(|op| (op, 61));
                serde_json::to_string(&View { device: &device, version, op, response_status: None }).unwrap()
            }
        };
        expect.assert_eq(&shown);
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
    fn wrong_values_are_refused_by_name() {
        check(json!({"color": 7}), 10, None, expect!["`color` must be a text or null"]);
        check(
            json!({"profile_push_time": "yesterday"}),
            10,
            None,
            expect!["`profile_push_time` must be a time like 2026-01-09T10:20:00Z"],
        );
        check(
            json!({"profile_status": "lost"}),
            10,
            None,
            expect!["`profile_status` must be empty, assigned, pushed or removed"],
        );
        check(
            json!({"serial_number": "OTHER"}),
            10,
            None,
            expect!["`serial_number` cannot be changed: remove the device and add another"],
        );
        check(
            json!({"op_type": "added"}),
            10,
            None,
            expect!["`op_type` belongs to an answer, not to a device"],
        );
    }

    #[test]
    fn the_check_digit_of_an_imei_is_right() {
        assert_eq!(luhn(49_015_420_323_751), "490154203237518");
    }
}
