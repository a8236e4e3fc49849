//! What happens to devices in the world: they are bought, changed, moved, replaced, locked and released.
//!
//! The rest of `Control`, which see.

use crate::control::{Control, Error};
use crate::device::{Device, Kind, Op, ProfileStatus};
use crate::info::{DeviceInfo, time};
use crate::server::{Lock, Replacement};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

impl Control {
    /// Adds devices, given by their fields at Apple; only `serial_number` must be there. All or none.
    pub fn add_devices(&self, name: &str, devices: &[Value]) -> Result<usize, Error> {
        self.with(name, |server, now| {
            let now = now.as_second();
            let usual = Arc::new(Kind {
                model: "MacBook Pro".into(),
                os: Some("OSX".into()),
                family: Some("Mac".into()),
                assigned_by: server.admin_id.to_string(),
                ..Default::default()
            });
            let mut fresh: HashMap<&str, ()> = HashMap::new();
            let mut made = Vec::with_capacity(devices.len());
            for fields in devices {
                let fields = fields.as_object().ok_or(Error::BadSerial)?;
                let serial = fields.get("serial_number").and_then(Value::as_str).ok_or(Error::BadSerial)?;
                let serial = checked(serial)?;
                if server.inventory.get(serial).is_some() || fresh.insert(serial, ()).is_some() {
                    return Err(Error::DeviceExists { server: name.into(), serial: serial.into() });
                }
                let mut device = Device::new(serial, usual.clone(), now);
                device.set(fields, now)?;
                made.push(device);
            }
            Ok(made.into_iter().filter(|device| server.inventory.add(device.clone(), now)).count())
        })
    }

    /// Adds a realistic fleet; the same seed makes the same devices, and goes on when asked again.
    /// Returns their serial numbers.
    pub fn generate_devices(&self, name: &str, count: usize, seed: u64) -> Result<Vec<Arc<str>>, Error> {
        let mut serials = Vec::with_capacity(count.min(1 << 20));
        self.with(name, |server, now| {
            server.generate(count, seed, now.as_second(), |serial| serials.push(serial.into()));
            Ok(())
        })?;
        Ok(serials)
    }

    /// The same for a fleet so large that nobody wants to hear its serial numbers.
    pub fn generate_fleet(&self, name: &str, count: usize, seed: u64) -> Result<(), Error> {
        self.with(name, |server, now| {
            server.generate(count, seed, now.as_second(), |_| {});
            Ok(())
        })
    }

    /// Changes any fields of a device; `null` takes one away. Sync tells of it as `modified`.
    pub fn change_device(&self, name: &str, serial: &str, fields: &Value) -> Result<(), Error> {
        let Value::Object(fields) = fields else {
            return Err(Error::BadRequest("the changes of a device are a JSON object".into()));
        };
        self.with(name, |server, now| {
            let now = now.as_second();
            let done = server.inventory.change(serial, now, |device| device.set(fields, now));
            Ok(done.ok_or(Error::NoDevice { server: name.into(), serial: serial.into() })??)
        })
    }

    /// Takes a device off a server, with or without a `deleted` record. Apple writes one for devices moved
    /// to another server, and often none for devices that were released; if the settings say so, never.
    pub fn remove_device(&self, name: &str, serial: &str, with_record: bool) -> Result<(), Error> {
        let with_record = with_record && !self.settings().release_without_record;
        self.with(name, |server, now| match server.inventory.remove(serial, with_record, now.as_second()) {
            true => Ok(()),
            false => Err(Error::NoDevice { server: name.into(), serial: serial.into() }),
        })
    }

    /// Every device on a server, oldest first.
    pub fn devices(&self, name: &str) -> Result<Vec<DeviceInfo>, Error> {
        self.devices_from(name, 0, usize::MAX)
    }

    /// Some of the devices on a server.
    pub fn devices_from(&self, name: &str, offset: usize, limit: usize) -> Result<Vec<DeviceInfo>, Error> {
        self.with(name, |server, _| {
            Ok(server.inventory.devices().skip(offset).take(limit).map(DeviceInfo::from).collect())
        })
    }

    /// One device.
    pub fn device(&self, name: &str, serial: &str) -> Result<DeviceInfo, Error> {
        self.with(name, |server, _| {
            let found = server.inventory.get(serial).map(DeviceInfo::from);
            found.ok_or(Error::NoDevice { server: name.into(), serial: serial.into() })
        })
    }

    /// Moves a device to another server, as the portal does: the old one tells of it as `deleted`, the new
    /// one as `added`, or, if the device was there before, as `modified` with the profile it had `removed`.
    pub fn move_device(&self, serial: &str, from: &str, to: &str) -> Result<(), Error> {
        if from == to {
            return Err(Error::BadRequest(format!("device `{serial}` is on server `{to}` already")));
        }
        let mut state = self.state();
        let now = state.now(Timestamp::now()).as_second();
        let no_server = |name: &str| Error::NoServer(name.into());
        let new = state.server(to).ok_or_else(|| no_server(to))?;
        if new.inventory.get(serial).is_some() {
            return Err(Error::DeviceExists { server: to.into(), serial: serial.into() });
        }
        let before = new.inventory.last_seen(serial).cloned();
        let admin_id = new.admin_id.to_string();
        let old = state.server_mut(from).ok_or_else(|| no_server(from))?;
        let no_device = || Error::NoDevice { server: from.into(), serial: serial.into() };
        let mut device = old.inventory.get(serial).cloned().ok_or_else(no_device)?;
        old.inventory.remove(serial, true, now);
        let op = if before.is_some() { Op::Modified } else { Op::Added };
        (device.assigned_date, device.assignments) = (now, 0);
        device.kind = Arc::new(Kind { assigned_by: admin_id, ..Kind::clone(&device.kind) });
        device.set_status(ProfileStatus::Empty, now);
        if let Some(before) = before {
            (device.profile, device.assignments) = (before.profile, before.assignments);
            device.set_status(ProfileStatus::Removed, now);
        }
        let new = state.server_mut(to).ok_or_else(|| no_server(to))?;
        new.inventory.add_as(device, op, now);
        Ok(())
    }

    /// Apple replaces a device by another of its kind: the old one is `deleted` and `released_by_replacement`,
    /// the new one `added` and `is_replacement_device`, and replacement details are there for it.
    pub fn replace_device(&self, name: &str, old: &str, new: &str) -> Result<(), Error> {
        let new = checked(new)?;
        self.with(name, |server, now| {
            let (at, now) = (now, now.as_second());
            let no_device = || Error::NoDevice { server: name.into(), serial: old.into() };
            let kind = server.inventory.get(old).map(|device| device.kind.clone()).ok_or_else(no_device)?;
            if server.inventory.get(new).is_some() {
                return Err(Error::DeviceExists { server: name.into(), serial: new.into() });
            }
            server.inventory.mark(old, |device| device.set_extra("released_by_replacement", true.into()));
            server.inventory.remove(old, true, now);
            let mut device = Device::new(new, kind, now);
            device.set_extra("is_replacement_device", true.into());
            server.inventory.add(device, now);
            server.replacements.insert(new.into(), Replacement { original: old.into(), at });
            Ok(())
        })
    }

    /// The devices that are refused a profile now, and until when.
    pub fn throttled(&self, name: &str) -> Result<BTreeMap<String, Timestamp>, Error> {
        self.with(name, |server, now| {
            let held = server.throttles.held(now.as_second());
            Ok(held.map(|(serial, until)| (serial.into(), time(until))).collect())
        })
    }

    /// How often each device of a server was assigned a profile, those that never were left out.
    pub fn assignments_of(&self, name: &str) -> Result<BTreeMap<String, u32>, Error> {
        self.with(name, |server, _| {
            let devices = server.inventory.devices().filter(|device| device.assignments > 0);
            Ok(devices.map(|device| (device.serial.to_string(), device.assignments)).collect())
        })
    }

    /// The Activation Locks of a server's devices, by serial number.
    pub fn locks(&self, name: &str) -> Result<BTreeMap<String, Lock>, Error> {
        self.with(name, |server, _| Ok(server.locks.clone()))
    }

    /// Locks a device with a person's own account, before the organisation can: `DEVICE_ALREADY_LOCKED`.
    pub fn lock_by_user(&self, name: &str, serial: &str) -> Result<(), Error> {
        self.with(name, |server, now| {
            let no_device = || Error::NoDevice { server: name.into(), serial: serial.into() };
            server.inventory.get(serial).ok_or_else(no_device)?;
            let since = time(now.as_second());
            let lock = Lock { by_user: true, escrow_key: None, lost_message: None, since };
            server.locks.insert(serial.into(), lock);
            Ok(())
        })
    }

    /// Opens the Activation Lock of a device; `false` if it had none.
    pub fn unlock(&self, name: &str, serial: &str) -> Result<bool, Error> {
        self.with(name, |server, _| Ok(server.locks.remove(serial).is_some()))
    }
}

/// Whether a text can be a serial number.
pub(crate) fn checked(serial: &str) -> Result<&str, Error> {
    let good = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    if serial.is_empty() || !serial.bytes().all(good) { Err(Error::BadSerial) } else { Ok(serial) }
}
