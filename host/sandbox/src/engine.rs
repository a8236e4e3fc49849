//! The engine's configuration: everything that a policy does not need is off.
//!
//! The process that compiles a plugin and the one that runs it build their engines here, from the same
//! settings; code that one made is of no use to an engine with others.

use std::num::NonZeroUsize;

use wasmparser::{Parser, Validator};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
    WasmFeatures,
};

use crate::error::Error;

/// How many calls run at once. Deputy has a core or two to spare; more would only hold memory.
pub(crate) const CALLS: u32 = 4;

/// The most one memory of a guest can ever have, in bytes, whatever its limits say.
pub(crate) const MAX_MEMORY: usize = 512 << 20;

/// What one component may be made of. Interpreters in a component (Python) need dozens of instances.
pub(crate) const INSTANCES: u32 = 64;
pub(crate) const MEMORIES: u32 = 4;
pub(crate) const TABLES: u32 = 64;

/// The most elements in one table.
pub(crate) const TABLE_ELEMENTS: usize = 50_000;

/// How much of the caller's stack a guest may use, in bytes.
pub(crate) const STACK: usize = 512 << 10;

/// The calls that are shown of a guest that fails, innermost first.
const FRAMES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// How much of a guest's memory stays in ours between calls, where the kernel can tell us which pages
/// to clean; elsewhere cleaning by hand costs more than it saves.
const KEEP_RESIDENT: usize = 1 << 20;

/// Where guests get their memory from. Code is compiled for one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Out of address space reserved for all guests at the start, so large that most checks are needless.
    Pooled,
    /// As it is asked for, no larger than that, with every access checked.
    OnDemand,
}

/// One engine for everything. With pooled memory if this machine can reserve the address space,
/// otherwise with memory on demand, which is slower and just as safe.
pub(crate) fn engine() -> Result<(Engine, Memory), Error> {
    let pooled = InstanceAllocationStrategy::Pooling(pool());
    match Engine::new(config(Memory::Pooled).allocation_strategy(pooled)) {
        Ok(engine) => Ok((engine, Memory::Pooled)),
        Err(error) => {
            tracing::warn!("no address space to pool the memory of plugins, they run slower: {error:#}");
            compiling(Memory::OnDemand).map(|engine| (engine, Memory::OnDemand))
        }
    }
}

/// An engine that reserves nothing: it compiles for the engine that runs.
pub(crate) fn compiling(memory: Memory) -> Result<Engine, Error> {
    Engine::new(config(memory).allocation_strategy(InstanceAllocationStrategy::OnDemand))
        .map_err(|error| Error::Engine { reason: format!("{error:#}") })
}

/// What Rust, C, JavaScript and Python components are made of, and no more.
fn needed() -> WasmFeatures {
    (WasmFeatures::WASM2 | WasmFeatures::EXTENDED_CONST | WasmFeatures::COMPONENT_MODEL)
        // Counted as part of everything since version 1, but only a garbage collector needs it.
        - WasmFeatures::GC_TYPES
}

/// Why a component is refused although the engine would take it: the code that copies between the memories of two
/// components within one is the engine's own and has both, so modules with several memories have to be
/// allowed there. No module of a component may be one.
pub(crate) fn refused(component: &[u8]) -> Option<String> {
    let mut validator = Validator::new_with_features(needed());
    let mut parser = Parser::new(0);
    parser.set_features(needed());
    // The bodies of functions are left to the engine: without a second memory they cannot name one.
    let wrong = parser
        .parse_all(component)
        .find_map(|payload| payload.and_then(|payload| validator.payload(&payload).map(drop)).err());
    // As the engine says it.
    wrong.map(|error| format!("failed to parse WebAssembly module: {error}"))
}

fn config(memory: Memory) -> Config {
    let mut config = Config::new();
    let allowed = needed() | WasmFeatures::MULTI_MEMORY;
    config.wasm_features(WasmFeatures::all(), false).wasm_features(allowed, true).concurrency_support(false);
    // The same answer on every machine.
    config.cranelift_nan_canonicalization(true).consume_fuel(true);
    // The net under the fuel.
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK);
    // Names in traps help a policy's author; files and lines would be read from the environment.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable).wasm_backtrace_max_frames(Some(FRAMES));
    if memory == Memory::OnDemand {
        // Not a byte of address space that nobody asked for: that is what was short.
        config.memory_reservation(0).memory_reservation_for_growth(1 << 20).memory_guard_size(0);
    }
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
        .table_elements(TABLE_ELEMENTS)
        // Memory of a plugin that is not asked any more goes back to the system.
        .max_unused_warm_slots(CALLS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(64 << 10);
    }
    pool
}
