//! What a plugin may use, and the limiter that counts its memory.

use std::time::Duration;

/// What one call of a plugin may use. The defaults leave a compiled policy ten to a hundred times what it
/// needs; interpreters need more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest component that is looked at.
    pub component_bytes: usize,
    /// Memory, everything of an instance together. At most 512 MiB in one memory.
    pub memory_bytes: usize,
    /// Fuel for a call, however few devices. Fuel is roughly instructions.
    pub fuel_per_call: u64,
    /// Fuel for each device besides.
    pub fuel_per_device: u64,
    /// The net under the fuel: how long a call may take on a machine that is slow or busy.
    pub time: Duration,
    /// How much an answer, or one line of the log, may weigh.
    pub output_bytes: usize,
    /// How much of what is logged in a call is kept.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 16 << 20,
            memory_bytes: 64 << 20,
            fuel_per_call: 5_000_000,
            fuel_per_device: 200_000,
            time: Duration::from_secs(10),
            output_bytes: 4 << 20,
            log_bytes: 8 << 10,
        }
    }
}

/// Reading settings is work that every call begins with: so much for each of their bytes. A list of 50,000
/// serial numbers is half a megabyte.
const FUEL_PER_SETTINGS_BYTE: u64 = 500;

/// The most elements in one table: what the pool of tables is made for.
pub(crate) const TABLE_ELEMENTS: usize = 50_000;

impl Limits {
    pub(crate) fn fuel(&self, settings: &str, devices: usize) -> u64 {
        let settings = FUEL_PER_SETTINGS_BYTE.saturating_mul(settings.len() as u64);
        let devices = self.fuel_per_device.saturating_mul(devices as u64);
        self.fuel_per_call.saturating_add(settings).saturating_add(devices)
    }
}

/// Counts the memory of one instance, over all its memories and tables: the engine's own limiter has a limit for each.
#[derive(Debug)]
pub(crate) struct Limiter {
    left: usize,
    /// Something was refused. A guest may carry on regardless; if it does not, this is why.
    pub(crate) refused: bool,
}

impl Limiter {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: bytes, refused: false }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        self.refused |= left.is_none();
        left.is_some()
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take(wanted.saturating_sub(now)))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        // The limit was fine with it, the pool or the machine was not.
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = wanted.saturating_sub(now).saturating_mul(size_of::<usize>());
        Ok(wanted <= TABLE_ELEMENTS && self.take(bytes))
    }
}
