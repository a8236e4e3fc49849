//! The operator's limits on how much one run may do to the devices of one token.
//!
//! What is safe and what is dangerous is counted apart: a device that gets its first profile had none,
//! one that is moved had something that somebody wanted. Nothing is kept of the devices but counts and an
//! example for each rail, so that a million of them need no more memory than ten.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::id::{ProfileName, SerialNumber};

/// The limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rails {
    /// The most devices that may get their first profile. Safe: such a device has none.
    pub first_assignments: Limit,
    /// The most devices that may be moved from one profile to another. Dangerous.
    pub reassignments: Limit,
    /// The most devices from which a profile may be taken, or that may be released. Only people do that.
    pub removals: Limit,
    /// Devices on these are neither moved nor taken from.
    pub protect_profiles: BTreeSet<ProfileName>,
    /// These devices are neither moved nor taken from, whatever they are on.
    pub protect_serials: BTreeSet<SerialNumber>,
    /// More of them, in a file that is read when a plan is made.
    pub protect_file: Option<PathBuf>,
}

impl Default for Rails {
    fn default() -> Self {
        Self {
            first_assignments: Limit::Devices(5_000),
            reassignments: Limit::Devices(25),
            removals: Limit::Devices(25),
            protect_profiles: BTreeSet::new(),
            protect_serials: BTreeSet::new(),
            protect_file: None,
        }
    }
}

/// So many devices, or so large a part of the token's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A number of devices.
    Devices(u64),
    /// Hundredths of a percent of the devices that the token has.
    Percent(u32),
}

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a number of devices nor a percentage of them, such as `25` or `\"10%\"`")]
pub struct BadLimit(String);

impl Limit {
    /// The most devices it allows where there are so many. Parts of a device are none.
    pub fn of(self, devices: u64) -> u64 {
        match self {
            Self::Devices(most) => most,
            Self::Percent(hundredths) => {
                u64::try_from(u128::from(devices) * u128::from(hundredths) / 10_000).unwrap_or(u64::MAX)
            }
        }
    }
}

impl FromStr for Limit {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let bad = || BadLimit(text.to_owned());
        let Some(percent) = text.trim().strip_suffix('%') else {
            return text.trim().parse().map(Self::Devices).map_err(|_| bad());
        };
        let (whole, part) = percent.trim().split_once('.').unwrap_or((percent.trim(), ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || part.len() > 2 || !digits(whole) || !digits(part) {
            return Err(bad());
        }
        let hundredths: u32 = format!("{whole}{part:0<2}").parse().map_err(|_| bad())?;
        if hundredths <= 10_000 { Ok(Self::Percent(hundredths)) } else { Err(bad()) }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Devices(most) => write!(f, "{most}"),
            Self::Percent(hundredths) => {
                let (whole, part) = (hundredths / 100, hundredths % 100);
                match part {
                    0 => write!(f, "{whole}%"),
                    part if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
                    part => write!(f, "{whole}.{part:02}%"),
                }
            }
        }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Devices(most) => serializer.serialize_u64(*most),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Limit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of devices or a percentage of them, such as 25 or \"10%\"")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Limit, E> {
                Ok(Limit::Devices(number))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Limit, E> {
                u64::try_from(number).map(Limit::Devices).map_err(|_| E::custom("must be at least 0"))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Limit, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One rail that a plan would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// More first assignments than allowed.
    FirstAssignments(Exceeded),
    /// More reassignments than allowed.
    Reassignments(Exceeded),
    /// More removals than allowed.
    Removals(Exceeded),
    /// Devices on a protected profile would be moved or taken from.
    Protected {
        /// The profile.
        profile: ProfileName,
        /// How many.
        devices: u64,
        /// One of them.
        example: SerialNumber,
    },
    /// Devices that are protected themselves would be moved or taken from.
    ProtectedDevices {
        /// How many.
        devices: u64,
        /// One of them.
        example: SerialNumber,
    },
}

/// A number that is too large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exceeded {
    /// What the plan wants.
    pub wanted: u64,
    /// What the rail comes to.
    pub allowed: u64,
    /// The rail as a part of the devices, if it is that, and of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<(Limit, u64)>,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} allowed", self.allowed)?;
        match self.part {
            Some((part, of)) => write!(f, " ({part} of {of} devices)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let things =
            |number: u64, thing: &str| format!("{number} {thing}{}", if number == 1 { "" } else { "s" });
        match self {
            Self::FirstAssignments(it) => write!(f, "{}, {it}", things(it.wanted, "first assignment")),
            Self::Reassignments(it) => write!(f, "{}, {it}", things(it.wanted, "reassignment")),
            Self::Removals(it) => write!(f, "{}, {it}", things(it.wanted, "removal")),
            Self::Protected { profile, devices, example } => {
                write!(f, "{devices} on the protected profile `{profile}`, such as {example}")
            }
            Self::ProtectedDevices { devices, example } => {
                write!(f, "{}, such as {example}", things(*devices, "protected device"))
            }
        }
    }
}

/// What would become of one device, as far as rails limit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed<'a> {
    /// It gets its first profile.
    First,
    /// It is moved from this profile, by our name if we know it.
    Move(Option<&'a ProfileName>),
    /// This profile is taken from it, or it is released.
    Remove(Option<&'a ProfileName>),
}

/// Counts what a plan would do, one device at a time.
#[derive(Debug)]
pub struct Gauge<'a> {
    rails: &'a Rails,
    first_assignments: u64,
    reassignments: u64,
    removals: u64,
    profiles: BTreeMap<ProfileName, (u64, SerialNumber)>,
    devices: Option<(u64, SerialNumber)>,
}

impl<'a> Gauge<'a> {
    /// One that has counted nothing yet.
    pub fn new(rails: &'a Rails) -> Self {
        Self {
            rails,
            first_assignments: 0,
            reassignments: 0,
            removals: 0,
            profiles: BTreeMap::new(),
            devices: None,
        }
    }

    /// Another device.
    pub fn count(&mut self, serial: &SerialNumber, deed: Deed<'_>) {
        let from = match deed {
            Deed::First => {
                self.first_assignments += 1;
                return;
            }
            Deed::Move(from) => {
                self.reassignments += 1;
                from
            }
            Deed::Remove(from) => {
                self.removals += 1;
                from
            }
        };
        if let Some(name) = from.filter(|name| self.rails.protect_profiles.contains(*name)) {
            match self.profiles.get_mut(name) {
                Some((devices, _)) => *devices += 1,
                None => {
                    self.profiles.insert(name.clone(), (1, serial.clone()));
                }
            }
        }
        if self.rails.protect_serials.contains(serial) {
            self.devices.get_or_insert_with(|| (0, serial.clone())).0 += 1;
        }
    }

    /// Devices that would get their first profile, and devices that would be moved.
    pub(crate) fn assignments(&self) -> (u64, u64) {
        (self.first_assignments, self.reassignments)
    }

    /// Every rail that is broken, where the token has so many devices.
    pub fn breaches(self, devices: u64) -> Vec<Breach> {
        let exceeded = |wanted: u64, limit: Limit| {
            let allowed = limit.of(devices);
            let part = matches!(limit, Limit::Percent(_)).then_some((limit, devices));
            (wanted > allowed).then_some(Exceeded { wanted, allowed, part })
        };
        let rails = self.rails;
        let first = exceeded(self.first_assignments, rails.first_assignments).map(Breach::FirstAssignments);
        let moved = exceeded(self.reassignments, rails.reassignments).map(Breach::Reassignments);
        let removed = exceeded(self.removals, rails.removals).map(Breach::Removals);
        let mut breaches: Vec<Breach> = first.into_iter().chain(moved).chain(removed).collect();
        let profiles = self.profiles.into_iter();
        breaches.extend(profiles.map(|(profile, (devices, example))| Breach::Protected {
            profile,
            devices,
            example,
        }));
        breaches.extend(self.devices.map(|(devices, example)| Breach::ProtectedDevices { devices, example }));
        breaches
    }
}

/// Rails raised or lowered by hand, for one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RailsOverride {
    /// The most first assignments.
    pub first_assignments: Option<Limit>,
    /// The most reassignments.
    pub reassignments: Option<Limit>,
    /// The most removals.
    pub removals: Option<Limit>,
}

impl RailsOverride {
    /// The rails with these in their place.
    #[must_use]
    pub fn over(self, rails: &Rails) -> Rails {
        Rails {
            first_assignments: self.first_assignments.unwrap_or(rails.first_assignments),
            reassignments: self.reassignments.unwrap_or(rails.reassignments),
            removals: self.removals.unwrap_or(rails.removals),
            ..rails.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// A limit as it is typed, and what it comes to of 0, 9, 10, 120 and 1,000,000 devices.
    #[track_caller]
    fn check(typed: &str, expected: Expect) {
        let found = match typed.parse::<Limit>() {
            Ok(limit) => {
                let of: Vec<String> = [0, 9, 10, 120, 1_000_000].map(|all| limit.of(all).to_string()).into();
                format!("{limit}: {}", of.join(" "))
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_limit_is_a_number_or_a_percentage() {
        check("25", expect!["25: 25 25 25 25 25"]);
        check("10%", expect!["10%: 0 0 1 12 100000"]);
        check(" 0.5 % ", expect!["0.5%: 0 0 0 0 5000"]);
        check("0.25%", expect!["0.25%: 0 0 0 0 2500"]);
        check("100%", expect!["100%: 0 9 10 120 1000000"]);
        check("0%", expect!["0%: 0 0 0 0 0"]);
    }

    #[test]
    fn what_is_neither_says_so() {
        for typed in ["", "-1", "ten", "101%", "1e3%", "%", "1.234%", "100.01%", "0x10", "１０%"] {
            assert!(typed.parse::<Limit>().is_err(), "{typed}");
        }
        check(
            "a tenth",
            expect![[
                r#"`a tenth` is neither a number of devices nor a percentage of them, such as `25` or `"10%"`"#
            ]],
        );
    }

    #[test]
    fn a_limit_comes_back_from_json_as_it_was() {
        for limit in [Limit::Devices(25), Limit::Percent(1_000), Limit::Percent(50), Limit::Percent(1)] {
            let json = serde_json::to_string(&limit).unwrap();
            assert_eq!(serde_json::from_str::<Limit>(&json).unwrap(), limit, "{json}");
        }
        assert!(serde_json::from_str::<Limit>("-1").is_err());
        assert!(serde_json::from_str::<Limit>("true").is_err());
    }

    #[test]
    fn removals_and_protected_devices_are_counted_apart() {
        let rails = Rails {
            removals: Limit::Percent(1_000),
            protect_profiles: ["exec".parse().unwrap()].into(),
            protect_serials: ["C02AB".parse().unwrap(), "C02AC".parse().unwrap()].into(),
            ..Rails::default()
        };
        let mut gauge = Gauge::new(&rails);
        let exec: ProfileName = "exec".parse().unwrap();
        let serial = |text: &str| text.parse::<SerialNumber>().unwrap();
        gauge.count(&serial("C02AA"), Deed::Remove(Some(&exec)));
        gauge.count(&serial("C02AB"), Deed::Remove(None));
        gauge.count(&serial("C02AC"), Deed::First);
        let breaches: Vec<String> = gauge.breaches(15).iter().map(ToString::to_string).collect();
        expect![[r#"
            2 removals, 1 allowed (10% of 15 devices)
            1 on the protected profile `exec`, such as C02AA
            1 protected device, such as C02AB
        "#]]
        .assert_eq(&(breaches.join("\n") + "\n"));
    }
}
