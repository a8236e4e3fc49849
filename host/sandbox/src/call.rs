//! One call of a guest: a new store, limits that cannot be forgotten, one question, and the end of it.

use std::time::{Duration, Instant};

use domain::policy::Usage;
use wasmtime::component::{Instance, InstancePre, Linker, WasmStr};
use wasmtime::{Engine, Store, StoreContextMut, Trap};

use crate::bindings::{v0_1, v1};
use crate::convert;
use crate::error::Error;
use crate::fault::{Failed, Fault, Trace, Work, classify};
use crate::limits::{HANDLES, Limiter, Limits};
use crate::log::{Level, Line, Log};
use crate::lookup::{self, Opened};
use crate::wasi::{Seed, World};
use crate::{Shared, calls};

/// The host's side of a store: data, no behaviour. Nothing of ours is in a guest's reach.
pub(crate) struct Guest {
    limiter: Limiter,
    pub(crate) log: Log,
    pub(crate) world: World,
    /// What it may look into; nothing as long as no question was asked.
    pub(crate) tables: Option<Opened>,
}

/// Everything a call needs besides its question.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) component: &'a InstancePre<Guest>,
    pub(crate) limits: &'a Limits,
    /// How long it may take; at most what the limits say.
    pub(crate) time: Duration,
    /// One JSON object.
    pub(crate) settings: &'a str,
    /// What the empty world is made of.
    pub(crate) seed: Seed<'a>,
}

/// What came of a call.
pub(crate) struct Done<T> {
    pub(crate) result: Result<T, Trace>,
    pub(crate) lines: Vec<Line>,
    pub(crate) usage: Usage,
}

/// What plugins are granted, in every version of the contract.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Guest>, Error> {
    let mut linker = Linker::new(engine);
    let defined = define(&mut linker);
    defined.map(|()| linker).map_err(|error| Error::Engine { reason: format!("{error:#}") })
}

fn define(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use convert::{v0_1::level as level_of_0_1, v1::level as level_of_1};
    linker.instance("deputy:policy/log@0.1.0")?.func_wrap(
        "log",
        |store, (level, line): (v0_1::deputy::policy::log::Level, WasmStr)| {
            log(store, level_of_0_1(level), &line)
        },
    )?;
    // Older minors of a major find these: they import what is the same in all.
    linker.instance("deputy:policy/log@1.1.0")?.func_wrap(
        "log",
        |store, (level, line): (v1::deputy::policy::log::Level, WasmStr)| {
            log(store, level_of_1(level), &line)
        },
    )?;
    linker.instance("deputy:policy/tables@1.1.0")?.func_wrap("lookup", lookup::lookup)
}

/// Burns fuel as if the plugin had done the work itself: what we do for it counts like what it does.
pub(crate) fn pay(store: &mut StoreContextMut<Guest>, cost: u64) -> wasmtime::Result<()> {
    let left = store.get_fuel()?.checked_sub(cost);
    store.set_fuel(left.unwrap_or(0))?;
    left.map(|_| ()).ok_or_else(|| Trap::OutOfFuel.into())
}

fn log(mut store: StoreContextMut<Guest>, level: Level, line: &WasmStr) -> wasmtime::Result<()> {
    if !store.data().log.is_full() {
        let text = line.to_str(&store)?.into_owned();
        store.data_mut().log.push(level, &text);
    }
    Ok(())
}

impl Call<'_> {
    /// Calls a new instance. Its fuel is in proportion to `items`, which is what the work consists of.
    pub(crate) fn run<T>(
        &self,
        work: Work,
        items: usize,
        ask: impl FnOnce(&mut Store<Guest>, &Instance) -> Result<T, Stop>,
    ) -> Done<T> {
        let _permit = self.shared.calls.enter();
        let start = Instant::now();
        let guest = Guest {
            limiter: Limiter::new(self.limits),
            log: Log::new(self.limits.log_bytes),
            world: World::new(self.seed),
            tables: None,
        };
        let mut store = Store::new(&self.shared.engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(self.limits.output_bytes);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(calls::ticks(self.time));
        let fuel = self.limits.fuel(self.settings, items);
        let started = store.set_fuel(fuel).and_then(|()| self.component.instantiate(&mut store));
        let starting = started.is_err();
        let result = started.map_err(Stop::Engine).and_then(|instance| ask(&mut store, &instance));
        let left = store.get_fuel().unwrap_or(0);
        let Guest { limiter, mut log, mut world, .. } = store.into_data();
        world.end(&mut log);
        let failed = Failed { limits: self.limits, fuel, work, refused: limiter.refused, starting };
        let result = result.map_err(|stop| match stop {
            Stop::Engine(error) => Trace::of(classify(&error, &failed), &error),
            Stop::Fault(fault) => Trace { fault, frames: Vec::new() },
        });
        let usage = Usage { calls: 1, fuel: fuel - left, time: start.elapsed() };
        Done { result, lines: log.into_lines(), usage }
    }
}

/// Why a call ended early: the engine stopped it, or we did not like the answer.
pub(crate) enum Stop {
    Engine(wasmtime::Error),
    Fault(Fault),
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
