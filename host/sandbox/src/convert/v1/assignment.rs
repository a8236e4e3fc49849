//! Version 1: devices and verdicts.

use std::collections::BTreeMap;

use domain::device::{Device, ProfileStatus};
use domain::id::ProfileId;
use domain::verdict::{Context, Verdict};
use jiff::Timestamp;

use crate::bindings::v1::exports::deputy::policy::assignment as wit;
use crate::convert::{Raw, seconds};
use crate::fault::Fault;

/// The fields of a device that a policy reads; those of older versions are among them.
pub(crate) type Fields = wit::DeviceFields;

pub(crate) fn context<'a>(context: &'a Context, profiles: &'a [&'a str]) -> wit::Context<'a> {
    wit::Context {
        now: seconds(context.now),
        utc_offset: context.utc_offset.seconds(),
        token: context.token.as_str(),
        profiles,
    }
}

/// A batch of devices, ready to be lent to a guest again and again: what of a device is a list has to be
/// somewhere.
pub(crate) struct Batch<'a> {
    devices: &'a [Device],
    reads: Fields,
    /// Apple's ids of the profiles that may be assigned, with their places in the context.
    places: BTreeMap<&'a ProfileId, u32>,
    imei: Lists<&'a str>,
    meid: Lists<&'a str>,
    extra: Lists<(&'a str, &'a str)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(context: &'a Context, devices: &'a [Device], reads: Fields) -> Self {
        let of = |field| if reads.contains(field) { devices } else { &[] };
        let mut places = BTreeMap::new();
        if reads.contains(Fields::CURRENT_PROFILE) {
            let indices: BTreeMap<_, u32> = context.profiles.iter().zip(0..).collect();
            let defined = context.defined.iter();
            places.extend(defined.filter_map(|(id, name)| Some((id, *indices.get(name)?))));
        }
        Self {
            devices,
            reads,
            places,
            imei: Lists::new(of(Fields::IMEI).iter().map(Device::imei)),
            meid: Lists::new(of(Fields::MEID).iter().map(Device::meid)),
            extra: Lists::new(of(Fields::EXTRA).iter().map(Device::others)),
        }
    }

    /// The devices as the guest gets them: with what it reads, and nothing else.
    pub(crate) fn view(&'a self) -> Vec<wit::Device<'a>> {
        self.devices.iter().enumerate().map(|(index, device)| self.device(index, device)).collect()
    }

    fn device(&'a self, index: usize, device: &'a Device) -> wit::Device<'a> {
        let reads = |field| self.reads.contains(field);
        let text = |field, text: &'a Option<String>| text.as_deref().filter(|_| reads(field));
        let time = |field, time: Option<Timestamp>| time.filter(|_| reads(field)).map(seconds);
        // What has to be looked for is looked for only if it is asked for.
        fn asked<T>(asked: bool, find: impl FnOnce() -> Option<T>) -> Option<T> {
            if asked { find() } else { None }
        }
        wit::Device {
            serial_number: if reads(Fields::SERIAL_NUMBER) { device.serial_number.as_str() } else { "" },
            model: text(Fields::MODEL, &device.model),
            description: text(Fields::DESCRIPTION, &device.description),
            color: text(Fields::COLOR, &device.color),
            asset_tag: text(Fields::ASSET_TAG, &device.asset_tag),
            os: text(Fields::OS, &device.os),
            device_family: text(Fields::DEVICE_FAMILY, &device.device_family),
            profile_status: match device.profile_status {
                ProfileStatus::Empty => wit::ProfileStatus::Empty,
                ProfileStatus::Assigned => wit::ProfileStatus::Assigned,
                ProfileStatus::Pushed => wit::ProfileStatus::Pushed,
                ProfileStatus::Removed => wit::ProfileStatus::Removed,
            },
            profile_uuid: asked(reads(Fields::PROFILE_UUID), || {
                device.profile_uuid.as_ref().map(|id| id.as_str())
            }),
            current_profile: asked(reads(Fields::CURRENT_PROFILE), || {
                self.places.get(device.profile()?).copied()
            }),
            profile_assign_time: time(Fields::PROFILE_ASSIGN_TIME, device.profile_assign_time),
            profile_push_time: time(Fields::PROFILE_PUSH_TIME, device.profile_push_time),
            device_assigned_by: text(Fields::DEVICE_ASSIGNED_BY, &device.device_assigned_by),
            device_assigned_date: time(Fields::DEVICE_ASSIGNED_DATE, device.device_assigned_date),
            mdm_migration_deadline: asked(reads(Fields::MDM_MIGRATION_DEADLINE), || {
                device.mdm_migration_deadline().map(seconds)
            }),
            is_replacement_device: asked(reads(Fields::IS_REPLACEMENT_DEVICE), || {
                device.is_replacement_device()
            }),
            imei: self.imei.of(index),
            meid: self.meid.of(index),
            eid: asked(reads(Fields::EID), || device.eid()),
            wifi_mac_address: asked(reads(Fields::WIFI_MAC_ADDRESS), || device.wifi_mac_address()),
            bluetooth_mac_address: asked(reads(Fields::BLUETOOTH_MAC_ADDRESS), || {
                device.bluetooth_mac_address()
            }),
            ethernet_mac_address: asked(reads(Fields::ETHERNET_MAC_ADDRESS), || {
                device.ethernet_mac_address()
            }),
            extra: self.extra.of(index),
        }
    }
}

/// The lists of many devices in one piece of memory. Without any, each is empty.
struct Lists<T> {
    items: Vec<T>,
    ends: Vec<usize>,
}

impl<T> Lists<T> {
    fn new(lists: impl ExactSizeIterator<Item: IntoIterator<Item = T>>) -> Self {
        let (mut items, mut ends) = (Vec::new(), Vec::with_capacity(lists.len()));
        for list in lists {
            items.extend(list);
            ends.push(items.len());
        }
        Self { items, ends }
    }

    fn of(&self, index: usize) -> &[T] {
        let Some(end) = self.ends.get(index) else { return &[] };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.items[start..*end]
    }
}

/// The names of fields, as Apple and people write them.
pub(crate) fn field_names(fields: Fields) -> Vec<&'static str> {
    let names = [
        (Fields::SERIAL_NUMBER, "serial_number"),
        (Fields::MODEL, "model"),
        (Fields::DESCRIPTION, "description"),
        (Fields::COLOR, "color"),
        (Fields::ASSET_TAG, "asset_tag"),
        (Fields::OS, "os"),
        (Fields::DEVICE_FAMILY, "device_family"),
        (Fields::PROFILE_UUID, "profile_uuid"),
        (Fields::CURRENT_PROFILE, "current_profile"),
        (Fields::PROFILE_ASSIGN_TIME, "profile_assign_time"),
        (Fields::PROFILE_PUSH_TIME, "profile_push_time"),
        (Fields::DEVICE_ASSIGNED_BY, "device_assigned_by"),
        (Fields::DEVICE_ASSIGNED_DATE, "device_assigned_date"),
        (Fields::MDM_MIGRATION_DEADLINE, "mdm_migration_deadline"),
        (Fields::IS_REPLACEMENT_DEVICE, "is_replacement_device"),
        (Fields::IMEI, "imei"),
        (Fields::MEID, "meid"),
        (Fields::EID, "eid"),
        (Fields::WIFI_MAC_ADDRESS, "wifi_mac_address"),
        (Fields::BLUETOOTH_MAC_ADDRESS, "bluetooth_mac_address"),
        (Fields::ETHERNET_MAC_ADDRESS, "ethernet_mac_address"),
        (Fields::EXTRA, "extra"),
    ];
    names.into_iter().filter(|(field, _)| fields.contains(*field)).map(|(_, name)| name).collect()
}

pub(crate) fn verdicts(
    answer: wit::Verdicts,
    context: &Context,
    devices: usize,
) -> Result<Vec<Verdict>, Fault> {
    let wit::Verdicts { verdicts, reasons } = answer;
    let verdicts = verdicts.into_iter().map(|wit::Verdict { decision, reason }| {
        let decision = match decision {
            wit::Decision::Assign(index) => Raw::Assign(index),
            wit::Decision::Hold(until) => Raw::Hold(until),
            wit::Decision::Ignore => Raw::Ignore,
        };
        (decision, reason)
    });
    crate::convert::verdicts(verdicts, &reasons, &context.profiles, devices)
}
