//! Policies of other people, run so that they cannot hurt.
//!
//! A plugin is a WebAssembly component that answers questions of the contract in `wit/`, in any version of it
//! that was released. This crate is the only one that names the engine that runs it. What a plugin can do, and what stops it:
//!
//! - **It sees nothing.** No files, sockets, environment or arguments. A component that imports anything but the
//!   contract's `log` and `tables` is refused when it is loaded, by name ([`Error::UngrantedImports`]); WASI, which the
//!   runtimes of languages drag in, is an empty world in which the clock stands still at the run's `now` (at 1970
//!   while it is loaded) and randomness follows from the plugin's digest and that `now`. Of a device it gets
//!   the fields it asks for, and of the operator's tables the columns it asks for, if they were granted
//!   ([`Error::UngrantedTables`]).
//! - **It is the file the operator trusts.** Its SHA-256 is compared before anything looks inside
//!   ([`Error::DigestMismatch`]).
//! - **It remembers nothing.** Every call gets a new instance in a new store, which is dropped after it. With
//!   a clock that stands still, frozen floating point and fuel as the measure of effort, the same call gives the
//!   same answer on every machine.
//! - **It is bounded**: by fuel in proportion to the batch, by a deadline as the net under it, in memory summed
//!   over everything it has, in tables and instances, in what it answers and in what it logs ([`Limits`]). Calls at the same time
//!   are as many as the pool of memory was made for; others wait.
//! - **It cannot lie.** Too few verdicts, profiles, reasons or channels that do not exist, are faults like a trap.
//!   Text of its making is stripped of control characters and cut to a length.
//! - **It hurts only its own.** A batch that fails is run again in halves until the devices that make it fail stand
//!   alone; they get a fault, which holds them, and the others keep their verdicts. So it is with tokens. That
//!   search is bounded too ([`Plugin::answer_assignment`]).
//! - **Compiled code is code**: it is kept in a folder that only we can enter, under a keyed checksum, and made
//!   again when anything about it is odd.
//!
//! - **It is compiled apart**: in a child process with limits on time and memory, which knows nothing of our
//!   environment ([`compile`]). A component that is a bomb costs no more than that child.
//!
//! What remains is trusted: wasmtime and its compiler. Everything of WebAssembly that compilers do not need
//! is switched off, so that what remains is small.
//!
//! Nothing here is async, and guests run on the caller's thread, using at most 512 KiB of its stack:
//! call from a thread that may block and has the usual 2 MiB.

mod plugin;
mod search;

mod call;
mod fault;
mod limits;
mod log;

mod bindings;
mod contract;
mod convert;
mod lookup;

pub mod compile;
mod wasi;

mod cache;
mod calls;
mod engine;
mod error;
mod inspect;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use domain::id::{Digest, PluginName, TableName};
use domain::policy::Setup;
use wasmtime::component::{Component, InstancePre};

pub use compile::Compiler;
pub use error::{Error, SettingsProblem};
pub use fault::{Fault, Trace, Work};
pub use inspect::{Description, Import, Inspection};
pub use limits::Limits;
pub use log::{Level, Line};
pub use lookup::TableUse;
pub use plugin::{Answer, Plugin};

/// Where plugins are loaded. One is enough for a program; everything in it is shared by them.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

/// What a sandbox and its plugins hold together; gone with the last of them.
struct Shared {
    engine: wasmtime::Engine,
    memory: engine::Memory,
    compiler: Compiler,
    linker: wasmtime::component::Linker<call::Guest>,
    calls: calls::Calls,
    cache: Option<cache::Cache>,
}

/// A plugin to load.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// What the operator calls it.
    pub name: PluginName,
    /// The component.
    pub bytes: Vec<u8>,
    /// The digest the operator trusts; without one, any component is taken.
    pub expected_digest: Option<Digest>,
    /// What it may use.
    pub limits: Limits,
    /// The operator's settings for it, a table.
    pub settings: serde_json::Value,
    /// What its settings may refer to.
    pub setup: Setup,
    /// The tables it was granted, with the columns they have now.
    pub tables: BTreeMap<TableName, Vec<String>>,
}

impl Sandbox {
    /// A sandbox. Components are compiled by `compiler`. What it makes is kept in `cache`, a folder that is
    /// made if need be and closed to everybody else; without one, every load compiles.
    pub fn new(compiler: Compiler, cache: Option<PathBuf>) -> Result<Self, Error> {
        let (engine, memory) = engine::engine()?;
        let shared = Shared {
            linker: call::linker(&engine)?,
            calls: calls::Calls::new(&engine).map_err(|error| Error::Engine { reason: error.to_string() })?,
            cache: cache.and_then(cache::Cache::open),
            compiler,
            memory,
            engine,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What a component is and wants, and what it says of itself: nothing else of it runs. Within these
    /// limits it is compiled, which shows whether it could run, and asked.
    pub fn inspect(&self, bytes: &[u8], limits: &Limits) -> Result<Inspection, Error> {
        let digest = Digest::of(bytes);
        let component = inspect::component(&self.shared, "the component", bytes, &digest, limits)?;
        let mut inspection = inspect::inspection(&self.shared.engine, &component, digest, bytes.len());
        match self.shared.link(&inspection, &component) {
            Ok((component, contract)) => {
                let (shared, time) = (&*self.shared, limits.time);
                let seed = wasi::Seed::before_any_run(&inspection.digest);
                let call = call::Call { shared, component: &component, limits, time, settings: "", seed };
                let described = contract.describe(&call);
                inspection.description = described.map(|done| done.result.map_err(|trace| trace.fault));
            }
            Err(Error::WrongShape { reason }) => {
                inspection.description = Some(Err(Fault::Contract { reason }));
            }
            // What else it may be, the inspection shows.
            Err(_) => {}
        }
        Ok(inspection)
    }

    /// A plugin ready to be asked: checked, compiled, linked, and content with its settings.
    pub fn load(&self, spec: PluginSpec) -> Result<Plugin, Error> {
        Plugin::load(Arc::clone(&self.shared), spec)
    }
}

impl Shared {
    /// A component with all it imports, and its exports; unless it is one that could not be loaded.
    fn link(
        &self,
        inspection: &Inspection,
        component: &Component,
    ) -> Result<(InstancePre<call::Guest>, contract::Contract), Error> {
        let version = inspection.usable()?;
        let shape = |error: wasmtime::Error| Error::WrongShape { reason: format!("{error:#}") };
        let mut linker = self.linker.clone();
        wasi::link(&mut linker, &self.engine, component).map_err(shape)?;
        let component = linker.instantiate_pre(component).map_err(shape)?;
        let contract = contract::Contract::new(version, inspection, &component)?;
        Ok((component, contract))
    }
}
