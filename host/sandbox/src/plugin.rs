//! A plugin that is loaded, and the answers it gives.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::device::Device;
use domain::id::{Digest, PluginName};
use domain::verdict::{Context, Policy, Verdict};
use jiff::Timestamp;

use crate::bindings::v0_1::PolicyPre;
use crate::bindings::v0_1::exports::deputy::policy::assignment::DeviceFields;
use crate::call::{Call, Done, Guest};
use crate::convert::Batch;
use crate::error::Error;
use crate::fault::{Fault, Trace};
use crate::inspect::{self, Inspection};
use crate::limits::Limits;
use crate::log::{self, Line};
use crate::search::{Blame, search};
use crate::wasi::{self, Seed};
use crate::{PluginSpec, Shared};

/// The most devices that one call decides about; the contract's word.
const BATCH: usize = 1_000;

/// The most places where a plugin failed that are told of, in an answer and in a run.
const TRACES: usize = 3;

/// A plugin, ready to be asked, from any thread, by several at once.
#[derive(Clone)]
pub struct Plugin {
    loaded: Arc<Loaded>,
}

struct Loaded {
    shared: Arc<Shared>,
    name: PluginName,
    inspection: Inspection,
    policy: PolicyPre<Guest>,
    limits: Limits,
    settings: String,
    reads: DeviceFields,
    /// The run in which it failed last, and what the log was told of it.
    told: Mutex<(Timestamp, Vec<Trace>)>,
}

/// What a plugin said, and what it took.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One for each device, in order.
    pub verdicts: Vec<Verdict>,
    /// What the plugin logged.
    pub log: Vec<Line>,
    /// Where it was when it failed: the first few places, each once.
    pub traces: Vec<Trace>,
    /// The fuel it used, over all calls. The same question takes the same fuel, on every machine.
    pub fuel: u64,
}

impl Plugin {
    pub(crate) fn load(shared: Arc<Shared>, spec: PluginSpec) -> Result<Self, Error> {
        let PluginSpec { name, bytes, expected_digest, limits, settings, profiles } = spec;
        let digest = Digest::of(&bytes);
        if let Some(trusted) = expected_digest.filter(|trusted| *trusted != digest) {
            return Err(Error::DigestMismatch { plugin: name, trusted, found: digest });
        }
        let component = inspect::component(&shared, &format!("plugin `{name}`"), &bytes, &digest, &limits)?;
        let inspection = inspect::inspection(&shared.engine, &component, digest, bytes.len());
        inspection.check()?;
        let shape = |error: wasmtime::Error| Error::WrongShape { reason: format!("{error:#}") };
        let mut linker = shared.linker.clone();
        wasi::link(&mut linker, &shared.engine, &component).map_err(shape)?;
        let policy = linker.instantiate_pre(&component).and_then(PolicyPre::new).map_err(shape)?;

        let settings = match settings {
            serde_json::Value::Null => "{}".to_owned(),
            settings => settings.to_string(),
        };
        let call = Call {
            shared: &shared,
            policy: &policy,
            limits: &limits,
            time: limits.time,
            settings: &settings,
            // No run has begun, and a start at another time must not end otherwise.
            seed: Seed { plugin: &inspection.digest, now: Timestamp::UNIX_EPOCH },
        };
        let profiles: Vec<&str> = profiles.iter().map(|profile| profile.as_str()).collect();
        let Done { result, lines, trace, .. } = call.configure(&profiles);
        log::emit(&name, &lines);
        trace.iter().for_each(|trace| tracing::warn!(plugin = %name, "plugin `{name}` {trace}"));
        let reads = match result {
            Ok(Ok(reads)) => reads,
            Ok(Err(problems)) => return Err(Error::Settings { plugin: name, problems }),
            Err(fault) => return Err(Error::Fault { plugin: name, fault }),
        };
        let (shared, told) = (Arc::clone(&shared), Mutex::default());
        let loaded = Loaded { name, inspection, policy, limits, settings, reads, shared, told };
        Ok(Self { loaded: Arc::new(loaded) })
    }

    /// What the component is and wants.
    pub fn inspection(&self) -> &Inspection {
        &self.loaded.inspection
    }

    /// The fields of a device that the plugin asked for, by Apple's names; the serial number and the
    /// profile status it gets unasked.
    pub fn reads(&self) -> Vec<&'static str> {
        crate::convert::field_names(self.loaded.reads)
    }

    /// Verdicts, and what it took to get them.
    ///
    /// Each call is a new instance. A batch that fails is asked again in halves, so that only the devices
    /// that make the plugin fail are held; when more than eight do, or time is out, those that are
    /// left are held together. That takes the plugin's `time` twice at most, and usually a few
    /// times the fuel of the batch.
    pub fn answer(&self, context: &Context, devices: &[Device]) -> Answer {
        let mut answer = Answer {
            verdicts: Vec::with_capacity(devices.len()),
            log: Vec::new(),
            fuel: 0,
            traces: Vec::new(),
        };
        for batch in devices.chunks(BATCH) {
            self.answer_batch(context, batch, &mut answer);
        }
        answer
    }

    fn answer_batch(&self, context: &Context, devices: &[Device], answer: &mut Answer) {
        let limits = &self.loaded.limits;
        let end = Instant::now() + limits.time * 2;
        let batch = Batch::new(devices, self.loaded.reads);
        let view = batch.view();
        let ask = |piece: Range<usize>| {
            let time = limits.time.min(end.saturating_duration_since(Instant::now()));
            if time == Duration::ZERO {
                return Err(Fault::Deadline { limit: limits.time });
            }
            let call = Call {
                shared: &self.loaded.shared,
                policy: &self.loaded.policy,
                limits,
                time,
                settings: &self.loaded.settings,
                seed: Seed { plugin: &self.loaded.inspection.digest, now: context.now },
            };
            let Done { result, lines, fuel, trace } = call.decide(context, &view[piece.clone()]);
            answer.fuel += fuel;
            if let Some(trace) = trace
                && answer.traces.len() < TRACES
                && answer.traces.iter().all(|known| known.frames != trace.frames)
            {
                answer.traces.push(trace);
            }
            // A batch that is asked again will log again; only the last word counts.
            if result.is_ok() || piece.len() == 1 {
                answer.log.extend(lines);
            }
            result
        };
        let found = search(devices.len(), ask);
        answer
            .verdicts
            .extend(found.into_iter().map(|found| found.unwrap_or_else(|blame| self.fault(&blame))));
    }

    /// Logs where the plugin failed, once in a run, however many batches fail there.
    fn tell(&self, run: Timestamp, traces: Vec<Trace>) {
        let name = &self.loaded.name;
        let mut told = self.loaded.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0 != run {
            *told = (run, Vec::new());
        }
        for trace in traces {
            if told.1.len() < TRACES && told.1.iter().all(|known| known.frames != trace.frames) {
                tracing::warn!(plugin = %name, "plugin `{name}` {trace}");
                told.1.push(trace);
            }
        }
    }

    fn fault(&self, Blame { fault, alone }: &Blame) -> Verdict {
        let name = &self.loaded.name;
        Verdict::fault(match alone {
            true => format!("plugin `{name}` {fault}"),
            false => format!("plugin `{name}` {fault}; it was not tried on this device alone"),
        })
    }
}

impl Policy for Plugin {
    fn name(&self) -> &PluginName {
        &self.loaded.name
    }

    fn digest(&self) -> &Digest {
        &self.loaded.inspection.digest
    }

    fn decide(&self, context: &Context, devices: &[Device]) -> Vec<Verdict> {
        let Answer { verdicts, log, traces, .. } = self.answer(context, devices);
        log::emit(&self.loaded.name, &log);
        self.tell(context.now, traces);
        verdicts
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.loaded.name)
            .field("inspection", &self.loaded.inspection)
            .finish()
    }
}
