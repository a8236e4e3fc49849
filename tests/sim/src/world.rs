//! What happens to devices in the world: they are locked, moved and replaced.
//!
//! The rest of `Control`, which see.

use crate::control::{Control, Error};
use crate::info::time;
use crate::state::Lock;
use std::collections::BTreeMap;

impl Control {
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
