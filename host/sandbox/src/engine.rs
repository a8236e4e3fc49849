//! The engine's configuration: everything that a policy does not need is off.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
    WasmFeatures,
};

use crate::error::Error;
use crate::limits;

/// How many calls run at once. Deputy has a core or two to spare; more would only hold memory.
pub(crate) const CALLS: u32 = 4;

/// The most one memory of a guest can ever have, whatever its limits say.
pub(crate) const MAX_MEMORY: usize = 512 << 20;

/// What one component may be made of. Interpreters in a component (Python) need dozens of instances.
const INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;

/// How much of a guest's memory stays in ours between calls, where the kernel can tell us which pages
/// to clean; elsewhere cleaning by hand costs more than it saves.
const KEEP_RESIDENT: usize = 1 << 20;

/// One engine for everything. With pooled memory if this machine can reserve the address space,
/// otherwise with memory on demand, which is slower and just as safe.
pub(crate) fn engine() -> Result<Engine, Error> {
    let pooled = Engine::new(config().allocation_strategy(InstanceAllocationStrategy::Pooling(pool())));
    pooled
        .or_else(|error| {
            tracing::warn!("no address space for pooled plugin memory, going on without: {error:#}");
            Engine::new(config().allocation_strategy(InstanceAllocationStrategy::OnDemand))
        })
        .map_err(|error| Error::Engine { reason: format!("{error:#}") })
}

fn config() -> Config {
    let mut config = Config::new();
    // What Rust, C, JavaScript and Python components are made of, and no more.
    let needed = (WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL)
        // Counted as part of everything since version 1, but only a garbage collector needs it.
        - WasmFeatures::GC_TYPES;
    config.wasm_features(WasmFeatures::all(), false).wasm_features(needed, true).concurrency_support(false);
    // The same answer on every machine.
    config.cranelift_nan_canonicalization(true).consume_fuel(true);
    // The net under the fuel.
    config.epoch_interruption(true);
    config.max_wasm_stack(512 << 10);
    // Names in traps help a policy's author; files and lines would be read from the environment.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(CALLS)
        .total_core_instances(CALLS * INSTANCES)
        .total_memories(CALLS * MEMORIES)
        .total_tables(CALLS * TABLES)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .max_memory_size(MAX_MEMORY)
        .table_elements(limits::TABLE_ELEMENTS)
        // Memory of a plugin that is not asked any more goes back to the system.
        .max_unused_warm_slots(CALLS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(64 << 10);
    }
    pool
}
