//! Pages of devices, and the answers to lookups.

use std::collections::BTreeMap;
use std::fmt;

use domain::device::{Change, Cursor, Device, Page};
use domain::id::SerialNumber;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::device::{self, Item, Unreadable};
use super::{bad_json, text};

/// What one request for devices returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAnswer {
    /// What could be read, and how to go on.
    pub page: Page,
    /// Devices in the answer that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// What a lookup says of one serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The device, as Apple has it now.
    Found(Box<Device>),
    /// Not a device of this server: moved, released or mistyped.
    NotAccessible,
    /// Apple, or we, could not tell, and why.
    Failed(String),
}

/// A cursor is at most 1,000 characters by Apple's word; this leaves room for a change of mind
/// and none for nonsense.
const LONGEST_CURSOR: usize = 16 * 1024;

/// The answer to `POST /server/devices` and `POST /devices/sync`.
pub(in crate::apple) fn page(body: &[u8]) -> Result<PageAnswer, String> {
    let body = text(body);
    match serde_json::from_str::<Wire<'_, Devices>>(&body) {
        Ok(wire) => wire.answer(|devices| devices),
        // A single broken escape can stop the quick way; each device on its own is slower.
        Err(_) => {
            let wire = serde_json::from_str::<Wire<'_, Vec<&RawValue>>>(&body)
                .map_err(|error| bad_json(&body, &error))?;
            wire.answer(|devices| {
                let mut read = Devices::default();
                devices.iter().for_each(|json| read.push(device::read(json, None)));
                read
            })
        }
    }
}

/// The cursor to go on with, and whether more is promised. Reads what stands around the devices, not them; so
/// an answer with brackets elsewhere may be taken for another, or for none.
pub(in crate::apple) fn next(body: &[u8]) -> Option<(Cursor, bool)> {
    let first = body.iter().position(|byte| *byte == b'[')?;
    let last = body.iter().rposition(|byte| *byte == b']')?;
    let without = [body.get(..=first)?, body.get(last..)?].concat();
    let PageAnswer { page, .. } = page(&without).ok()?;
    Some((page.cursor?, page.more_to_follow))
}

/// The answer to `POST /devices`: an entry for each serial number that was asked for, whatever
/// Apple left out.
pub(in crate::apple) fn lookups(
    body: &[u8],
    asked: &[SerialNumber],
) -> Result<BTreeMap<SerialNumber, Lookup>, String> {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        devices: Option<BTreeMap<String, &'a RawValue>>,
    }
    let body = text(body);
    let answer: Answer<'_> = serde_json::from_str(&body).map_err(|error| bad_json(&body, &error))?;
    let answered: BTreeMap<SerialNumber, &RawValue> = answer
        .devices
        .ok_or("it lacks devices")?
        .into_iter()
        .filter_map(|(serial, json)| Some((serial.parse().ok()?, json)))
        .collect();
    let lookup = |serial| match answered.get(serial) {
        Some(json) => lookup(json, serial),
        None => Lookup::Failed("missing from Apple's answer".to_owned()),
    };
    Ok(asked.iter().map(|serial| (serial.clone(), lookup(serial))).collect())
}

fn lookup(json: &RawValue, serial: &SerialNumber) -> Lookup {
    match device::read(json, Some(serial)) {
        Ok(entry) => match entry.response_status.as_deref() {
            // The status is undocumented here. Without it and without a model, which every device
            // has, nothing is known.
            None if entry.change.device.model.is_none() => {
                Lookup::Failed("Apple says nothing of it".to_owned())
            }
            None | Some("SUCCESS") if entry.change.device.serial_number != *serial => {
                Lookup::Failed("Apple answered with another device".to_owned())
            }
            // Whoever took that for a device without a profile would assign it once more.
            None | Some("SUCCESS") if !entry.has_status => {
                Lookup::Failed("Apple does not say whether it has a profile".to_owned())
            }
            None | Some("SUCCESS") => Lookup::Found(Box::new(entry.change.device)),
            Some("NOT_ACCESSIBLE" | "NOT_FOUND") => Lookup::NotAccessible,
            Some(word) => Lookup::Failed(super::outcome::said(word)),
        },
        Err(unreadable) => Lookup::Failed(unreadable.why),
    }
}

#[derive(serde::Deserialize)]
struct Wire<'a, D> {
    #[serde(borrow)]
    cursor: Option<&'a RawValue>,
    devices: Option<D>,
    #[serde(borrow)]
    more_to_follow: Option<&'a RawValue>,
}

impl<D> Wire<'_, D> {
    fn answer(self, read: impl FnOnce(D) -> Devices) -> Result<PageAnswer, String> {
        // A page without any has an empty list, and the last one says so. What lacks either must not make
        // a fetch complete: the whole fleet would be taken for gone.
        let Some(devices) = self.devices else { return Err("it lacks devices".to_owned()) };
        let cursor = match self.cursor {
            None => None,
            Some(json) => match serde_json::from_str::<String>(json.get()) {
                Ok(cursor) if cursor.len() > LONGEST_CURSOR => {
                    return Err(format!("its cursor has {} characters", cursor.len()));
                }
                Ok(cursor) => (!cursor.is_empty()).then_some(Cursor(cursor)),
                Err(_) => return Err("its cursor is no text".to_owned()),
            },
        };
        let more_to_follow = match self.more_to_follow.map(|json| json.get().trim_matches('"')) {
            Some("true") => true,
            Some("false") => false,
            None => return Err("it lacks more_to_follow".to_owned()),
            Some(_) => return Err("its more_to_follow is neither true nor false".to_owned()),
        };
        let Devices { changes, unreadable } = read(devices);
        Ok(PageAnswer { page: Page { changes, cursor, more_to_follow }, unreadable })
    }
}

/// The devices of a page, each in its final place at once.
#[derive(Default)]
struct Devices {
    changes: Vec<Change>,
    unreadable: Vec<Unreadable>,
}

impl Devices {
    fn push(&mut self, device: Result<device::Entry, Unreadable>) {
        match device {
            Ok(entry) => self.changes.push(entry.change),
            Err(problem) => self.unreadable.push(problem),
        }
    }
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DevicesVisitor;
        impl<'de> Visitor<'de> for DevicesVisitor {
            type Value = Devices;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of devices")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Devices, A::Error> {
                let mut devices = Devices::default();
                while let Some(device) = seq.next_element_seed(Item)? {
                    devices.push(device);
                }
                Ok(devices)
            }
        }
        deserializer.deserialize_seq(DevicesVisitor)
    }
}

#[cfg(test)]
mod tests;
