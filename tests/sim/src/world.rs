//! What happens to devices in the world: they are moved, replaced, locked and throttled.
//!
//! The rest of `Control`, which see.

use crate::control::{Control, Error};
use crate::device::{Device, Kind, Op, ProfileStatus};
use crate::info::time;
use crate::state::{Lock, Replacement};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Control {
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
