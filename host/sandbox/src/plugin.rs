//! A plugin that is loaded, and the answers it gives.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::device::Device;
use domain::id::{Digest, PluginName, ProfileName};
use domain::policy::{Answered, Policy, Question, Setup, Unanswered, Usage};
use domain::reminder::{self, Reminder, Subject};
use domain::review::{self, Opinion, Plan};
use domain::table::Tables;
use domain::verdict::{Context, Lasting, Verdict};
use jiff::Timestamp;
use wasmtime::component::InstancePre;

use crate::call::{Call, Done, Guest};
use crate::contract::v1::Configured;
use crate::contract::{self, Contract};
use crate::convert::v1::{field_names, reminder as lent_tokens, review as lent_plan};
use crate::convert::{v0_1, v1};
use crate::error::Error;
use crate::fault::{Fault, Trace, Work};
use crate::inspect::{self, Inspection};
use crate::limits::Limits;
use crate::log::{self, Line};
use crate::lookup::{self, TableUse};
use crate::search::{Blame, search};
use crate::wasi::Seed;
use crate::{PluginSpec, Shared};

/// The most devices or tokens that one call is about; the contract's word.
const BATCH: usize = 1_000;

/// The most ways in which a plugin failed that are told of, in an answer and in a run.
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
    component: InstancePre<Guest>,
    contract: Contract,
    limits: Limits,
    settings: String,
    setup: Setup,
    tables: Vec<TableUse>,
    reads: v1::Fields,
    /// The run in which it failed last, and what the log was told of it.
    told: Mutex<(Timestamp, Vec<Trace>)>,
    /// The log was told that it fails to say for how long its verdicts last.
    told_of_lasting: AtomicBool,
}

/// What a plugin said, and what it took.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What it was asked for.
    pub answer: T,
    /// What it logged.
    pub log: Vec<Line>,
    /// How it failed and where it was then: the first few ways, each once.
    pub traces: Vec<Trace>,
    /// What it took, over all calls.
    pub usage: Usage,
}

impl Plugin {
    pub(crate) fn load(shared: Arc<Shared>, spec: PluginSpec) -> Result<Self, Error> {
        let PluginSpec { name, bytes, expected_digest, limits, settings, setup, tables: granted } = spec;
        let digest = Digest::of(&bytes);
        if let Some(trusted) = expected_digest.filter(|trusted| *trusted != digest) {
            return Err(Error::DigestMismatch { plugin: name, trusted, found: digest });
        }
        let component = inspect::component(&shared, &format!("plugin `{name}`"), &bytes, &digest, &limits)?;
        let mut inspection = inspect::inspection(&shared.engine, &component, digest, bytes.len());
        let (component, contract) = shared.link(&inspection, &component)?;

        let settings = match settings {
            serde_json::Value::Null => "{}".to_owned(),
            settings => settings.to_string(),
        };
        let call = Call {
            shared: &shared,
            component: &component,
            limits: &limits,
            time: limits.time,
            settings: &settings,
            seed: Seed::before_any_run(&inspection.digest),
        };
        let Done { result, lines, .. } = contract.load(&call, &setup);
        log::emit(&name, &lines);
        let contract::Loaded { description, tables, reads } = match result {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(problems)) => return Err(Error::Settings { plugin: name, problems }),
            Err(trace) => {
                if !trace.frames.is_empty() {
                    tracing::warn!(plugin = %name, "plugin `{name}` {trace}");
                }
                return Err(Error::Fault { plugin: name, fault: trace.fault });
            }
        };
        lookup::check(&name, &tables, &granted)?;
        inspection.description = description.map(Ok);
        let (shared, told) = (Arc::clone(&shared), Mutex::default());
        let loaded = Loaded {
            shared,
            name,
            inspection,
            component,
            contract,
            limits,
            settings,
            setup,
            tables,
            reads,
            told,
            told_of_lasting: AtomicBool::new(false),
        };
        Ok(Self { loaded: Arc::new(loaded) })
    }

    /// What the component is and wants.
    pub fn inspection(&self) -> &Inspection {
        &self.loaded.inspection
    }

    /// The fields of a device that the plugin asked for, by Apple's names; the profile status it gets
    /// unasked. Empty for one that is not asked about devices.
    pub fn reads(&self) -> Vec<&'static str> {
        field_names(self.loaded.reads)
    }

    /// The tables it looks into, with the columns it gets.
    pub fn tables(&self) -> &[TableUse] {
        &self.loaded.tables
    }

    /// Verdicts, and what it took to get them.
    ///
    /// Each call is a new instance. A batch that fails is asked again in halves, so that only the devices
    /// that make the plugin fail are held; when more than eight do, or time is out, those that are
    /// left are held together. That takes the plugin's `time` twice at most, and usually a few
    /// times the fuel of the batch.
    pub fn answer_assignment(&self, context: &Context, devices: &[Device]) -> Answer<Vec<Verdict>> {
        let mut told = Told::default();
        let mut answer = Vec::with_capacity(devices.len());
        if !self.answers(Question::Assignment) {
            let reason = self.unanswered(Question::Assignment).0;
            answer.resize(devices.len(), Verdict::fault(reason));
            return told.with(answer);
        }
        for batch in devices.chunks(BATCH) {
            let verdicts = self.decide_batch(context, batch, &mut told);
            answer.extend(
                verdicts
                    .into_iter()
                    .map(|it| it.unwrap_or_else(|blame| Verdict::fault(self.words(&blame, "device")))),
            );
        }
        told.with(answer)
    }

    /// For how long its verdicts last, and what it took to hear that. One that has no answer to that is not called.
    pub fn answer_lasting(&self, context: &Context) -> Answer<Result<Lasting, Unanswered>> {
        let mut told = Told::default();
        let Loaded { inspection, setup, .. } = &*self.loaded;
        let exports = self.v1(Question::Assignment).filter(|_| inspection.lasting);
        let Some(exports) = exports else { return told.with(Ok(Lasting::NotSaid)) };
        let found = self.search(context.now, &context.tables, 1, &mut told, |call, opened, _| {
            let profiles: &[ProfileName] = &context.profiles;
            let configured = Configured { settings: call.settings, setup, profiles, tables: opened };
            call.run(Work::Lasting, 0, |store, instance| {
                exports.lasting(store, instance, configured, context).map(|lasting| vec![lasting])
            })
        });
        let words = |blame: Arc<Blame>| Unanswered(self.words(&blame, "question"));
        let answer = found.into_iter().next();
        told.with(answer.map_or(Ok(Lasting::NotSaid), |it| it.map_err(words)))
    }

    /// Reminders for each token, and what it took to get them. Tokens that the plugin fails on are found like
    /// devices are.
    pub fn answer_reminder(
        &self,
        context: &reminder::Context,
        tokens: &[Subject],
    ) -> Answer<Vec<Result<Vec<Reminder>, Unanswered>>> {
        let mut told = Told::default();
        let mut answer = Vec::with_capacity(tokens.len());
        let Some(exports) = self.v1(Question::Reminder) else {
            answer.resize(tokens.len(), Err(self.unanswered(Question::Reminder)));
            return told.with(answer);
        };
        let setup = &self.loaded.setup;
        for tokens in tokens.chunks(BATCH) {
            let batch = lent_tokens::Batch::new(tokens);
            let view = batch.view();
            let found =
                self.search(context.now, &context.tables, tokens.len(), &mut told, |call, opened, piece| {
                    let configured = Configured {
                        settings: call.settings,
                        setup,
                        profiles: &setup.profiles,
                        tables: opened,
                    };
                    let (subjects, view) = (&tokens[piece.clone()], &view[piece]);
                    let facts: usize = subjects.iter().map(|token| token.facts.len()).sum();
                    call.run(Work::Tokens(subjects.len()), subjects.len() + facts, |store, instance| {
                        exports.remind(store, instance, configured, context, subjects, view)
                    })
                });
            answer.extend(
                found.into_iter().map(|it| it.map_err(|blame| Unanswered(self.words(&blame, "token")))),
            );
        }
        told.with(answer)
    }

    /// An opinion on a plan, and what it took to get it.
    pub fn answer_review(
        &self,
        context: &review::Context,
        plan: &Plan,
    ) -> Answer<Result<Opinion, Unanswered>> {
        let mut told = Told::default();
        let Some(exports) = self.v1(Question::Review) else {
            return told.with(Err(self.unanswered(Question::Review)));
        };
        let setup = &self.loaded.setup;
        let lent = lent_plan::Lent::new(plan);
        let items = plan.moves.len() + plan.actions.len();
        let found = self.search(context.now, &context.tables, 1, &mut told, |call, opened, _| {
            let configured =
                Configured { settings: call.settings, setup, profiles: &setup.profiles, tables: opened };
            call.run(Work::Plan, items, |store, instance| {
                exports.review(store, instance, configured, context, lent.view()).map(|opinion| vec![opinion])
            })
        });
        let opinion = found.into_iter().next();
        let words = |blame: Arc<Blame>| Unanswered(self.words(&blame, "plan"));
        told.with(opinion.map_or_else(|| Err(self.unanswered(Question::Review)), |it| it.map_err(words)))
    }

    fn decide_batch(
        &self,
        context: &Context,
        devices: &[Device],
        told: &mut Told,
    ) -> Vec<Result<Verdict, Arc<Blame>>> {
        let Loaded { contract, reads, setup, .. } = &*self.loaded;
        match contract {
            Contract::V0_1(exports) => {
                let batch = v0_1::Batch::new(devices, *reads);
                let view = batch.view();
                self.search(context.now, &context.tables, devices.len(), told, |call, _, piece| {
                    call.run(Work::Devices(piece.len()), piece.len(), |store, instance| {
                        exports.decide(store, instance, call.settings, context, &view[piece])
                    })
                })
            }
            Contract::V1(exports) => {
                let batch = v1::assignment::Batch::new(context, devices, *reads);
                let view = batch.view();
                let profiles: &[ProfileName] = &context.profiles;
                self.search(context.now, &context.tables, devices.len(), told, |call, opened, piece| {
                    let configured = Configured { settings: call.settings, setup, profiles, tables: opened };
                    call.run(Work::Devices(piece.len()), piece.len(), |store, instance| {
                        exports.decide(store, instance, configured, context, &view[piece])
                    })
                })
            }
        }
    }

    /// Asks about so many things, and where that fails about fewer. Takes the plugin's `time` twice at most.
    fn search<T>(
        &self,
        now: Timestamp,
        tables: &Tables,
        count: usize,
        told: &mut Told,
        ask: impl Fn(&Call, &lookup::Opened, Range<usize>) -> Done<Vec<T>>,
    ) -> Vec<Result<T, Arc<Blame>>> {
        let Loaded { shared, component, limits, settings, inspection, .. } = &*self.loaded;
        let seed = Seed { plugin: &inspection.digest, now };
        let end = Instant::now() + limits.time * 2;
        let opened = lookup::open(&self.loaded.tables, tables);
        search(count, |piece| {
            let opened = opened
                .as_ref()
                .map_err(|fault| told.failed(Trace { fault: fault.clone(), frames: Vec::new() }))?;
            let time = limits.time.min(end.saturating_duration_since(Instant::now()));
            if time == Duration::ZERO {
                return Err(Fault::Deadline { limit: limits.time });
            }
            let call = Call { shared, component, limits, time, settings, seed };
            let alone = piece.len() == 1;
            let Done { result, lines, usage } = ask(&call, opened, piece);
            told.usage += usage;
            // A batch that is asked again will log again; only the last word counts.
            if result.is_ok() || alone {
                told.log.extend(lines);
            }
            result.map_err(|trace| told.failed(trace))
        })
    }

    fn answers(&self, question: Question) -> bool {
        self.loaded.inspection.questions.contains(&question)
    }

    /// What answers a question that came with version 1.
    fn v1(&self, question: Question) -> Option<&contract::v1::Exports> {
        match &self.loaded.contract {
            Contract::V1(exports) if self.answers(question) => Some(exports),
            _ => None,
        }
    }

    fn unanswered(&self, question: Question) -> Unanswered {
        let name = &self.loaded.name;
        Unanswered(format!("plugin `{name}` does not answer the question `{question}`"))
    }

    fn words(&self, Blame { fault, alone }: &Blame, what: &str) -> String {
        let name = &self.loaded.name;
        match *alone || matches!(fault, Fault::TableGone { .. }) {
            true => format!("plugin `{name}` {fault}"),
            false => format!("plugin `{name}` {fault}; it was not tried on this {what} alone"),
        }
    }

    /// The answer, once our log has what comes with it.
    fn logged<T>(&self, run: Timestamp, answer: Answer<T>) -> Answered<T> {
        let Answer { answer, log, traces, usage } = answer;
        log::emit(&self.loaded.name, &log);
        self.tell(run, traces);
        Answered { answer, usage }
    }

    /// Logs where the plugin failed, once in a run, however many batches fail there.
    fn tell(&self, run: Timestamp, traces: Vec<Trace>) {
        let name = &self.loaded.name;
        let mut told = self.loaded.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0 != run {
            *told = (run, Vec::new());
        }
        // Without a place, it says no more than the report will.
        for trace in traces.into_iter().filter(|trace| !trace.frames.is_empty()) {
            if told.1.len() < TRACES && !told.1.iter().any(|known| known.is_like(&trace)) {
                tracing::warn!(plugin = %name, "plugin `{name}` {trace}");
                told.1.push(trace);
            }
        }
    }
}

/// What comes with an answer, as it comes.
#[derive(Default)]
struct Told {
    log: Vec<Line>,
    traces: Vec<Trace>,
    usage: Usage,
}

impl Told {
    fn failed(&mut self, trace: Trace) -> Fault {
        let fault = trace.fault.clone();
        if self.traces.len() < TRACES && !self.traces.iter().any(|known| known.is_like(&trace)) {
            self.traces.push(trace);
        }
        fault
    }

    fn with<T>(self, answer: T) -> Answer<T> {
        let Self { log, traces, usage } = self;
        Answer { answer, log, traces, usage }
    }
}

impl Policy for Plugin {
    fn name(&self) -> &PluginName {
        &self.loaded.name
    }

    fn digest(&self) -> &Digest {
        &self.loaded.inspection.digest
    }

    fn mark(&self) -> Digest {
        Digest::of(format!("{}\n{:?}", self.digest(), self.loaded.setup).as_bytes())
    }

    fn version(&self) -> Option<&str> {
        let described = self.loaded.inspection.description.as_ref()?.as_ref().ok()?;
        (!described.version.is_empty()).then_some(described.version.as_str())
    }

    fn questions(&self) -> &[Question] {
        &self.loaded.inspection.questions
    }

    fn fields(&self) -> Option<Vec<String>> {
        Some(self.reads().into_iter().map(str::to_owned).collect())
    }

    fn decide(&self, context: &Context, devices: &[Device]) -> Answered<Vec<Verdict>> {
        self.logged(context.now, self.answer_assignment(context, devices))
    }

    fn lasting(&self, context: &Context) -> Answered<Lasting> {
        let Answer { answer, log, traces, usage } = self.answer_lasting(context);
        let plugin = &self.loaded.name;
        log::emit(plugin, &log);
        let answer = answer.unwrap_or_else(|Unanswered(why)| {
            // It fails alike in every run, and costs no device anything: said once, for its author.
            if !self.loaded.told_of_lasting.swap(true, Ordering::Relaxed) {
                let place = traces.iter().find(|trace| !trace.frames.is_empty());
                let why = place.map_or(why, |trace| format!("plugin `{plugin}` {trace}"));
                tracing::warn!(%plugin, "asked for how long its verdicts last, {why}; it is asked about every device instead");
            }
            Lasting::NotSaid
        });
        Answered { answer, usage }
    }

    fn remind(
        &self,
        context: &reminder::Context,
        tokens: &[Subject],
    ) -> Answered<Vec<Result<Vec<Reminder>, Unanswered>>> {
        self.logged(context.now, self.answer_reminder(context, tokens))
    }

    fn review(&self, context: &review::Context, plan: &Plan) -> Answered<Result<Opinion, Unanswered>> {
        self.logged(context.now, self.answer_review(context, plan))
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
