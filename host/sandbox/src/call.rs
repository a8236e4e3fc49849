//! One call of a guest: a new store, limits that cannot be forgotten, one question, and the end of it.

use std::time::Duration;

use domain::verdict::{Context, Verdict};
use wasmtime::component::{Linker, WasmStr};
use wasmtime::{Engine, Store, StoreContextMut};

use crate::bindings::v0_1::deputy::policy::log::Level as WitLevel;
use crate::bindings::v0_1::exports::deputy::policy::assignment as wit;
use crate::bindings::v0_1::{Policy, PolicyPre};
use crate::convert;
use crate::error::{Error, SettingsProblem};
use crate::fault::{Failed, Fault, Trace, classify};
use crate::limits::{HANDLES, Limiter, Limits};
use crate::log::{Line, Log};
use crate::wasi::{Seed, World};
use crate::{Shared, calls};

/// The host's side of a store: data, no behaviour. Nothing of ours is in a guest's reach.
pub(crate) struct Guest {
    limiter: Limiter,
    pub(crate) log: Log,
    pub(crate) world: World,
}

/// Everything a call needs besides its question.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) policy: &'a PolicyPre<Guest>,
    pub(crate) limits: &'a Limits,
    /// How long it may take; at most what the limits say.
    pub(crate) time: Duration,
    pub(crate) settings: &'a str,
    /// What the empty world is made of.
    pub(crate) seed: Seed<'a>,
}

/// What came of a call.
pub(crate) struct Done<T> {
    pub(crate) result: Result<T, Fault>,
    pub(crate) lines: Vec<Line>,
    pub(crate) fuel: u64,
    /// Where it failed, if the engine stopped it.
    pub(crate) trace: Option<Trace>,
}

/// The one import a plugin is granted.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Guest>, Error> {
    let mut linker = Linker::new(engine);
    let defined = linker.instance(crate::inspect::LOG).and_then(|mut log| log.func_wrap("log", log_line));
    match defined {
        Ok(()) => Ok(linker),
        Err(error) => Err(Error::Engine { reason: format!("{error:#}") }),
    }
}

fn log_line(
    mut store: StoreContextMut<Guest>,
    (level, message): (WitLevel, WasmStr),
) -> wasmtime::Result<()> {
    if !store.data().log.is_full() {
        let text = message.to_str(&store)?.into_owned();
        store.data_mut().log.push(convert::level(level), &text);
    }
    Ok(())
}

impl Call<'_> {
    /// Whether the guest accepts its settings, and if so, which fields of devices it wants.
    pub(crate) fn configure(
        &self,
        profiles: &[&str],
    ) -> Done<Result<wit::DeviceFields, Vec<SettingsProblem>>> {
        self.run(0, |store, policy| {
            let assignment = policy.deputy_policy_assignment();
            match assignment.call_configure(&mut *store, self.settings, profiles)? {
                Ok(()) => Ok(Ok(assignment.call_reads(store)?)),
                Err(problems) => Ok(Err(convert::problems(problems))),
            }
        })
    }

    /// The guest's verdicts on devices, found to keep to the contract.
    pub(crate) fn decide(&self, context: &Context, devices: &[wit::Device]) -> Done<Vec<Verdict>> {
        let profiles: Vec<&str> = context.profiles.iter().map(|profile| profile.as_str()).collect();
        self.run(devices.len(), |store, policy| {
            let assignment = policy.deputy_policy_assignment();
            if let Err(problems) = assignment.call_configure(&mut *store, self.settings, &profiles)? {
                let first = convert::problems(problems).into_iter().next();
                let reason = first.map_or_else(|| "for no reason".to_owned(), |problem| problem.to_string());
                return Err(Stop::Fault(Fault::Settings { reason }));
            }
            let answer = assignment.call_decide(store, convert::context(context, &profiles), devices)?;
            Ok(convert::verdicts(answer, context, devices.len())?)
        })
    }

    fn run<T>(
        &self,
        devices: usize,
        ask: impl FnOnce(&mut Store<Guest>, &Policy) -> Result<T, Stop>,
    ) -> Done<T> {
        let _permit = self.shared.calls.enter();
        let guest = Guest {
            limiter: Limiter::new(self.limits),
            log: Log::new(self.limits.log_bytes),
            world: World::new(self.seed),
        };
        let mut store = Store::new(&self.shared.engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(self.limits.output_bytes);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(calls::ticks(self.time));
        let fuel = self.limits.fuel(self.settings, devices);
        let started = store.set_fuel(fuel).and_then(|()| self.policy.instantiate(&mut store));
        let starting = started.is_err();
        let result = started.map_err(Stop::Engine).and_then(|policy| ask(&mut store, &policy));
        let left = store.get_fuel().unwrap_or(0);
        let Guest { limiter, mut log, mut world } = store.into_data();
        world.end(&mut log);
        let failed = Failed { limits: self.limits, fuel, devices, refused: limiter.refused, starting };
        let mut trace = None;
        let result = result.map_err(|stop| match stop {
            Stop::Engine(error) => {
                let fault = classify(&error, &failed);
                trace = Trace::of(&fault, &error);
                fault
            }
            Stop::Fault(fault) => fault,
        });
        Done { result, lines: log.into_lines(), fuel: fuel - left, trace }
    }
}

/// Why a call ended early: the engine stopped it, or we did not like the answer.
enum Stop {
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
