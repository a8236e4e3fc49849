//! One device as Apple knows it, in a form small enough for a million of them.
//!
//! Facts shared by many devices (model, colour, …) are kept once, rare ones apart; the addresses and numbers
//! that only matter to newer clients are worked out when they are shown. Fields we have no name for are kept
//! as given. How it all looks in an answer is `view`'s business.

use crate::hardware::Hardware;
use crate::profile::ProfileUuid;
use crate::serial::Serial;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
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

/// What a device is and who brought it; the same for many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Kind {
    pub(crate) model: String,
    pub(crate) description: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) assigned_by: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) serial: Serial,
    pub(crate) kind: Arc<Kind>,
    more: Option<Box<More>>,
    /// Seconds since 1970, like the other times here.
    pub(crate) assigned_date: i64,
    assign_time: Moment,
    push_time: Moment,
    pub(crate) profile: Option<ProfileUuid>,
    pub(crate) status: ProfileStatus,
    /// No longer on this server; kept for the records that speak of it.
    pub(crate) gone: bool,
    generated: bool,
    hardware: u32,
    /// How often a profile was assigned, whatever it changed.
    pub(crate) assignments: u32,
}

/// What few devices have.
#[derive(Debug, Clone, Default)]
struct More {
    asset_tag: Option<Box<str>>,
    extra: BTreeMap<String, Value>,
}

/// A time, or none; half as large as an `Option`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment(i64);

impl Moment {
    const NONE: Self = Self(i64::MIN);

    fn get(self) -> Option<i64> {
        (self != Self::NONE).then_some(self.0)
    }

    fn or(self, time: i64) -> Self {
        if self == Self::NONE { Self(time) } else { self }
    }
}

impl From<Option<i64>> for Moment {
    fn from(time: Option<i64>) -> Self {
        time.map_or(Self::NONE, Self)
    }
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
    pub(crate) fn new(serial: &str, kind: Arc<Kind>, now: i64) -> Self {
        Self {
            serial: serial.into(),
            kind,
            more: None,
            assigned_date: now,
            assign_time: Moment::NONE,
            push_time: Moment::NONE,
            profile: None,
            status: ProfileStatus::Empty,
            gone: false,
            generated: false,
            hardware: 0,
            assignments: 0,
        }
    }

    /// With the network addresses that come of a seed.
    pub(crate) fn generated(self, hardware: u32) -> Self {
        Self { hardware, generated: true, ..self }
    }

    pub(crate) fn asset_tag(&self) -> Option<&str> {
        self.more.as_ref()?.asset_tag.as_deref()
    }

    pub(crate) fn set_asset_tag(&mut self, tag: Option<String>) {
        if tag.is_some() || self.more.is_some() {
            self.more.get_or_insert_default().asset_tag = tag.map(Into::into);
        }
    }

    /// Fields we have no name for.
    pub(crate) fn extra(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.more.iter().flat_map(|more| &more.extra)
    }

    pub(crate) fn has_extra(&self, field: &str) -> bool {
        self.more.as_ref().is_some_and(|more| more.extra.contains_key(field))
    }

    pub(crate) fn set_extra(&mut self, field: &str, value: Value) {
        self.more.get_or_insert_default().extra.insert(field.into(), value);
    }

    pub(crate) fn assign_time(&self) -> Option<i64> {
        self.assign_time.get()
    }

    pub(crate) fn push_time(&self) -> Option<i64> {
        self.push_time.get()
    }

    /// The addresses and numbers of a generated device.
    pub(crate) fn hardware(&self) -> Option<Hardware> {
        self.generated.then_some(Hardware(self.hardware))
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
                "asset_tag" => self.set_asset_tag(text()?),
                "device_assigned_by" => kind.assigned_by = text()?.unwrap_or_default(),
                "device_assigned_date" => self.assigned_date = time()?.ok_or(bad("cannot be taken away"))?,
                "profile_assign_time" => self.assign_time = time()?.into(),
                "profile_push_time" => self.push_time = time()?.into(),
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
                _ => self.set_extra(field, value.clone()),
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
            ProfileStatus::Empty => {
                self.profile = None;
                (self.assign_time, self.push_time) = (Moment::NONE, Moment::NONE);
            }
            ProfileStatus::Assigned => {
                (self.assign_time, self.push_time) = (self.assign_time.or(now), Moment::NONE);
            }
            ProfileStatus::Pushed => {
                (self.assign_time, self.push_time) = (self.assign_time.or(now), Moment(now));
            }
            ProfileStatus::Removed => (self.assign_time, self.push_time) = (Moment::NONE, Moment::NONE),
        }
    }

    pub(crate) fn assign(&mut self, profile: ProfileUuid, now: i64) {
        (self.profile, self.assign_time) = (Some(profile), Moment::NONE);
        self.set_status(ProfileStatus::Assigned, now);
        self.assignments = self.assignments.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(fields: Value, refused: &str) {
        let mut device = Device::new("DMPXR3TESTQ2", Arc::new(Kind::default()), 0);
        let bad = device.set(fields.as_object().unwrap(), 60).unwrap_err();
        assert_eq!(bad.to_string(), refused);
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        check(json!({"color": 7}), "`color` must be a text or null");
        check(
            json!({"profile_push_time": "yesterday"}),
            "`profile_push_time` must be a time like 2026-01-09T10:20:00Z",
        );
        check(
            json!({"profile_status": "lost"}),
            "`profile_status` must be empty, assigned, pushed or removed",
        );
        check(
            json!({"serial_number": "OTHER"}),
            "`serial_number` cannot be changed: remove the device and add another",
        );
        check(json!({"op_type": "added"}), "`op_type` belongs to an answer, not to a device");
    }

    #[test]
    fn a_million_devices_take_88_megabytes_and_what_few_of_them_have() {
        assert_eq!(size_of::<Device>(), 88);
    }
}
