//! A file of devices, read one device after the other.
//!
//! Either Apple's words (an answer to a request for devices, or the bare list in it) or ours (what
//! `deputy device list --json` prints). Devices that have left are passed over.

use std::fmt;
use std::io::Read;

use domain::device::Device;
use domain::id::TokenName;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Takes one device and whose it is, if the file says so; or what is wrong with one.
type Take<'a> = &'a mut dyn FnMut(Result<(Option<TokenName>, Device), String>) -> Result<(), String>;

/// Reads the file; `take` gets one device after the other and can end it with a reason.
pub(super) fn read(file: impl Read, take: Take<'_>) -> Result<(), String> {
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_reader(file);
    let file = File { take, failed: &mut failed };
    let read = json.deserialize_any(file).and_then(|found| json.end().map(|()| found));
    match (failed, read) {
        (Some(why), _) => Err(why),
        (None, Ok(true)) => Ok(()),
        (None, Ok(false)) => Err("it has no `devices`".to_owned()),
        (None, Err(error)) if error.is_data() => Err(error.to_string()),
        (None, Err(error)) => Err(format!("it is not JSON: {error}")),
    }
}

struct File<'a, 'f> {
    take: Take<'a>,
    /// Why reading ended early; serde's own errors are about JSON.
    failed: &'f mut Option<String>,
}

/// The value is whether there were devices.
impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("devices")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "devices" {
                map.next_value_seed(List { take: &mut *self.take, failed: &mut *self.failed })?;
                found = true;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<bool, A::Error> {
        List { take: self.take, failed: self.failed }.visit_seq(seq).map(|()| true)
    }
}

struct List<'a, 'f> {
    take: Take<'a>,
    failed: &'f mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of devices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut nth = 0_u64;
        while let Some(json) = seq.next_element::<Box<RawValue>>()? {
            nth += 1;
            let device = match device(&json) {
                Ok(None) => continue,
                Ok(Some(device)) => Ok(device),
                Err(why) => Err(format!("its device {nth}: {why}")),
            };
            if let Err(why) = (self.take)(device) {
                *self.failed = Some(why);
                return Err(serde::de::Error::custom("ended"));
            }
        }
        Ok(())
    }
}

/// One element: ours has the device within; Apple's is the device. None if it has left.
fn device(json: &RawValue) -> Result<Option<(Option<TokenName>, Device)>, String> {
    #[derive(Deserialize)]
    struct Ours<'a> {
        token: Option<TokenName>,
        #[serde(borrow)]
        device: Option<&'a RawValue>,
        #[serde(default)]
        gone: bool,
        op_type: Option<String>,
    }
    let peek: Result<Ours<'_>, _> = serde_json::from_str(json.get());
    match peek {
        Ok(it) if it.gone || it.op_type.as_deref() == Some("deleted") => Ok(None),
        Ok(Ours { token, device: Some(device), .. }) => {
            let device = serde_json::from_str(device.get()).map_err(|error| error.to_string())?;
            Ok(Some((token, device)))
        }
        _ => {
            let device = engine::apple::read_device(json.get()).map_err(|unreadable| unreadable.why)?;
            Ok(Some((None, device)))
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Expect) {
        let mut found = String::new();
        let read = read(file.as_bytes(), &mut |device| {
            let (token, device) = device?;
            let token = token.map_or("no token".to_owned(), |token| token.to_string());
            found += &format!("{} of {token}, {:?}\n", device.serial_number, device.model);
            Ok(())
        });
        if let Err(why) = read {
            found += &format!("error: {why}\n");
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn a_page_of_apples_is_devices_without_those_that_left() {
        check(
            r#"{"cursor": "x", "devices": [{"serial_number": "a", "model": "iPad", "profile_status": "empty"},
                {"serial_number": "b", "op_type": "deleted", "op_date": "2026-01-09T00:00:00Z"}], "more_to_follow": false}"#,
            expect![[r#"
                A of no token, Some("iPad")
            "#]],
        );
    }

    #[test]
    fn our_own_list_says_whose_they_are() {
        check(
            r#"{"version": 1, "devices": [
                {"token": "emea", "gone": false, "device": {"serial_number": "A", "profile_status": "empty"}},
                {"token": "emea", "gone": true, "device": {"serial_number": "B", "profile_status": "empty"}}]}"#,
            expect![[r#"
                A of emea, None
            "#]],
        );
    }

    #[test]
    fn a_bare_list_is_enough() {
        check(
            r#"[{"serial_number": "A"}]"#,
            expect![[r#"
            A of no token, None
        "#]],
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_the_device() {
        check(
            r#"[{"serial_number": "A"}, {"model": "iPad"}]"#,
            expect![[r#"
            A of no token, None
            error: its device 2: its serial_number is missing or is none
        "#]],
        );
        check(
            r#"{"things": []}"#,
            expect![[r#"
            error: it has no `devices`
        "#]],
        );
        check(
            "serial,model\n",
            expect![[r#"
            error: it is not JSON: expected value at line 1 column 1
        "#]],
        );
        check(
            "{\"devices\": 7}",
            expect![[r#"
            error: invalid type: integer `7`, expected a list of devices at line 1 column 14
        "#]],
        );
        check(
            "7",
            expect![[r#"
            error: invalid type: integer `7`, expected devices at line 1 column 1
        "#]],
        );
    }
}
