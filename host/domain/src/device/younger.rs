//! What Apple says of a device since later versions of its protocol, out of [`Device::extra`].
//!
//! These fields came in 2025 and 2026, most devices have few of them, and what Apple sends has not always been
//! of the type it documents. So they are kept as they came, and read where somebody asks for them. What
//! cannot be read as what it should be is not lost: it stays among [`Device::others`].

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Device;

impl Device {
    /// Until when the device has to be moved here from the service that managed it before.
    pub fn mdm_migration_deadline(&self) -> Option<Timestamp> {
        time(self.extra("mdm_migration_deadline")?)
    }

    /// Whether it came from Apple in exchange for another one.
    pub fn is_replacement_device(&self) -> Option<bool> {
        flag(self.extra("is_replacement_device")?)
    }

    /// The numbers of its modems.
    pub fn imei(&self) -> Vec<&str> {
        self.extra("imei").and_then(numbers).unwrap_or_default()
    }

    /// The same for networks that use other numbers.
    pub fn meid(&self) -> Vec<&str> {
        self.extra("meid").and_then(numbers).unwrap_or_default()
    }

    /// The number of its built-in SIM.
    pub fn eid(&self) -> Option<&str> {
        text(self.extra("eid")?)
    }

    /// Such as `3C:22:FB:00:00:01`.
    pub fn wifi_mac_address(&self) -> Option<&str> {
        text(self.extra("wifi_mac_address")?)
    }

    /// Such as `3C:22:FB:00:00:01`.
    pub fn bluetooth_mac_address(&self) -> Option<&str> {
        text(self.extra("bluetooth_mac_address")?)
    }

    /// Such as `3C:22:FB:00:00:01`.
    pub fn ethernet_mac_address(&self) -> Option<&str> {
        text(self.extra("ethernet_mac_address")?)
    }

    /// What Apple said besides, by name: fields that none of the others here could read.
    pub fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.extra.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        all.filter(|(name, value)| match *name {
            "mdm_migration_deadline" => time(value).is_none(),
            "is_replacement_device" => flag(value).is_none(),
            "imei" | "meid" => numbers(value).is_none(),
            "eid" | "wifi_mac_address" | "bluetooth_mac_address" | "ethernet_mac_address" => {
                text(value).is_none()
            }
            _ => true,
        })
    }

    fn extra(&self, name: &str) -> Option<&str> {
        self.extra.get(name).map(String::as_str)
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn flag(text: &str) -> Option<bool> {
    text.parse().ok()
}

/// A text, as opposed to the JSON of a list or an object.
fn text(text: &str) -> Option<&str> {
    (!text.starts_with(['[', '{'])).then_some(text)
}

/// A JSON list of texts or numbers; or a single one, which is a list of one. Empty texts are none.
fn numbers(list: &str) -> Option<Vec<&str>> {
    if !list.starts_with('[') {
        return text(list).map(|number| vec![number]);
    }
    let elements: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    let bare = elements.into_iter().map(|element| element.get().trim_matches('"'));
    // Anything else would be JSON again: an escape, a list, an object.
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ' ';
    let numbers: Vec<&str> = bare.filter(|number| !number.is_empty()).collect();
    numbers.iter().all(|number| number.chars().all(fits)).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// What is read of these fields, and what stays among the others.
    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: Expect) {
        let mut device = Device::new("C02AA".parse().unwrap());
        device.extra = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let mut read = String::new();
        let mut line = |name: &str, value: Option<String>| {
            value.iter().for_each(|value| read.push_str(&format!("{name}: {value}\n")));
        };
        let list = |numbers: Vec<&str>| (!numbers.is_empty()).then(|| numbers.join(" and "));
        line("mdm_migration_deadline", device.mdm_migration_deadline().map(|time| time.to_string()));
        line("is_replacement_device", device.is_replacement_device().map(|flag| flag.to_string()));
        line("imei", list(device.imei()));
        line("meid", list(device.meid()));
        line("eid", device.eid().map(str::to_owned));
        line("wifi_mac_address", device.wifi_mac_address().map(str::to_owned));
        line("bluetooth_mac_address", device.bluetooth_mac_address().map(str::to_owned));
        line("ethernet_mac_address", device.ethernet_mac_address().map(str::to_owned));
        device.others().for_each(|(name, text)| line(&format!("other {name}"), Some(text.to_owned())));
        expected.assert_eq(&read);
    }

    #[test]
    fn every_field_is_read_and_then_no_other() {
        check(
            &[
                ("mdm_migration_deadline", "2026-03-01T00:00:00Z"),
                ("is_replacement_device", "true"),
                ("imei", r#"["350000000000011","350000000000029"]"#),
                ("meid", r#"["A0000000000001"]"#),
                ("eid", "89049032000000000000000000000001"),
                ("wifi_mac_address", "3C:22:FB:00:00:01"),
                ("bluetooth_mac_address", "3C:22:FB:00:00:02"),
                ("ethernet_mac_address", "3C:22:FB:00:00:03"),
                ("released_by_replacement", "true"),
            ],
            expect![[r#"
                mdm_migration_deadline: 2026-03-01T00:00:00Z
                is_replacement_device: true
                imei: 350000000000011 and 350000000000029
                meid: A0000000000001
                eid: 89049032000000000000000000000001
                wifi_mac_address: 3C:22:FB:00:00:01
                bluetooth_mac_address: 3C:22:FB:00:00:02
                ethernet_mac_address: 3C:22:FB:00:00:03
                other released_by_replacement: true
            "#]],
        );
    }

    #[test]
    fn numbers_come_in_lists_alone_and_without_quotes() {
        check(
            &[("imei", "[350000000000011, \"35 000000 000002 9\", \"\"]"), ("meid", "A0000000000001")],
            expect![[r#"
                imei: 350000000000011 and 35 000000 000002 9
                meid: A0000000000001
            "#]],
        );
        check(&[("imei", "[]")], expect![""]);
    }

    #[test]
    fn what_is_not_what_it_should_be_stays_as_it_came() {
        check(
            &[
                ("mdm_migration_deadline", "soon"),
                ("is_replacement_device", "1"),
                ("imei", r#"["3\u0035", {}]"#),
                ("meid", "[1"),
                ("eid", r#"{"first":"89"}"#),
                ("wifi_mac_address", "[]"),
            ],
            expect![[r#"
                other eid: {"first":"89"}
                other imei: ["3\u0035", {}]
                other is_replacement_device: 1
                other mdm_migration_deadline: soon
                other meid: [1
                other wifi_mac_address: []
            "#]],
        );
    }
}
