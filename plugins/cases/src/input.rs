//! Devices, tokens and plans as case files write them: the contract's fields under the contract's
//! names, and whatever does not matter left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Device {
    pub serial_number: String,
    pub model: Option<String>,
    pub description: Option<String>,
    pub color: Option<String>,
    pub asset_tag: Option<String>,
    pub os: Option<String>,
    pub device_family: Option<String>,
    /// `empty`, `assigned`, `pushed` or `removed`.
    #[serde(default)]
    pub profile_status: ProfileStatus,
    pub profile_uuid: Option<String>,
    /// By name.
    pub current_profile: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<Moment>")]
    pub profile_assign_time: Option<u64>,
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<Moment>")]
    pub profile_push_time: Option<u64>,
    pub device_assigned_by: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<Moment>")]
    pub device_assigned_date: Option<u64>,
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<Moment>")]
    pub mdm_migration_deadline: Option<u64>,
    pub is_replacement_device: Option<bool>,
    #[serde(default)]
    pub imei: Vec<String>,
    #[serde(default)]
    pub meid: Vec<String>,
    pub eid: Option<String>,
    pub wifi_mac_address: Option<String>,
    pub bluetooth_mac_address: Option<String>,
    pub ethernet_mac_address: Option<String>,
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

/// Where a device is on its way to a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the contract describes them")]
pub enum ProfileStatus {
    #[default]
    Empty,
    Assigned,
    Pushed,
    Removed,
}

/// A server token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Token {
    pub name: String,
    #[serde(default)]
    pub server_name: String,
    #[serde(default)]
    pub org_name: String,
    #[serde(default)]
    pub admin_id: String,
    #[serde(default)]
    pub contacts: Vec<String>,
    #[serde(default)]
    pub devices: u64,
    #[serde(default)]
    pub facts: Vec<Fact>,
}

/// Something about a token that can end or go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Fact {
    pub kind: String,
    #[serde(default)]
    pub name: String,
    #[serde(default, deserialize_with = "moment")]
    #[schemars(with = "Option<Moment>")]
    pub ends: Option<u64>,
    pub trouble: Option<Trouble>,
    /// As seconds, or as a text such as `30d` or `-1d`.
    #[serde(default, deserialize_with = "threshold")]
    #[schemars(with = "Option<Moment>")]
    pub told: Option<i64>,
    #[serde(default)]
    pub acknowledged: bool,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Trouble {
    pub code: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub advice: String,
    #[serde(deserialize_with = "some_moment")]
    #[schemars(with = "Moment")]
    pub since: u64,
}

/// What a run would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Plan {
    /// The sum of the other counts, unless it is said.
    pub devices: Option<u64>,
    pub first_assignments: u64,
    pub reassignments: u64,
    pub already_right: u64,
    pub held: u64,
    pub faults: u64,
    pub ignored: u64,
    pub waiting: u64,
    pub moves: Vec<Move>,
    pub actions: Vec<Action>,
}

impl Plan {
    /// All devices of the token.
    pub fn all_devices(&self) -> u64 {
        self.devices.unwrap_or(
            self.first_assignments
                + self.reassignments
                + self.already_right
                + self.held
                + self.faults
                + self.ignored
                + self.waiting,
        )
    }
}

/// How many devices would go from one profile to another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Move {
    pub from: Option<String>,
    pub to: String,
    pub devices: u64,
}

/// One device that would get a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract describes them")]
pub struct Action {
    pub serial_number: String,
    pub from: Option<String>,
    pub to: String,
    #[serde(default)]
    pub reason: String,
}

/// A date, or a date and time, as TOML has them or as text, in seconds since 1970.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    some_moment(deserializer).map(Some)
}

fn some_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = match toml::Value::deserialize(deserializer)? {
        toml::Value::Datetime(moment) => moment.to_string(),
        toml::Value::String(text) => text,
        other => return Err(D::Error::custom(format!("{other} is not a date"))),
    };
    let date = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let moment = text.parse::<Timestamp>().ok().or_else(date);
    let seconds = moment.and_then(|moment| u64::try_from(moment.as_second()).ok());
    seconds.ok_or_else(|| {
        D::Error::custom(format!("`{text}` is not a date such as 2026-02-01 or 2026-02-01T08:00:00+01:00"))
    })
}

fn threshold<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let seconds = match toml::Value::deserialize(deserializer)? {
        toml::Value::Integer(seconds) => Some(seconds),
        toml::Value::String(text) => seconds(&text),
        _ => None,
    };
    seconds
        .map(Some)
        .ok_or_else(|| D::Error::custom("a threshold is a text such as `30d` or `-1d`, or seconds"))
}

/// `30d`, `-12h`, `+01:00`: seconds, with a sign.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = |text: &str| text.parse::<u32>().ok().map(i64::from);
    let seconds = match rest.split_once(':') {
        Some((hours, minutes)) => number(hours)? * 3_600 + number(minutes)? * 60,
        None => {
            let unit = rest.char_indices().last()?;
            let length = [('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];
            let (_, length) = length.into_iter().find(|(name, _)| *name == unit.1)?;
            number(&rest[..unit.0])? * length
        }
    };
    Some(sign * seconds)
}

/// A date, a time, or seconds.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is of use")]
pub(crate) enum Moment {
    /// Such as `2026-01-09` or `2026-01-09T09:00:00Z`; for a threshold, `30d`.
    Text(String),
    /// Seconds: since 1970, or before the end.
    Seconds(i64),
}
