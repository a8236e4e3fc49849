//! What a Mac keeps of the profile that Apple gave it: its activation record.
//!
//! It is the one witness of what a device really got. macOS keeps it as a property list under
//! `/var/db/ConfigurationProfiles/Settings/`, with names of its own and much about the organisation
//! that is no part of a profile; the `profiles` command shows the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::compare::{Row, compare};
use super::kind;

/// Names in a record and Apple's names in a profile for the same.
const NAMES: &[(&str, &str)] = &[
    ("AllowPairing", "allow_pairing"),
    ("AnchorCertificates", "anchor_certs"),
    ("AutoAdvanceSetup", "auto_advance_setup"),
    ("AwaitDeviceConfigured", "await_device_configured"),
    ("ConfigurationURL", "url"),
    ("ConfigurationWebURL", "configuration_web_url"),
    ("IsMandatory", "is_mandatory"),
    ("IsMultiUser", "is_multi_user"),
    ("IsReturnToService", "is_return_to_service"),
    ("IsSupervised", "is_supervised"),
    ("Language", "language"),
    ("OrganizationDepartment", "department"),
    ("OrganizationMagic", "org_magic"),
    ("OrganizationSupportEmail", "support_email_address"),
    ("OrganizationSupportPhone", "support_phone_number"),
    ("Region", "region"),
    ("SkipSetup", "skip_setup_items"),
    ("SupervisorHostCertificates", "supervising_host_certs"),
];

/// Here true means what false means in a profile.
const UNREMOVABLE: &str = "IsMDMUnremovable";

/// What stands in for a field that a record lacks: what the organisation told Apple of itself.
const INSTEAD: [(&str, &str); 2] =
    [("OrganizationPhone", "support_phone_number"), ("OrganizationEmail", "support_email_address")];

/// Where the record is, if the list holds more than it.
const INSIDE: [&str; 2] = ["CloudConfigProfile", "CloudConfigRecord"];

/// An activation record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// What it says of the profile, under Apple's names.
    pub profile: Map<String, Value>,
    /// Fields of [`Self::profile`] that are what the organisation says of itself: the profile itself
    /// may have none.
    pub instead: Vec<&'static str>,
    /// Texts about the organisation that are no part of a profile, by their names in the record.
    pub organisation: BTreeMap<String, String>,
    /// Names in the record that nobody knows.
    pub unknown: Vec<String>,
}

/// Why a list is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// It is about something else.
    #[error("it holds no activation record: none of its keys is one of a record")]
    Other,
    /// The Mac asked, and Apple had no profile for it.
    #[error("it says that the Mac asked Apple and found no profile")]
    NotFound,
}

/// Reads a record out of a property list.
pub fn read(list: &Value) -> Result<Record, NoRecord> {
    let outer = list.as_object().ok_or(NoRecord::Other)?;
    let inner = INSIDE.iter().find_map(|key| outer.get(*key)?.as_object());
    let mut record = Record::default();
    for (name, value) in inner.unwrap_or(outer) {
        record.take(name, value);
    }
    for (name, field) in INSTEAD {
        if !record.profile.contains_key(field)
            && let Some(text) = record.organisation.get(name)
        {
            record.profile.insert(field.to_owned(), text.clone().into());
            record.instead.push(field);
        }
    }
    match record.profile.len() > record.instead.len() {
        true => Ok(record),
        false if outer.keys().any(|key| key.starts_with("CloudConfig")) => Err(NoRecord::NotFound),
        false => Err(NoRecord::Other),
    }
}

/// Lays a record beside the profile that the device should have: that first, then the record. Only
/// what a record can tell of counts.
pub fn against(expected: &Map<String, Value>, record: &Record) -> Vec<Row> {
    let told = |field: &str| field == "is_mdm_removable" || NAMES.iter().any(|(_, name)| *name == field);
    let mut expected = expected.clone();
    expected.retain(|field, _| told(field));
    let mut found = record.profile.clone();
    for field in &record.instead {
        if expected.get(*field).is_none_or(|value| value.as_str().is_none_or(str::is_empty)) {
            found.remove(*field);
        }
    }
    compare(&[Some(&expected), Some(&found)]).into_iter().filter(|row| told(&row.field)).collect()
}

impl Record {
    fn take(&mut self, name: &str, value: &Value) {
        let known = NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, field)| *field);
        let field = known.or((name == UNREMOVABLE).then_some("is_mdm_removable"));
        let understood = field.and_then(|field| Some((field, kind(field)?.read(value)?)));
        match (understood, value) {
            (Some((field, Value::Bool(is))), _) if name == UNREMOVABLE => {
                self.profile.insert(field.to_owned(), Value::Bool(!is));
            }
            (Some((field, value)), _) => drop(self.profile.insert(field.to_owned(), value)),
            (None, Value::String(text)) if name.starts_with("Organization") => {
                self.organisation.insert(name.to_owned(), text.clone());
            }
            (None, _) => self.unknown.push(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;
    use crate::property_list;

    /// The record of a Mac, much as it keeps it.
    fn sample() -> plist::Dictionary {
        let text = |text: &str| plist::Value::String(text.to_owned());
        let mut record = plist::Dictionary::new();
        for (name, value) in [
            ("AllowPairing", 1.into()),
            ("AnchorCertificates", plist::Value::Array(vec![plist::Value::Data(vec![1, 2, 3])])),
            ("AwaitDeviceConfigured", true.into()),
            ("ConfigurationURL", text("https://mdm.example.com/enroll")),
            ("IsMDMUnremovable", 1.into()),
            ("IsMandatory", true.into()),
            ("IsSupervised", true.into()),
            ("OrganizationName", text("Orchard")),
            ("OrganizationPhone", text("+44 1")),
            ("OrganizationSupportPhone", text("+44 2")),
            ("SkipSetup", plist::Value::Array(vec![text("Siri"), text("TOS")])),
            ("Tomorrow", plist::Value::Array(Vec::new())),
        ] {
            record.insert(name.to_owned(), value);
        }
        record
    }

    fn written(list: plist::Dictionary, binary: bool) -> Vec<u8> {
        let (list, mut bytes) = (plist::Value::Dictionary(list), Vec::new());
        if binary { list.to_writer_binary(&mut bytes) } else { list.to_writer_xml(&mut bytes) }.unwrap();
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Expect) {
        let found = match read(&property_list::read(bytes).unwrap()) {
            Ok(record) => format!(
                "{:#}\norganisation {:?}\nunknown {:?}\n",
                Value::Object(record.profile),
                record.organisation,
                record.unknown
            ),
            Err(error) => format!("error: {error}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_record_says_what_the_profile_was() {
        check(
            &written(sample(), false),
            expect![[r#"
            {
              "allow_pairing": true,
              "anchor_certs": [
                "AQID"
              ],
              "await_device_configured": true,
              "is_mandatory": true,
              "is_mdm_removable": false,
              "is_supervised": true,
              "skip_setup_items": [
                "Siri",
                "TOS"
              ],
              "support_phone_number": "+44 2",
              "url": "https://mdm.example.com/enroll"
            }
            organisation {"OrganizationName": "Orchard", "OrganizationPhone": "+44 1"}
            unknown ["Tomorrow"]
        "#]],
        );
        let mut outer = plist::Dictionary::new();
        outer.insert("CloudConfigProfile".to_owned(), plist::Value::Dictionary(sample()));
        let date = plist::Date::from_xml_format("2026-01-09T09:00:00Z").unwrap();
        outer.insert("CloudConfigFetchDate".to_owned(), date.into());
        let record = |bytes: &[u8]| read(&property_list::read(bytes).unwrap()).unwrap();
        let plain = record(&written(sample(), false));
        assert_eq!(record(&written(sample(), true)), plain);
        assert_eq!(record(&written(outer.clone(), true)), plain);
        assert_eq!(record(&written(outer, false)), plain);
    }

    #[test]
    fn what_is_no_record_says_so() {
        let mut list = plist::Dictionary::new();
        list.insert("SERIAL".to_owned(), "C02AA".into());
        check(
            &written(list.clone(), false),
            expect!["error: it holds no activation record: none of its keys is one of a record"],
        );
        list.insert("CloudConfigFetchError".to_owned(), 33.into());
        check(&written(list, false), expect!["error: it says that the Mac asked Apple and found no profile"]);
        assert_eq!(read(&json!(["IsMandatory"])), Err(NoRecord::Other));
    }

    #[track_caller]
    fn check_against(expected_profile: &Value, change: impl Fn(&mut plist::Dictionary), expected: Expect) {
        let mut list = sample();
        change(&mut list);
        let record = read(&property_list::read(&written(list, true)).unwrap()).unwrap();
        let rows = against(expected_profile.as_object().unwrap(), &record);
        let rows = rows.iter().filter(|row| row.differs);
        expected.assert_eq(
            &rows.map(|row| format!("{}: {}\n", row.field, row.words().join(" | "))).collect::<String>(),
        );
    }

    fn profile() -> Value {
        json!({
            "profile_name": "Lab", "url": "https://mdm.example.com/enroll", "is_supervised": true,
            "is_mandatory": true, "is_mdm_removable": false, "await_device_configured": true,
            "allow_pairing": true, "anchor_certs": ["AQID"], "support_phone_number": "+44 2",
            "do_not_use_profile_from_backup": true, "skip_setup_items": ["TOS", "Siri"],
        })
    }

    #[test]
    fn a_device_that_has_its_profile_differs_in_nothing() {
        check_against(&profile(), |_| {}, expect![""]);
    }

    #[test]
    fn what_a_device_got_otherwise_is_shown() {
        check_against(
            &profile(),
            |list| {
                list.insert("IsMDMUnremovable".to_owned(), 0.into());
                list.insert("ConfigurationURL".to_owned(), "https://old.example.com".into());
                list.remove("SkipSetup");
            },
            expect![[r#"
                is_mdm_removable: false | true
                skip_setup_items: Siri, TOS | -
                url: https://mdm.example.com/enroll | https://old.example.com
            "#]],
        );
    }

    #[test]
    fn the_number_of_the_organisation_stands_in_for_that_of_its_support() {
        let only = |list: &mut plist::Dictionary| drop(list.remove("OrganizationSupportPhone"));
        check_against(
            &profile(),
            only,
            expect![[r#"
            support_phone_number: +44 2 | +44 1
        "#]],
        );
        let mut without = profile();
        without["support_phone_number"] = Value::Null;
        check_against(&without, only, expect![""]);
    }
}
