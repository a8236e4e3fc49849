//! What a plugin may use, and the limiter that counts it.

use std::time::Duration;

use crate::engine;

/// What a plugin may use: for a call, and once to be compiled. The defaults leave a compiled policy ten to
/// a hundred times what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest component that is looked at, in bytes.
    pub component_bytes: usize,
    /// How long compiling it may take.
    pub compile_time: Duration,
    /// How much memory compiling it may take, in bytes.
    pub compile_bytes: u64,
    /// Memory, everything of an instance together, in bytes. At most 512 MiB in one memory.
    pub memory_bytes: usize,
    /// Elements of tables, everything of an instance together. At most 50,000.
    pub table_elements: usize,
    /// Core instances that a component may be made of. At most 64.
    pub instances: usize,
    /// Fuel for a call, however few devices. Fuel is roughly instructions.
    pub fuel_per_call: u64,
    /// Fuel for each device besides.
    pub fuel_per_device: u64,
    /// The net under the fuel: how long a call may take on a machine that is slow or busy.
    pub time: Duration,
    /// How much an answer, or one line of the log, may weigh, in bytes.
    pub output_bytes: usize,
    /// How much of what is logged in a call is kept, in bytes.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 16 << 20,
            compile_time: Duration::from_secs(30),
            compile_bytes: 1 << 30,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            instances: 16,
            fuel_per_call: 5_000_000,
            fuel_per_device: 200_000,
            time: Duration::from_secs(10),
            output_bytes: 4 << 20,
            log_bytes: 8 << 10,
        }
    }
}

impl Limits {
    /// For a component that carries an interpreter, as those of JavaScript and Python do: ten times the size, and
    /// a hundred times the instructions for the same decision. The operator asks for it; the
    /// component's size alone would let any plugin have more by being larger.
    pub fn interpreter() -> Self {
        Self {
            component_bytes: 64 << 20,
            compile_time: Duration::from_secs(180),
            compile_bytes: 3 << 30,
            memory_bytes: 256 << 20,
            table_elements: engine::TABLE_ELEMENTS,
            instances: engine::INSTANCES as usize,
            fuel_per_call: 500_000_000,
            fuel_per_device: 5_000_000,
            time: Duration::from_secs(60),
            ..Self::default()
        }
    }

    pub(crate) fn fuel(&self, settings: &str, devices: usize) -> u64 {
        let settings = FUEL_PER_SETTINGS_BYTE.saturating_mul(settings.len() as u64);
        let devices = self.fuel_per_device.saturating_mul(devices as u64);
        self.fuel_per_call.saturating_add(settings).saturating_add(devices)
    }
}

/// Reading settings is work that every call begins with: so much for each of their bytes. A list of 50,000
/// serial numbers is half a megabyte.
const FUEL_PER_SETTINGS_BYTE: u64 = 500;

/// Counts what one instance has, over all its memories and tables: the engine's own limiter has a limit for each.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_left: usize,
    elements_left: usize,
    instances: usize,
    /// The first thing that was refused. A guest may carry on regardless; if it does not, this is why.
    pub(crate) refused: Option<Refused>,
}

/// What a guest wanted more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Memory,
    Table,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_left: limits.memory_bytes,
            elements_left: limits.table_elements,
            instances: limits.instances,
            refused: None,
        }
    }

    fn refuse(&mut self, what: Refused) -> bool {
        self.refused.get_or_insert(what);
        false
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        match self.memory_left.checked_sub(wanted.saturating_sub(now)) {
            Some(left) if wanted <= engine::MAX_MEMORY => {
                self.memory_left = left;
                Ok(true)
            }
            _ => Ok(self.refuse(Refused::Memory)),
        }
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        // The limit was fine with it, the pool or the machine was not.
        self.refuse(Refused::Memory);
        Ok(())
    }

    fn table_growing(&mut self, now: usize, wanted: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        match self.elements_left.checked_sub(wanted.saturating_sub(now)) {
            Some(left) => {
                self.elements_left = left;
                Ok(true)
            }
            None => Ok(self.refuse(Refused::Table)),
        }
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refuse(Refused::Table);
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        engine::TABLES as usize
    }

    fn memories(&self) -> usize {
        engine::MEMORIES as usize
    }
}
