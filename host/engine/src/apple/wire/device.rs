//! One device, out of a page or a lookup.
//!
//! What decisions stand on (the serial number, the state, the profile, the order of changes) must
//! make sense, or the device is set aside. Anything else that does not fit is kept as text beside the
//! fields of newer protocol versions. (Apple: "Device".)
//!
//! A page is read in one pass, its texts borrowed from the answer: a million devices come this way.
//! A page that cannot be read like this, for a broken escape or a number out of range, is read again
//! device by device and field by field, so that what is broken costs no more than itself.

mod fields;

use std::borrow::Cow;

use domain::device::{Change, ChangeKind, Device, ProfileStatus};
use domain::id::SerialNumber;
use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer};
use serde_json::value::RawValue;

use fields::{Field, Fields, FieldsVisitor, LARGEST};

/// A device that Apple listed and that we could not read. It exists: a full fetch must not take
/// it for gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which, if that much could be read.
    pub serial: Option<SerialNumber>,
    /// What is wrong, naming the field and not quoting it.
    pub why: String,
}

/// A device as an answer holds it.
#[derive(Debug)]
pub(in crate::apple) struct Entry {
    pub(in crate::apple) change: Change,
    /// Only in lookups.
    pub(in crate::apple) response_status: Option<String>,
    /// Apple said where it is on its way to a profile; it does of every device that it knows.
    pub(in crate::apple) has_status: bool,
}

/// One element of a page's `devices`: read, or set aside. An error only where the JSON itself
/// cannot be read.
pub(in crate::apple) struct Item;

impl<'de> DeserializeSeed<'de> for Item {
    type Value = Result<Entry, Unreadable>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let fields = deserializer.deserialize_any(FieldsVisitor { carefully: false })?;
        Ok(fields.entry(None))
    }
}

/// A device in Apple's JSON that did not come from Apple just now: saved, or made up.
pub fn read_device(json: &str) -> Result<Device, Unreadable> {
    let broken = |_| Unreadable { serial: None, why: "its JSON is broken".to_owned() };
    let json: &RawValue = serde_json::from_str(json).map_err(broken)?;
    Ok(read(json, None)?.change.device)
}

/// Reads one device apart from its page, carefully. `serial` is what the answer files it under.
pub(in crate::apple) fn read(json: &RawValue, serial: Option<&SerialNumber>) -> Result<Entry, Unreadable> {
    let mut deserializer = serde_json::Deserializer::from_str(json.get());
    match deserializer.deserialize_any(FieldsVisitor { carefully: true }) {
        Ok(fields) => fields.entry(serial),
        Err(_) => Err(Unreadable { serial: serial.cloned(), why: "its JSON is broken".to_owned() }),
    }
}

impl<'a> Fields<'a> {
    /// The decoding of a device: the only place where Apple's fields become ours.
    fn entry(self, filed_under: Option<&SerialNumber>) -> Result<Entry, Unreadable> {
        let mut serial = None;
        let result = self.decode(filed_under, &mut serial);
        result.map_err(|why| Unreadable { serial, why })
    }

    fn decode(
        self,
        filed_under: Option<&SerialNumber>,
        serial: &mut Option<SerialNumber>,
    ) -> Result<Entry, String> {
        if self.not_an_object {
            return Err("it is not a JSON object".to_owned());
        }
        let [
            serial_number,
            model,
            description,
            color,
            asset_tag,
            os,
            device_family,
            profile_status,
            profile_uuid,
            profile_assign_time,
            profile_push_time,
            device_assigned_by,
            device_assigned_date,
            op_type,
            op_date,
            response_status,
        ] = self.known;
        *serial = match serial_number {
            Field::Text(text) => text.parse().ok(),
            Field::Absent => filed_under.cloned(),
            Field::Other(_) => None,
        };
        let Some(serial_number) = serial.clone() else {
            return Err("its serial_number is missing or is none".to_owned());
        };
        if self.size > LARGEST {
            return Err(format!("it has {} bytes, more than {LARGEST}", self.size));
        }

        let mut device = Device::new(serial_number);
        let extra = &mut device.extra;
        for (name, field) in self.other {
            match field {
                Field::Absent => {}
                Field::Text(text) => _ = extra.insert(name.into_owned(), text.into_owned()),
                Field::Other(json) => _ = extra.insert(name.into_owned(), json),
            }
        }
        let mut text = |name: &str, field| match field {
            Field::Absent => None,
            Field::Text(text) => Some(text.into_owned()),
            Field::Other(json) => {
                extra.insert(name.to_owned(), json);
                None
            }
        };
        device.model = text("model", model);
        device.description = text("description", description);
        device.color = text("color", color);
        device.asset_tag = text("asset_tag", asset_tag);
        device.os = text("os", os);
        device.device_family = text("device_family", device_family);
        device.device_assigned_by = text("device_assigned_by", device_assigned_by);

        let mut time = |name: &str, field| -> Option<Timestamp> {
            let unread = match field {
                Field::Absent => return None,
                Field::Text(text) => match text.parse() {
                    Ok(time) => return Some(time),
                    Err(_) => text.into_owned(),
                },
                Field::Other(json) => json,
            };
            extra.insert(name.to_owned(), unread);
            None
        };
        device.profile_assign_time = time("profile_assign_time", profile_assign_time);
        device.profile_push_time = time("profile_push_time", profile_push_time);
        device.device_assigned_date = time("device_assigned_date", device_assigned_date);

        // From here on, what does not make sense sets the device aside.
        let word = profile_status.required_text("profile_status")?;
        let has_status = word.is_some();
        if let Some(word) = word {
            device.profile_status = ProfileStatus::from_apple(&word);
            if device.profile_status.as_str() != word {
                extra.insert("profile_status".to_owned(), word.into_owned());
            }
        }
        let has_profile = matches!(device.profile_status, ProfileStatus::Assigned | ProfileStatus::Pushed);
        match profile_uuid {
            Field::Absent => {}
            Field::Text(text) => match text.parse() {
                Ok(id) => device.profile_uuid = Some(id),
                Err(_) if has_profile => return Err("its profile_uuid is no profile id".to_owned()),
                Err(_) => _ = extra.insert("profile_uuid".to_owned(), text.into_owned()),
            },
            Field::Other(_) if has_profile => return Err("its profile_uuid is no text".to_owned()),
            Field::Other(json) => _ = extra.insert("profile_uuid".to_owned(), json),
        }
        let kind = match op_type.required_text("op_type")? {
            None => ChangeKind::Listed,
            Some(word) => match &*word {
                "added" => ChangeKind::Added,
                "modified" => ChangeKind::Modified,
                "deleted" => ChangeKind::Deleted,
                // A word that Apple invents later says at least that something happened to it.
                other => {
                    extra.insert("op_type".to_owned(), other.to_owned());
                    ChangeKind::Modified
                }
            },
        };
        let at = match op_date.required_text("op_date")? {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| "its op_date is not a time".to_owned())?),
        };
        let response_status = response_status.required_text("response_status")?.map(Cow::into_owned);
        Ok(Entry { change: Change { device, kind, at }, response_status, has_status })
    }
}

#[cfg(test)]
mod tests;
